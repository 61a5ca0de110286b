"""The order client: an order stays unanswered until its report is read, and counts once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from mm.errors import SystemRefused, TimedOut, Unavailable, ValueRefused
from mm.market import CONFLICT, Report
from mm.orders import PartitionClient
from mm.orders.unanswered import MAX_WAIT_FACTOR
from mm.store import execute, send_pipeline
from tests.kit import Fake, Real, World, small_config, wait_for

RESEND_S = 2.0


class Clock:
    """Seconds that only the test moves."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    """The client's clock."""
    return Clock()


@pytest.fixture
def world(fake: Fake) -> World:
    """A small world whose first symbol is quoted 10 lots at 99 x 101."""
    made = World(fake, small_config())
    made.propose("AAA")
    return made


@pytest.fixture
def client(world: World, clock: Clock) -> PartitionClient:
    """The client c1 of the world."""
    return PartitionClient(world.backend.client(), world.keys, "c1", RESEND_S, clock)


def ids(reports: list[Report]) -> list[str]:
    """The order ids of reports."""
    return [report.order_id for report in reports]


def test_an_admitted_client_sends_to_its_inbox(world: World, client: PartitionClient) -> None:
    """There it waits for the exchange, which answers it as any other order."""
    world.admit("c1")
    client.send([world.order(client="c1", order_id="o1")])
    assert world.records("orders") == []
    assert [name for name, _ in world.records("inbox:*", "c1")] == ["o1"]
    world.scripts.collect(10)
    world.drain()
    assert ids(client.poll()) == ["o1"]
    assert not client.unanswered


