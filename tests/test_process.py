"""The loop that all processes share, on real servers."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import redis

from mm.errors import DurabilityRefused
from mm.process import Process
from mm.store import execute
from tests.kit import Real, World, small_config, wait_for


@pytest.fixture
def live(real_backend: Real) -> World:
    """A world on each real server, whose quotes live for a second."""
    return World(real_backend, small_config(quote_ttl_ms=1000, refresh_ms=300))


@pytest.mark.server
class TestRunning:
    @pytest.fixture
    def running(self, live: World) -> Iterator[list[Process]]:
        """One process of each kind, looping in a thread; stopped in order at the end."""
        stop = threading.Event()
        processes: list[Process] = [live.exchange(), live.state(), live.maker()]
        for process in processes:
            process.close()
        threads = [threading.Thread(target=one.run, args=(stop,)) for one in processes]
        for thread in threads:
            thread.start()
        yield processes
        stop.set()
        for thread in threads:
            thread.join()
        assert live.ranked("processes") == {}, "a process left without a farewell"

    def test_trades(self, live: World, running: list[Process]) -> None:
        """Three loops quote, match, commit and quote again from the new position."""
        wait_for("a quote", lambda: live.quote_lots("AAA"))
        order = live.order("sell", 3)
        live.send(order)
        wait_for("the report", live.reports)
        assert live.report(order).status == "filled"
        wait_for("the committed position", lambda: live.position()["net_lots"] == 3)
        wait_for(
            "a quote from it",
            lambda: live.hash("quote:*", "AAA").get("position_version") == "1",
        )
        assert len(running) == 3

    def test_expiry_in_time(self, live: World, running: list[Process]) -> None:
        """A quote that no maker refreshes is released within a second of its expiry."""
        wait_for("a quote", lambda: live.quote_lots("AAA"))
        execute(live.client, "HSET", live.keys.member("symbol:*", "AAA"), "halted", "by hand")
        expired = wait_for(
            "the expiry",
            lambda: [event for event in live.events("AAA") if event["event"] == "expired"],
        )
        assert int(expired[0]["ts_ms"]) <= int(expired[0]["expires_ms"]) + 1000
        assert len(running) == 3

    def test_reconnects(self, live: World, caplog: pytest.LogCaptureFixture) -> None:
        """Failing connections are retried until one stands; the log names each attempt."""
        caplog.set_level("INFO", "mm.state-1")
        failures = iter([redis.exceptions.ConnectionError("no"), OSError("no"), None])

        def connect() -> redis.Redis:
            failure = next(failures, None)
            if failure is not None:
                raise failure
            return live.backend.client()

        state = live.state()
        state.close()
        state._connect = connect
        stop = threading.Event()
        thread = threading.Thread(target=state.run, args=(stop,))
        thread.start()
        wait_for("a heartbeat", lambda: live.ranked("processes"))
        stop.set()
        thread.join()
        assert next(failures, "none left") == "none left"
        retries = [line for line in caplog.messages if line.startswith("retry action=connect")]
        assert ["attempt=1 " in retries[0], "attempt=2 " in retries[1]] == [True, True]
        assert all(", for ever: " in line for line in retries)
        assert "recovered after 2 retries" in caplog.messages

    def test_survives_script_flush(self, live: World) -> None:
        """Scripts that the server has lost are loaded again, in the middle of the work."""
        exchange, maker = live.exchange(), live.maker()
        maker.step()
        execute(live.client, "SCRIPT", "FLUSH")
        live.send(live.order())
        exchange.step(100)
        execute(live.client, "SCRIPT", "FLUSH")
        results = live.scripts.place_many([live.proposal("BBB"), live.proposal("ZZZ")])
        assert [type(one).__name__ for one in results] == ["Placement", "ProposalRefused"]
        assert live.reports()[0].status == "filled"

    @pytest.mark.parametrize(
        ("name", "weak", "good"),
        [
            ("appendfsync", "everysec", "always"),
            ("no-appendfsync-on-rewrite", "yes", "no"),
            ("maxmemory-policy", "allkeys-lru", "noeviction"),
        ],
    )
    def test_weak_server_is_refused(self, live: World, name: str, weak: str, good: str) -> None:
        """A server with weaker settings is refused, at the start and when they change later."""
        state = live.state()
        state.open()
        execute(live.client, "CONFIG", "SET", name, weak)
        try:
            with pytest.raises(DurabilityRefused, match=weak):
                live.exchange().open()
            with pytest.raises(DurabilityRefused, match=weak):
                for _ in range(8):
                    state.beat()
        finally:
            execute(live.client, "CONFIG", "SET", name, good)
        state.close()
