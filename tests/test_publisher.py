"""The publisher: nothing that it sent is dropped or counted twice."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis

from mm.errors import Unavailable, UsageError, ValueRefused
from mm.market import default_config
from mm.orders import FlowOptions, PublisherOptions, read_journal, read_tape
from mm.process import Process
from mm.publisher import Publisher
from mm.store import Keys, execute, open_client, send_pipeline
from tests.kit import SEEDS, Fake, Real, World, assert_sound, wait_for
from tests.kit.publishing import Market, total
from tests.kit.tapes import trades


class TestPublisher:
    def test_sends_all_and_counts_each_once(self, fake: Fake, tmp_path: Path) -> None:
        """It ends after its orders; the summary, the journal and the ledger say the same."""
        market = Market(fake, orders=120, in_flight=7, journal=tmp_path / "journal")
        summary = market.run()
        assert (summary.sent, total(summary), summary.unanswered) == (120, 120, 0)
        assert summary.filled > 20
        assert summary.canceled == summary.by_reason["not_crossing"] + (
            summary.by_reason.get("exhausted", 0) - summary.partially_filled
        )
        fills = {fill.order_id: fill for fill in market.world.fills()}
        answers = list(read_journal(tmp_path / "journal"))
        assert len({answer.order.order_id for answer in answers}) == 120
        for answer in answers:
            fill = fills.get(answer.order.order_id)
            assert answer.report.fill_id == (fill.fill_id if fill else "")
            assert answer.report.cum_lots == (fill.qty_lots if fill else 0)
        assert summary.filled_lots == sum(fill.qty_lots for fill in fills.values())
        assert_sound(market.world)

    def test_in_flight(self, fake: Fake) -> None:
        """The orders without a report never exceed the bound."""
        market = Market(fake, orders=50, in_flight=3)
        for _ in range(4):
            market.publisher.step()
        assert len(market.world.records("orders")) == market.publisher.summary.unanswered == 3
        assert market.run().sent == 50

    def test_bulk(self, fake: Fake) -> None:
        """With ``bulk`` several orders share an entry, and each gets its report."""
        market = Market(fake, orders=23, in_flight=100, bulk=10)
        market.publisher.step()
        assert [len(entry) for _, entry in market.world.stream("orders")] == [10, 10, 3]
        assert market.run().unanswered == 0

    def test_ids_never_repeat(self, fake: Fake) -> None:
        """A publisher started again under the same name uses other order ids."""
        market = Market(fake, orders=10)
        market.run()
        market.publisher = market.make_publisher()
        summary = market.run()
        assert (summary.sent, summary.duplicate) == (10, 0)
        names = [name for name, _ in market.world.records("orders")]
        assert len(set(names)) == 20
        assert all(len(name.partition("-")[0]) == 8 for name in names)

    def test_unanswered_at_the_end(self, fake: Fake) -> None:
        """Without an exchange it ends after a bounded wait, and counts the unanswered orders."""
        market = Market(fake, orders=5, drain_s=0.0)
        market.publisher.step()
        assert market.publisher.over.is_set()
        assert (market.publisher.summary.sent, market.publisher.summary.unanswered) == (5, 5)

    def test_waits_for_the_missing(self, fake: Fake) -> None:
        """After the last order it waits for the missing reports before it ends."""
        market = Market(fake, duration_s=0.0, drain_s=1e6)
        market.publisher.step()
        assert market.publisher.over.is_set()
        market = Market(fake, orders=3, drain_s=1e6)
        for _ in range(3):
            market.publisher.step()
        assert not market.publisher.over.is_set()
        assert market.run().unanswered == 0
        assert len(market.world.records("orders")) == 3

    def test_bounded_end(self, fake: Fake) -> None:
        """The wait for missing reports is counted from the end of sending."""
        market = Market(fake, orders=1, drain_s=0.01)
        market.publisher.step()
        assert not market.publisher.over.is_set()

        def over() -> bool:
            market.publisher.step()
            return market.publisher.over.is_set()

        wait_for("the end", over)
        assert market.publisher.summary.unanswered == 1

    def test_goes_on_over_a_new_connection(
        self, fake: Fake, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """After a reconnection it uses only the new connection, and keeps unanswered orders."""
        market = Market(fake, orders=5, in_flight=2)
        market.publisher.step()
        old = market.publisher.scripts.client
        monkeypatch.setattr(old, "connection_pool", None)
        market.publisher.attach(market.world.make_scripts())
        assert market.run().unanswered == 0

    def test_leaves_exposure_alone(self, fake: Fake) -> None:
        """Its heartbeat releases no expired exposure."""
        market = Market(fake)
        reserved = market.world.reserved()
        market.world.advance(market.world.config.quote_ttl_ms)
        market.publisher.beat()
        assert market.world.reserved() == reserved != (0, 0)

    def test_stop(self, fake: Fake) -> None:
        """run() ends soon after its stop event is set, even without a server."""
        market = Market(fake, drain_s=0.0)
        fake.server.connected = False
        stop = threading.Event()
        stop.set()
        market.publisher.run(stop)
        assert market.publisher.summary.sent == 0

    @pytest.mark.parametrize("seed", SEEDS)
    def test_lost_connections(self, fake: Fake, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
        """Though requests and replies are lost at random, each order counts and executes once."""
        market = Market(fake, orders=150, in_flight=10, resend_after_s=0.001)
        rng = random.Random(seed)
        lost = 0

        def together_or_lose(*what: Any) -> Any:
            nonlocal lost
            fate = rng.random() if publishing else 1.0
            if fate < 0.2:
                lost += 1
                raise redis.exceptions.ConnectionError("request lost")
            result = send_pipeline(*what)
            if fate < 0.4:
                lost += 1
                raise redis.exceptions.ConnectionError("reply lost")
            return result

        publishing = False
        monkeypatch.setattr("mm.orders.partition_client.send_pipeline", together_or_lose)
        while not market.publisher.over.is_set():
            publishing = True
            try:
                market.publisher.step()
            except (Unavailable, redis.exceptions.ConnectionError):
                market.publisher.close()
                market.publisher.attach(market.world.make_scripts())
            publishing = False
            for process in market.others:
                process.step()
        summary = market.publisher.summary
        assert lost > 10
        assert (summary.sent, total(summary), summary.unanswered) == (150, 150, 0)
        assert summary.resent > 10
        names = [fill.order_id for fill in market.world.fills()]
        assert len(names) == len(set(names)) == summary.filled + summary.partially_filled
        assert_sound(market.world)

    @pytest.mark.parametrize("tape", ["", "tape", "paced"])
    def test_reads_nothing_internal(
        self, fake: Fake, tmp_path: Path, tape: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It touches the order API, its reports, the configuration; for a tape public readings.

        Those are whether a symbol has a quote and, when it paces a tape, the quote events.
        """
        flow: dict[str, Any] = {}
        if tape:
            flow = {"tape": trades(tmp_path, "1,AAA,buy,1.02,3"), "paced": tape == "paced"}
        market = Market(fake, orders=5, **flow)
        seen: set[str] = set()

        def recording(method: Callable[..., Any]) -> Callable[..., Any]:
            def record(client: Any, *command: Any, **options: Any) -> Any:
                seen.update(str(word) for word in command if str(word).startswith("{mm}"))
                return method(client, *command, **options)

            return record

        def recording_all(connection: Any, commands: Any) -> Any:
            seen.update(str(w) for words in commands for w in words if str(w).startswith("{mm}"))
            return pack(connection, commands)

        pack: Any = redis.connection.AbstractConnection.pack_commands
        with monkeypatch.context() as patch:
            for kind in (redis.Redis, redis.client.Pipeline):
                patch.setattr(kind, "execute_command", recording(kind.execute_command))
            patch.setattr(redis.connection.AbstractConnection, "pack_commands", recording_all)
            for _ in range(3):
                market.publisher.step()
        configuration = {"{mm}:config", "{mm}:terms:AAA", "{mm}:terms:BBB"}
        quotes = {"{mm}:quote:AAA"} if tape else set()
        quotes |= {"{mm}:quotes"} if tape == "paced" else set()
        own = {"{mm}:clients", "{mm}:orders", "{mm}:reports:publisher-1"}
        assert seen == configuration | quotes | own

    def test_tape(self, fake: Fake, tmp_path: Path) -> None:
        """It sends the trades of a tape in their order, and ends with the tape."""
        lines = ["1,AAA,buy,1.02,3", "5,BBB,sell,0.90,2", "5,AAA,sell,0.99,20"]
        (tmp_path / "t").write_text("\n".join(["ts_ms,symbol,side,price,qty", *lines]))
        market = Market(fake, tape=read_tape(tmp_path / "t"), speed=0)
        summary = market.run()
        sent = [line for _, line in market.world.records("orders")]
        assert sent == [
            "publisher-1 AAA buy 3 102",
            "publisher-1 BBB sell 2 90",
            "publisher-1 AAA sell 20 99",
        ]
        assert (summary.sent, summary.filled, summary.partially_filled) == (3, 2, 1)

    @pytest.mark.parametrize("paced", [True, False])
    def test_paced(self, fake: Fake, tmp_path: Path, paced: bool) -> None:
        """However the processes take turns, a paced tape gives the same trades; others differ."""
        rng = random.Random(7)
        lines = [
            f"{n},{rng.choice(('AAA', 'BBB'))},{rng.choice(('buy', 'sell'))},"
            f"{rng.randint(95, 105) / 100},{rng.randint(1, 14)}"
            for n in range(60)
        ]
        tape = trades(tmp_path, *lines)
        ledgers = set()
        for turn in range(4):
            market = Market(fake, tape=tape, speed=0, paced=paced, quotes_wait_s=1e6, in_flight=9)
            while not market.publisher.over.is_set():
                for process in rng.choices([market.publisher, *market.others], k=3):
                    process.step()
            market.publisher.finish()
            fills = market.world.fills()
            assert len(fills) > 20 or not paced, turn
            ledgers.add(tuple((f.symbol, f.side, f.qty_lots, f.price_ticks) for f in fills))
            assert_sound(market.world)
            market.world.client.flushall()
        assert (len(ledgers) == 1) == paced

    def test_tape_of_unknown_symbols(self, fake: Fake, tmp_path: Path) -> None:
        """A tape that the running system cannot trade is refused before anything is sent."""
        (tmp_path / "t").write_text("ts_ms,symbol,side,price,qty\n1,ZZZ,buy,1,1\n")
        market = Market(fake, tape=read_tape(tmp_path / "t"))
        with pytest.raises(UsageError, match="line 2: symbol 'ZZZ'"):
            market.publisher.step()
        assert market.world.records("orders") == []

    @pytest.mark.parametrize(
        "options",
        [
            {"duration_s": -1.0},
            {"duration_s": float("nan")},
            {"orders": 0},
            {"in_flight": 0},
            {"bulk": 0},
            {"drain_s": float("inf")},
            {"quotes_wait_s": -1.0},
            {"resend_after_s": 0.0},
        ],
        ids=str,
    )
    def test_refused_options(self, options: dict[str, Any]) -> None:
        """Options that cannot be used are refused by name."""
        with pytest.raises(ValueRefused, match=next(iter(options))):
            PublisherOptions(**options)