def lose_replies(client: PartitionClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client's next round trip runs on the server, and then the connection is lost."""

    def run_and_lose(*what: Any) -> None:
        send_pipeline(*what)
        monkeypatch.setattr("mm.orders.partition_client.send_pipeline", send_pipeline)
        raise redis.exceptions.ConnectionError("reply lost")

    monkeypatch.setattr("mm.orders.partition_client.send_pipeline", run_and_lose)


class TestSending:
    def test_one_entry_an_order(self, world: World, client: PartitionClient) -> None:
        """send() appends each order as its own entry, in the form of the order API."""
        client.send([world.order("buy", 3, 101), world.order("sell", 2, 99)])
        entries = [entry for _, entry in world.stream("orders")]
        assert entries == [[("o1", "c1 AAA buy 3 101")], [("o2", "c1 AAA sell 2 99")]]

    def test_bulk_is_one_entry(self, world: World, client: PartitionClient) -> None:
        """send_bulk() appends all orders in one entry, and each gets its report."""
        client.send_bulk([world.order() for _ in range(3)])
        assert [len(entry) for _, entry in world.stream("orders")] == [3]
        world.scripts.match(10)
        assert ids(client.poll()) == ["o1", "o2", "o3"]

    def test_nothing_to_send(self, world: World, client: PartitionClient) -> None:
        """Sending no orders sends nothing."""
        client.send([])
        client.send_bulk([])
        assert world.stream("orders") == []

    def test_refused_before_anything_is_sent(self, world: World, client: PartitionClient) -> None:
        """Another client's order, and an id used for two orders, are refused; nothing is sent."""
        with pytest.raises(ValueRefused, match=r"client_id 'c2'.*must be this client's, 'c1'"):
            client.send([world.order(), world.order(client="c2")])
        with pytest.raises(ValueRefused, match=r"order_id 'x'.*must be unique"):
            client.send_bulk([world.order(order_id="x"), world.order(order_id="x")])
        assert world.stream("orders") == []
        assert not client.unanswered
        client.send([world.order(qty=1, order_id="x")])
        with pytest.raises(ValueRefused, match="order_id 'x'"):
            client.send([world.order(qty=2, order_id="x")])

    def test_bad_parameters(self, world: World) -> None:
        """A client id that breaks its rule and a timeout of 0 are refused."""
        with pytest.raises(ValueRefused, match="client_id 'a b'"):
            PartitionClient(world.client, world.keys, "a b")
        with pytest.raises(ValueRefused, match="resend_after_s 0"):
            PartitionClient(world.client, world.keys, "c1", 0.0)


class TestReports:
    def test_each_report_once(self, world: World, client: PartitionClient) -> None:
        """A poll returns the reports that arrived since the last one."""
        client.send([world.order("buy", 4, 101)])
        assert client.poll() == []
        world.scripts.match(10)
        (report,) = client.poll()
        assert (report.status, report.cum_lots, report.price_ticks) == ("filled", 4, 101)
        assert client.poll() == []
        assert not client.unanswered

    def test_starts_at_the_end_of_the_stream(self, world: World, client: PartitionClient) -> None:
        """Reports of an earlier run are not read. A report before the first poll is read."""
        world.trade(world.order(order_id="old"))
        client.send([world.order(order_id="new")])
        world.scripts.match(10)
        assert ids(client.poll()) == ["new"]
        assert client.unknown == 0

    def test_malformed_reports(self, world: World, client: PartitionClient) -> None:
        """Lines that a foreign program wrote are counted, and the true report still counts."""
        client.send([world.order()])
        key = world.keys.member("reports:*", "c1")
        lines: list[Any] = ["", "filled", "filled - x 1 - - 0 0", "won - 1 1 - - 0 0", b"\xff\xfe"]
        lines += ["filled - 1 1 - - 0 " + "9" * 5000]
        for line in lines:
            world.client.xadd(key, {"o1": line})
        world.client.xadd(key, {b"\xff": b"canceled no_quote 0 - - - 0 1"})
        assert client.poll() == []
        assert (client.malformed, client.unknown) == (len(lines), 1)
        world.scripts.match(10)
        assert ids(client.poll()) == ["o1"]

    def test_not_a_stream(self, world: World, client: PartitionClient) -> None:
        """A reports key of another type is refused for good, and says what is needed."""
        world.client.set(world.keys.member("reports:*", "c1"), "x")
        with pytest.raises(SystemRefused, match=r"WRONGTYPE.*must be this system's streams"):
            client.poll()
        world.client.delete(world.keys.member("reports:*", "c1"))
        world.client.set(world.keys.named("orders"), "x")
        with pytest.raises(SystemRefused, match="WRONGTYPE"):
            client.send([world.order()])


class TestResending:
    def test_after_the_timeout_and_not_before(
        self, world: World, client: PartitionClient, clock: Clock
    ) -> None:
        """An order without a report is sent again when its timeout is over, under the same id."""
        client.send([world.order()])
        clock.now_s += RESEND_S - 0.001
        client.poll()
        assert (len(world.records("orders")), client.resent) == (1, 0)
        clock.now_s += 0.001
        client.poll()
        first, second = world.records("orders")
        assert first == second
        assert client.resent == 1

    def test_two_reports_are_one_answer(
        self, world: World, client: PartitionClient, clock: Clock
    ) -> None:
        """An order sent twice is executed once and answered once; the duplicate is counted."""
        client.send([world.order("buy", 4, 101)])
        clock.now_s += RESEND_S
        client.poll()
        world.scripts.match(10)
        (report,) = client.poll()
        assert (report.status, report.duplicate) == ("filled", False)
        assert (client.duplicates, client.unknown) == (1, 0)
        assert len(world.fills()) == 1
        assert client.poll() == []

    def test_patience(self, world: World, client: PartitionClient, clock: Clock) -> None:
        """The timeout doubles with each sending, up to its bound."""
        client.send([world.order()])
        waits = []
        for _ in range(6):
            one = client.unanswered["o1"]
            waits.append((one.due_s - one.sent_s) / RESEND_S)
            clock.now_s = one.due_s
            client.poll()
        assert waits == [1, 2, 4, MAX_WAIT_FACTOR, MAX_WAIT_FACTOR, MAX_WAIT_FACTOR]

    def test_reply_lost(
        self, world: World, client: PartitionClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """If only the reply was lost, the next poll sends the order again; it executes once."""
        client.poll()
        lose_replies(client, monkeypatch)
        with pytest.raises(Unavailable, match="reply lost"):
            client.send([world.order("buy", 4, 101)])
        assert client.poll() == []
        world.scripts.match(10)
        assert ids(client.poll()) == ["o1"]
        assert len(world.records("orders")) == 2
        assert [fill.qty_lots for fill in world.fills()] == [4]

    def test_request_lost(self, world: World, client: PartitionClient, fake: Fake) -> None:
        """An order given while no server answers is sent by the first poll that reaches one."""
        fake.server.connected = False
        for _ in range(2):
            with pytest.raises(Unavailable, match="no server answers"):
                client.trade([world.order()])
        fake.server.connected = True
        client.poll()
        world.scripts.match(10)
        assert sorted(ids(client.poll())) == ["o1", "o2"]
        assert len(world.records("orders")) == 2

    def test_reports_lost_with_their_reply(
        self, world: World, client: PartitionClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Reports in a reply that was lost are read again."""
        client.send([world.order()])
        world.scripts.match(10)
        lose_replies(client, monkeypatch)
        with pytest.raises(Unavailable):
            client.poll()
        assert ids(client.poll()) == ["o1"]
        assert client.resent == 0

    def test_reports_gone(self, world: World, client: PartitionClient, clock: Clock) -> None:
        """When the stream no longer has the report, the duplicate answers the order."""
        client.send([world.order("buy", 4, 101)])
        world.scripts.match(10)
        world.client.delete(world.keys.member("reports:*", "c1"))
        assert client.poll() == []
        clock.now_s += RESEND_S
        client.poll()
        world.scripts.match(10)
        (report,) = client.poll()
        assert (report.status, report.duplicate, client.duplicates) == ("filled", True, 1)
        assert len(world.fills()) == 1

    def test_stream_begun_anew_with_lower_ids(
        self, world: World, client: PartitionClient, clock: Clock, fake: Fake
    ) -> None:
        """After an expiry and a server clock set back, reports with lower ids are still found."""
        client.send([world.order()])
        world.scripts.match(10)
        assert ids(client.poll()) == ["o1"]
        world.client.delete(world.keys.member("reports:*", "c1"))
        fake.set_ms(world.now_ms() - 60_000)
        client.send([world.order()])
        world.scripts.match(10)
        assert client.poll() == []
        clock.now_s += RESEND_S
        assert ids(client.poll()) == ["o2"]


class TestSharedIds:
    """Two senders share a client id, against the rule, and use one order id."""

    @pytest.mark.parametrize(
        "line",
        [
            "filled - 2 101 AAA-1 AAA-1 0 5",
            "filled - 3 101 BBB-1 BBB-1 0 5",
            "filled - 3 98 AAA-1 AAA-1 0 5",
            "filled - 4 99 AAA-1 AAA-1 0 5",
            "partially_filled exhausted 3 99 AAA-1 AAA-1 0 5",
        ],
    )
    def test_report_of_the_other_order(
        self, world: World, client: PartitionClient, line: str
    ) -> None:
        """A fill that the waiting order cannot have is not its answer: the next report is."""
        client.send([world.order("sell", 3, 99, order_id="x")])
        execute(world.client, "XADD", world.keys.member("reports:*", "c1"), "*", "x", line)
        assert client.poll() == []
        assert (list(client.unanswered), client.unknown) == (["x"], 1)
        world.scripts.match(10)
        (report,) = client.poll()
        assert (report.status, report.cum_lots, report.price_ticks) == ("filled", 3, 99)

    def test_duplicate_of_the_other_order(self, world: World, client: PartitionClient) -> None:
        """A repeated fill that the order cannot have shows that its id belongs to another."""
        client.send([world.order("sell", 3, 99, order_id="x")])
        line = "filled - 2 101 AAA-1 AAA-1 1 5"
        execute(world.client, "XADD", world.keys.member("reports:*", "c1"), "*", "x", line)
        (report,) = client.poll()
        assert (report.status, report.reason, report.cum_lots) == ("rejected", CONFLICT, 0)
        assert not client.unanswered


class TestSubmit:
    @pytest.fixture
    def exchange(self, world: World) -> Iterator[None]:
        """An exchange at work in a thread."""
        stop = threading.Event()
        scripts = world.make_scripts()

        def work() -> None:
            while not stop.wait(0.001):
                scripts.match(100)

        thread = threading.Thread(target=work)
        thread.start()
        yield
        stop.set()
        thread.join()

    def test_report(self, world: World, client: PartitionClient, exchange: None) -> None:
        """submit() returns the order's own report and keeps the others for the next poll."""
        client.send([world.order(order_id="other")])
        report = client.submit(world.order("sell", 2, 99, order_id="mine"))
        assert (report.order_id, report.status) == ("mine", "filled")
        wait_for("the other report", lambda: ids(client.poll()) == ["other"])

    def test_again(self, world: World, client: PartitionClient, exchange: None) -> None:
        """An order submitted again after its answer gets the first outcome, marked duplicate."""
        order = world.order("buy", 2, 101)
        first, second = client.submit(order), client.submit(order)
        assert (first.duplicate, second.duplicate) == (False, True)
        assert (first.fill_id, second.fill_id) == ("AAA-1", "AAA-1")
        assert len(world.fills()) == 1

    def test_id_of_another_order(
        self, world: World, client: PartitionClient, exchange: None
    ) -> None:
        """Another order under a used id is reported as a conflict, without the first one's fill."""
        client.submit(world.order("buy", 2, 101, order_id="x"))
        report = client.submit(world.order("sell", 3, 99, "BBB", order_id="x"))
        assert (report.status, report.reason) == ("rejected", CONFLICT)
        assert (report.cum_lots, report.fill_id, report.duplicate) == (0, "", False)

    def test_timed_out(self, world: World, client: PartitionClient) -> None:
        """Without an exchange submit() times out; a later poll still answers the order."""
        with pytest.raises(TimedOut, match=r"order o1: no report within 0 s.*same order_id"):
            client.submit(world.order(), timeout_s=0)
        assert list(client.unanswered) == ["o1"]
        world.scripts.match(10)
        assert ids(client.poll()) == ["o1"]

    def test_no_server(self, world: World, client: PartitionClient, fake: Fake) -> None:
        """Without a server submit() times out too, and names the cause."""
        fake.server.connected = False
        with pytest.raises(TimedOut, match="no server answers"):
            client.submit(world.order(), timeout_s=0)

    def test_over_a_lost_reply(
        self, world: World, client: PartitionClient, exchange: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """submit() goes on over a lost connection; the order is executed once."""
        client.poll()
        lose_replies(client, monkeypatch)
        report = client.submit(world.order("buy", 2, 101))
        assert report.status == "filled"
        assert len(world.fills()) == 1


@pytest.mark.server
def test_out_of_memory(valkey: Real) -> None:
    """An order that the server cannot take, for lack of memory, stays unanswered until it can."""
    world = World(valkey, small_config())
    client = PartitionClient(valkey.client(), world.keys, "c1")
    client.poll()
    try:
        execute(world.client, "CONFIG", "SET", "maxmemory", 1)
        with pytest.raises(Unavailable, match="memory limit"):
            client.send([world.order()])
        with pytest.raises(Unavailable, match="memory limit"):
            client.poll()
    finally:
        execute(world.client, "CONFIG", "SET", "maxmemory", 0)
    assert client.poll() == []
    world.scripts.match(10)
    assert ids(client.poll()) == ["o1"]
