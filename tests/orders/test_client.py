"""The order client finds the partition of each symbol, and takes all of them as one system."""

from __future__ import annotations

import threading

import pytest
import redis

from mm.errors import SystemRefused, TimedOut, Unavailable, ValueRefused
from mm.market import Order
from mm.orders import OrderClient
from mm.store import Keys, execute
from tests.kit import Fake, Real, World, small_config
from tests.kit.partitioned import Partitioned

RESEND_S = 2.0


@pytest.fixture
def market(fake: Fake) -> Partitioned:
    """Two partitions with one symbol each, AAA and BBB, both quoted 10 lots at 99 x 101."""
    made = Partitioned(fake, small_config(2, partitions=2, limit=100))
    for _ in range(4):
        made.round()
    for name in ("AAA", "BBB"):
        made.world_of(name).propose(name)
    return made


@pytest.fixture
def client(market: Partitioned) -> OrderClient:
    """The client c1 of all partitions."""
    return OrderClient(market.root.backend.client(), market.root.keys, "c1", RESEND_S)


def order(symbol: str, order_id: str, limit: int = 101) -> Order:
    """An order of one lot."""
    return Order("c1", order_id, symbol, "buy", 1, limit)


def match(market: Partitioned) -> None:
    """Each exchange takes one step."""
    for world in market.worlds:
        world.scripts.match(10)


class TestRouting:
    def test_each_order_goes_to_its_partition(
        self, market: Partitioned, client: OrderClient
    ) -> None:
        """Orders of several symbols in one call reach the exchange that has the symbol."""
        client.send([order("AAA", "a1"), order("BBB", "b1"), order("AAA", "a2")])
        assert set(client.unanswered) == {"a1", "b1", "a2"}
        for name, ids in (("AAA", ["a1", "a2"]), ("BBB", ["b1"])):
            assert [one for one, _ in market.world_of(name).records("orders")] == ids
        match(market)
        reports = [*client.poll(), *client.poll()]
        assert sorted(report.order_id for report in reports) == ["a1", "a2", "b1"]
        assert {report.status for report in reports} == {"filled"}
        assert not client.unanswered and not market.root.stream("orders")

    def test_in_bulk(self, market: Partitioned, client: OrderClient) -> None:
        """All orders of a partition are one entry of it."""
        client.send_bulk([order("AAA", "a1"), order("BBB", "b1"), order("AAA", "a2")])
        assert [len(market.world_of(name).stream("orders")) for name in ("AAA", "BBB")] == [1, 1]

    def test_a_symbol_that_no_partition_has(self, market: Partitioned, client: OrderClient) -> None:
        """It gets a report like any order: rejected, by the reason for it."""
        client.send([order("NOPE", "n1")])
        match(market)
        (report,) = client.poll()
        assert (report.status, report.reason) == ("rejected", "unknown_symbol")

    def test_an_id_of_an_order_elsewhere(self, market: Partitioned, client: OrderClient) -> None:
        """An id that waits in another partition is refused, and nothing is sent."""
        client.send([order("AAA", "x")])
        with pytest.raises(ValueRefused, match="order_id 'x': another order of this id"):
            client.send([order("BBB", "y"), order("BBB", "x")])
        assert market.world_of("BBB").records("orders") == []

    def test_counts_are_of_all(self, market: Partitioned, client: OrderClient) -> None:
        """What was sent again, and what came twice, is summed."""
        client.send([order("AAA", "a1"), order("BBB", "b1")])
        client.send([order("AAA", "a1"), order("BBB", "b1")])
        match(market)
        for _ in range(4):
            client.poll()
        assert (client.resent, client.duplicates) == (2, 2)


class TestTrouble:
    def test_no_system_yet(self, fake: Fake) -> None:
        """Nothing is written where no system is; a submit gives up when its time is over."""
        early = OrderClient(fake.client(), Keys(), "c1", RESEND_S)
        with pytest.raises(Unavailable, match=r"no system under \{mm\} yet"):
            early.send([order("AAA", "a1")])
        with pytest.raises(TimedOut, match="it was not sent within"):
            early.submit(order("AAA", "a1"), 0.05)
        assert fake.client().dbsize() == 0

    def test_one_partition_cannot_be_reached(
        self, market: Partitioned, client: OrderClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The reports of the other come all the same; then the trouble is raised."""
        client.send([order("AAA", "a1"), order("BBB", "b1")])
        match(market)
        down = client._home_of(order("AAA", "a1"))

        def lost(*words: object) -> None:
            raise Unavailable("no server answers")

        monkeypatch.setattr(down, "poll", lost)
        assert [report.order_id for report in client.poll(50)] == ["b1"]
        with pytest.raises(Unavailable, match="no server answers"):
            client.poll()
        assert set(client.unanswered) == {"a1"}

    def test_a_server_that_refuses(
        self, market: Partitioned, client: OrderClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A user without rights learns it for good; a lost connection may be tried again."""
        for error, kind in (
            (redis.exceptions.NoPermissionError("NOPERM"), SystemRefused),
            (redis.exceptions.ConnectionError("lost"), Unavailable),
        ):

            def failing(*words: object, error: Exception = error) -> None:
                raise error

            monkeypatch.setattr("mm.orders.client.send_pipeline", failing)
            with pytest.raises(kind):
                client.send([order("AAA", "a1")])

    def test_bad_parameters(self, world: World) -> None:
        """A client id that breaks its rule, a timeout of 0 and no server are refused."""
        with pytest.raises(ValueRefused, match="client_id 'a b'"):
            OrderClient(world.client, world.keys, "a b")
        with pytest.raises(ValueRefused, match="resend_after_s 0"):
            OrderClient(world.client, world.keys, "c1", 0.0)
        with pytest.raises(ValueRefused, match="server 'nowhere'"):
            OrderClient.connect("nowhere", "c1")


@pytest.mark.server
def test_on_a_real_server(valkey: Real) -> None:
    """Over Valkey a report wakes a blocking poll, and killed connections lose no order."""
    world = World(valkey, small_config(of_symbol={"position_limit_lots": 1000}))
    world.propose("AAA")
    client = OrderClient.connect(valkey.server.url, "c1", resend_after_s=0.2)
    exchange, stop = world.exchange(), threading.Event()
    exchange.close()
    thread = threading.Thread(target=exchange.run, args=(stop,))
    thread.start()
    try:
        orders = [world.order("buy", 1, 101) for _ in range(30)]
        for number, order in enumerate(orders):
            if number % 10 == 5:
                execute(world.client, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            report = client.submit(order)
            assert (report.order_id, report.status) == (order.order_id, "filled") or number >= 10
    finally:
        stop.set()
        thread.join()
        client.close()
    assert not client.unanswered
    assert [fill.order_id for fill in world.fills()] == [order.order_id for order in orders[:10]]