@pytest.mark.server
def test_over_a_real_server(valkey: Real, tmp_path: Path) -> None:
    """Over Valkey, with connections killed all the time, every order is answered."""
    config = default_config()
    world = World(valkey, config)
    options = PublisherOptions(
        flow=FlowOptions(rate_per_s=400.0, seed=5),
        orders=400,
        resend_after_s=0.2,
        drain_s=20.0,
        journal=tmp_path / "journal",
    )
    publisher = Publisher(valkey.client, world.keys, options=options)
    others: list[Process] = [world.exchange(), world.state(), world.maker()]
    stop, failures = threading.Event(), []

    def work(process: Process, until: threading.Event) -> None:
        try:
            process.run(until)
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=work, args=(process, stop)) for process in others]
    last = threading.Thread(target=work, args=(publisher, threading.Event()))
    for process, thread in zip(others, threads, strict=True):
        process.close()
        thread.start()
    last.start()
    try:
        while last.is_alive():
            last.join(0.25)
            execute(world.client, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    summary = publisher.summary
    assert not failures
    assert (summary.sent, total(summary), summary.unanswered) == (400, 400, 0)
    assert {one.report.fill_id for one in read_journal(tmp_path / "journal")} - {""} == {
        fill.fill_id for fill in world.fills()
    }
    assert_sound(world)


@pytest.mark.server
def test_creates_no_system(valkey: Real) -> None:
    """A publisher on a server without a system waits for one, and writes nothing."""
    publisher = Publisher(valkey.client, Keys())
    with pytest.raises(Unavailable, match=r"no system under \{mm\} yet"):
        publisher.open()
    assert valkey.client().dbsize() == 0


def test_the_duration_ends_without_a_server_too() -> None:
    """With no server the publisher ends after its duration, and says what it waited for."""
    url = "unix:///nowhere/redis.sock"
    publisher = Publisher(
        lambda: open_client(url), Keys(), options=PublisherOptions(duration_s=0.2)
    )
    said: list[str] = []
    publisher.say = said.append
    with pytest.raises(Unavailable, match=r"nothing was sent in 0.2 s: no server answers"):
        publisher.run(threading.Event())
    assert len(said) == 1
    assert said[0].startswith("waiting, for ever: no server answers")
    assert publisher.summary.sent == 0
