"""The loop that all processes share, on real servers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
import redis

from mm.errors import ConfigDiffers, DurabilityRefused, SystemRefused
from mm.maker import Maker
from mm.process import Process
from mm.store import execute, open_client
from tests.kit import Fake, Real, World, small_config, wait_for
from tests.kit.threads import RunningProcesses


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
        execute(live.client, "HSET", live.keys.member("position:*", "AAA"), "halted", "by hand")
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

    def test_a_changed_configuration_ends_no_process(self, live: World) -> None:
        """A file that a process was started with binds it when it joins, and not ever after."""
        given = live.config
        maker = Maker(live.backend.client, live.keys, "1", given)
        run_until(maker, lambda: maker._joined)
        live.configure(limit_units=given.limit_units + 5)
        # As after a lost connection.
        maker.open()
        maker.close()
        late = Maker(live.backend.client, live.keys, "2", given)
        with pytest.raises(ConfigDiffers, match="mm config apply FILE"):
            late.open()

    def test_a_time_out_is_not_final(self, live: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """A server that answers too late while it is looked at is tried again, in words, once."""
        late = iter([True, True, False])
        said: list[str] = []
        exchange = live.exchange()

        def connect() -> redis.Redis:
            client = live.backend.client()
            if next(late, False):
                monkeypatch.setattr(client, "info", out_of_time)
            return client

        def out_of_time(*_: object) -> object:
            raise redis.exceptions.TimeoutError("Timeout reading from socket")

        exchange.close()
        exchange._connect, exchange.say = connect, said.append
        run_until(exchange, lambda: len(said) == 2)
        assert "does not answer in time" in said[0]
        assert said[1] == "going on"

    def test_a_foreign_script_is_waited_for(self, live: World) -> None:
        """While another program's script blocks the server no process ends, and a new one waits."""
        live.client.config_set("busy-reply-threshold", 50)
        running: list[Process] = [live.exchange(), live.state(), live.maker()]
        late, said = live.exchange("late"), list[str]()
        late.say = said.append
        for one in (*running, late):
            one.close()
        script = "local t = redis.call('TIME')[1] + 3 while redis.call('TIME')[1] + 0 < t do end"
        other = live.backend.client()
        blocking = threading.Thread(target=lambda: other.eval(script, 0))
        with RunningProcesses(*running) as first:
            wait_for("all live", lambda: len(live.ranked("processes")) == 3)
            blocking.start()
            with RunningProcesses(late) as second:
                wait_for("the new one going on", lambda: "going on" in said)
                blocking.join()
                live.client.config_set("busy-reply-threshold", 5_000)
                live.send(live.order())
                wait_for("a report", live.reports)
                assert not first.ended
                assert not second.ended
        assert "BUSY" in said[0]

    def test_a_missing_right_is_final(self, live: World) -> None:
        """A process whose user may not run what it needs ends, with the right that it lacks."""
        user = ("on", ">pw", "~*", "&*", "+@all", "-config")
        execute(live.client, "ACL", "SETUSER", "bob", *user)
        path = live.client.connection_pool.connection_kwargs["path"]
        exchange = live.exchange()
        exchange.close()
        exchange._connect = lambda: open_client(f"unix://bob:pw@{path}")
        with pytest.raises(SystemRefused, match="CONFIG GET must be allowed"):
            exchange.run(threading.Event())
        exchange._durability = "relaxed"
        execute(live.client, "ACL", "SETUSER", "bob", "-evalsha")
        with pytest.raises(SystemRefused, match="'evalsha'"):
            exchange.run(threading.Event())
        execute(live.client, "ACL", "SETUSER", "bob", "+evalsha")
        run_until(exchange, lambda: live.ranked("processes"))
        execute(live.client, "ACL", "DELUSER", "bob")


def run_until(process: Process, condition: Callable[[], object]) -> None:
    """Let the process run in a thread until the condition is true."""
    with RunningProcesses(process) as running:
        wait_for("the condition", condition)
        assert not running.ended


class TestLog:
    def play(self, world: World) -> list[Process]:
        """A quote, a fill, a commit and the next quote; the processes that did it."""
        exchange, state, maker = world.exchange(), world.state(), world.maker()
        for process in (maker, maker):
            process.step()
        world.send(world.order("sell", 3))
        exchange.step()
        state.step()
        maker.act(maker.scripts.survey(["AAA"]))
        return [exchange, state, maker]

    def test_steps_are_details(self, fake: Fake, caplog: pytest.LogCaptureFixture) -> None:
        """By default no step is logged; a summary counts what was done, and then begins anew."""
        caplog.set_level("INFO", "mm")
        processes = self.play(World(fake, small_config()))
        assert caplog.messages == []
        for process in processes:
            process.log_summary()
        assert caplog.messages == [
            "done fills=1 orders=1",
            "done fills=1",
            "done granted=3",
        ]
        for process in processes:
            process.log_summary()
        assert len(caplog.messages) == 3

    def test_details(self, fake: Fake, caplog: pytest.LogCaptureFixture) -> None:
        """With details each match, commit and proposal has its line, with its numbers."""
        caplog.set_level("DEBUG", "mm")
        self.play(World(fake, small_config(symbols=1)))
        words = [line.split()[:2] for line in caplog.messages]
        assert words == [
            ["quoted", "symbol=AAA"],
            ["matched", "orders=1"],
            ["executed", caplog.messages[2].split()[1]],
            ["committed", "fills=1"],
            ["applied", "fill=AAA-1"],
            ["quoted", "symbol=AAA"],
        ]
        assert "trigger=position position_version=1 replaces=1" in caplog.messages[-1]

    def test_a_refusal_is_counted_by_its_rule(
        self, fake: Fake, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A proposal that is refused is counted under its rule, and a detail says why."""
        caplog.set_level("DEBUG", "mm")
        world = World(fake, small_config(symbols=1))
        first, second = world.maker("1"), world.maker("2")
        survey = first.scripts.survey(["AAA"])
        first.peers = second.peers = []
        first.act(survey)
        second.act(survey)
        second.log_summary()
        assert caplog.messages[1].startswith("refused symbol=AAA trigger=bootstrap")
        assert "rule=STALE_QUOTE detail=" in caplog.messages[1]
        assert caplog.messages[2] == "done STALE_QUOTE=1"

    def test_summaries_of_a_running_process(
        self, fake: Fake, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Heartbeats write the summaries, one in each interval at most; the end writes the last."""
        caplog.set_level("INFO", "mm")
        exchange, *_ = self.play(World(fake, small_config()))
        exchange._durability = "relaxed"
        monkeypatch.setattr("mm.process.SUMMARY_BEATS", 3)
        written = []
        for _ in range(6):
            exchange.beat()
            written.append(sum(line.startswith("done") for line in caplog.messages))
            exchange.done["orders"] += 1
        assert written == [0, 0, 1, 1, 1, 2]
        stop = threading.Event()
        stop.set()
        exchange.run(stop)
        assert caplog.messages[-2] == "done orders=1"
