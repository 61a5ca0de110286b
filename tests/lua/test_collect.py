"""collect.lua and admit.lua: each client has an inbox, and sends under its own name only (R25)."""

from __future__ import annotations

import random

import pytest
from redis.exceptions import ResponseError

from mm.audit import audit
from mm.drain import is_drained
from mm.errors import ForeignSystem, ValueRefused
from mm.store import Operator, execute, take_snapshot, text
from tests.kit import SEEDS, SYSTEM_ID, Fake, MakeWorld, World, assert_sound, small_config

BUY = "c1 AAA buy 1 101"


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    """A quoted system that has admitted two clients."""
    made = make_world()
    made.propose("AAA")
    assert made.admit("c1", "c2") == ["c1", "c2"]
    return made


def left(world: World, client: str) -> int:
    """How many entries wait in the client's inbox."""
    return int(execute(world.client, "XLEN", world.keys.member("inbox:*", client)))


def sent(world: World) -> list[tuple[str, str]]:
    """The records of the stream of orders."""
    return list(world.records("orders"))


class TestCollect:
    def test_an_order_goes_its_way(self, world: World) -> None:
        """It leaves the inbox for the orders, is matched, and its report names its id."""
        world.send_to_inbox("c1", "o1", BUY)
        done = world.scripts.collect(100)
        assert (done.orders, done.refused, done.more) == (1, 0, False)
        assert sent(world) == [("o1", BUY)]
        assert left(world, "c1") == 0
        world.drain()
        assert [one.cum_lots for one in world.reports("c1")] == [1]
        assert_sound(world)

    def test_nothing_waits(self, world: World) -> None:
        """Without an order nothing is written, nor without clients."""
        before = world.dump()
        done = world.scripts.collect(100)
        assert (done.orders, done.refused, done.more) == (0, 0, False)
        assert world.dump() == before

    def test_another_clients_name(self, world: World) -> None:
        """It is refused: the sender gets a report, the dead letters get the order."""
        entry = world.send_to_inbox("c1", "o1", "c2 AAA buy 1 101", "o2", BUY)
        done = world.scripts.collect(100)
        assert (done.orders, done.refused, done.more) == (2, 1, False)
        assert sent(world) == [("o2", BUY)]
        (report,) = world.reports("c1")
        assert (report.order_id, report.status, report.reason) == (
            *("o1", "rejected", "foreign_client"),
        )
        assert (report.cum_lots, report.duplicate) == (0, False)
        assert world.reports("c2") == []
        (letter,) = (dict(fields) for _, fields in world.stream("deadletter"))
        assert letter == {
            "source": "inbox:c1",
            "entry_id": entry,
            "reason": "foreign_client",
            "raw": "o1 c2 AAA buy 1 101",
        }
        world.drain()
        assert_sound(world)

    @pytest.mark.parametrize(
        "line",
        ["", " ", "c", "c11 AAA buy 1 101", " c1 AAA buy 1 101", "C1 AAA buy 1 101", "c1\tAAA"],
    )
    def test_names_that_are_nearly_right(self, world: World, line: str) -> None:
        """Only a line whose first word is the client's id is the client's."""
        world.send_to_inbox("c1", "o1", line)
        taken = world.scripts.collect(100)
        own = line.split()[:1] == ["c1"] and not line.startswith(" ")
        assert taken.refused == (0 if own else 1)
        world.drain()
        assert_sound(world)

    @pytest.mark.parametrize("line", ["c1", "c1 AAA buy", "c1 AAA buy x 1"])
    def test_a_malformed_order_is_matched_as_ever(self, world: World, line: str) -> None:
        """What is wrong with the client's own order is for the matching script to say."""
        world.send_to_inbox("c1", "o1", line)
        assert world.scripts.collect(100).refused == 0
        world.drain()
        assert [dict(fields)["source"] for _, fields in world.stream("deadletter")] == ["orders"]
        assert_sound(world)

    def test_an_invalid_id_is_answered_under_a_dash(self, world: World) -> None:
        """A report cannot carry any text as its name."""
        world.send_to_inbox("c1", "o 1", "c2 AAA buy 1 101")
        world.scripts.collect(100)
        assert [report.order_id for report in world.reports("c1")] == ["-"]

    def test_the_same_order_through_both_ways(self, world: World) -> None:
        """It is executed once: the memory of orders does not ask which way one came."""
        world.send_raw("o1", BUY)
        world.send_to_inbox("c1", "o1", BUY)
        world.scripts.collect(100)
        world.drain()
        assert [report.duplicate for report in world.reports("c1")] == [False, True]
        assert len(world.fills()) == 1
        assert_sound(world)

    def test_shares(self, world: World) -> None:
        """A flood of one client leaves each other one its share of a step."""
        for number in range(50):
            world.send_to_inbox("c1", f"o{number}", BUY)
        for number in range(3):
            world.send_to_inbox("c2", f"o{number}", "c2 AAA buy 1 101")
        done = world.scripts.collect(10)
        assert (done.orders, done.more) == (8, True)
        assert (left(world, "c1"), left(world, "c2")) == (45, 0)
        done = world.scripts.collect(10)
        assert (done.orders, done.more) == (10, True)
        names = [line.split()[0] for _, line in sent(world)]
        assert sorted(names[:8]) == ["c1"] * 5 + ["c2"] * 3
        own = [order_id for order_id, line in sent(world) if line == BUY]
        assert own == [f"o{number}" for number in range(15)]

    def test_shares_are_whole(self, world: World) -> None:
        """What does not divide waits: a step takes no more than it may."""
        world.admit("c3")
        for client in ("c1", "c2", "c3"):
            for number in range(9):
                world.send_to_inbox(client, f"o{number}", f"{client} AAA buy 1 1")
        done = world.scripts.collect(10)
        assert (done.orders, done.more) == (9, True)

    def test_several_refusals(self, world: World) -> None:
        """Each has a report in an entry of its own, and one dead letter under its sender's name."""
        world.send_to_inbox("c1", "o1", "c9 AAA buy 1 1", "o1", "c8 AAA buy 1 1")
        world.send_to_inbox("c2", "o1", "c1 AAA buy 1 1")
        assert world.scripts.collect(10).refused == 3
        assert len(world.stream("reports:*", "c1")) == 2
        assert len(world.stream("reports:*", "c2")) == 1
        letters = [dict(fields) for _, fields in world.stream("deadletter")]
        found = sorted((one["source"], one["raw"]) for one in letters)
        assert found == [
            ("inbox:c1", "o1 c8 AAA buy 1 1"),
            ("inbox:c1", "o1 c9 AAA buy 1 1"),
            ("inbox:c2", "o1 c1 AAA buy 1 1"),
        ]

    def test_more_clients_than_a_step_takes(self, world: World) -> None:
        """Each still gives one entry, so none waits for ever."""
        names = [f"m{number}" for number in range(7)]
        world.admit(*names)
        for name in names:
            world.send_to_inbox(name, "o1", f"{name} AAA buy 1 101")
        assert world.scripts.collect(3).orders == 7

    def test_a_long_entry(self, world: World) -> None:
        """More records than one step takes, or one command can add, pass all the same."""
        words = [word for number in range(5_000) for word in (f"o{number}", BUY)]
        world.send_to_inbox("c1", *words)
        assert world.scripts.collect(100).orders == 5_000
        assert [order_id for order_id, _ in sent(world)] == [f"o{n}" for n in range(5_000)]
        assert left(world, "c1") == 0

    def test_what_is_counted(self, fake: Fake) -> None:
        """The hash of clients has the orders taken, and when the last was."""
        world = World(fake, small_config())
        world.admit("c1", "c2")
        assert world.hash("clients") == {"c1": "0 -", "c2": "0 -"}
        world.send_to_inbox("c1", "o1", BUY, "o2", BUY)
        world.scripts.collect(10)
        fake.advance(500)
        world.send_to_inbox("c1", "o3", BUY)
        world.scripts.collect(10)
        now = take_snapshot(world.scripts).now_ms
        assert world.hash("clients") == {"c1": f"3 {now}", "c2": "0 -"}

    def test_reports_are_bounded_and_expire(self, make_world: MakeWorld) -> None:
        """So are those of refused orders."""
        world = make_world(keep_reports=2, report_idle_ms=60_000)
        world.admit("c1")
        for number in range(300):
            world.send_to_inbox("c1", f"o{number}", "c2 AAA buy 1 101")
        world.scripts.collect(1_000)
        reports = world.keys.member("reports:*", "c1")
        assert execute(world.client, "XLEN", reports) < 300
        assert 0 < world.client.pttl(reports) <= 60_000

    def test_without_a_configuration(self, world: World) -> None:
        """Nothing is written."""
        world.send_to_inbox("c1", "o1", BUY)
        world.client.delete(world.keys.named("config"))
        with pytest.raises(ResponseError, match="DAMAGED"):
            world.scripts.collect(10)
        assert left(world, "c1") == 1

    @pytest.mark.parametrize("seed", SEEDS)
    def test_nothing_is_lost_or_doubled(self, make_world: MakeWorld, seed: int) -> None:
        """Whatever waits and however much a step takes: each order once, in its client's order."""
        draw = random.Random(seed)
        world = make_world()
        names = [f"c{number}" for number in range(4)]
        world.admit(*names)
        wanted: dict[str, list[str]] = {name: [] for name in names}
        for _ in range(60):
            name = draw.choice(names)
            words = []
            for _ in range(draw.randint(1, 5)):
                order_id = f"o{len(wanted[name])}"
                wanted[name].append(order_id)
                words += [order_id, f"{name} AAA buy 1 1"]
            world.send_to_inbox(name, *words)
            if draw.random() < 0.5:
                world.scripts.collect(draw.choice((1, 3, 10)))
        while world.scripts.collect(draw.choice((1, 3, 10))).orders:
            pass
        found: dict[str, list[str]] = {name: [] for name in names}
        for order_id, line in sent(world):
            found[line.split()[0]].append(order_id)
        assert found == wanted


class TestAdmit:
    def test_once(self, world: World) -> None:
        """Another time changes nothing; what was done is in the operations stream."""
        assert world.admit("c1", "c3") == ["c3"]
        assert world.admit("c1", "c3") == []
        found = [dict(fields) for _, fields in world.stream("operations")]
        assert [one["after"] for one in found] == ["c1 c2", "c3"]
        assert {(one["op"], one["symbol"], one["who"]) for one in found} == {("admit", "*", "ann")}

    @pytest.mark.parametrize("name", ["", "a b", "x" * 65, "ä"])
    def test_names(self, world: World, name: str) -> None:
        """One that no client may have is refused with all others of the call."""
        for names in (("c9", name), (name, "c9"), (name,)):
            with pytest.raises(ValueRefused, match="client"):
                world.admit(*names)
        assert set(world.hash("clients")) == {"c1", "c2"}

    def test_another_system(self, world: World) -> None:
        """Nothing is written to the keys of another system."""
        with pytest.raises(ForeignSystem, match=f"holds system {SYSTEM_ID}"):
            world.scripts.admit("0" * 16, Operator("ann"), "a test", ["c9"])
        world.client.delete(world.keys.named("config"))
        with pytest.raises(ForeignSystem, match="holds no system"):
            world.admit("c9")
        assert "c9" not in world.hash("clients")


class TestReaders:
    def test_what_waits_is_not_drained(self, fake: Fake) -> None:
        """An order in an inbox waits for the exchange; the audit at rest says so."""
        world = World(fake, small_config())
        world.admit("c1")
        assert is_drained(take_snapshot(world.scripts))
        world.send_to_inbox("c1", "o1", BUY)
        fake.advance(700)
        found = take_snapshot(world.scripts)
        assert not is_drained(found)
        assert (found.inbox_entries, found.lag_ms["exchange"]) == (1, 700)
        world.send_raw("o2", "c2 AAA buy 1 1")
        fake.advance(1)
        assert take_snapshot(world.scripts).lag_ms["exchange"] == 701
        notes = [note for check in audit(world.scripts).checks for note in check.notes]
        assert "1 entries of inboxes wait to be taken" in notes
        assert not audit(world.scripts, quiescent=True).ok
        world.scripts.collect(10)
        world.drain()
        assert is_drained(take_snapshot(world.scripts))
        assert audit(world.scripts, quiescent=True).ok

    def test_orders_collected_after_the_match_are_not_left(self, world: World) -> None:
        """The server knew one script and not the other, so they ran in the other order."""
        execute(world.client, "SCRIPT", "FLUSH")
        exchange = world.exchange()
        exchange.step(0)
        exchange.announce()
        world.send_to_inbox("c1", "o1", BUY)
        assert exchange.step(0) is True
        assert exchange.step(0) is False
        assert [one.cum_lots for one in world.reports("c1")] == [1]
        exchange.close()

    def test_the_exchange_takes_what_waits(self, world: World) -> None:
        """By itself, once it has seen whose inboxes there are, and of a later client too."""
        exchange = world.exchange()
        exchange.announce()
        for client in ("c1", "c3"):
            world.admit(client)
            world.send_to_inbox(client, "o1", f"{client} AAA buy 1 101")
            exchange.announce()
            assert exchange.step(0) is False
            assert text(world.records("orders")[-1][1]).startswith(client)
            assert [one.cum_lots for one in world.reports(client)] == [1]
        exchange.close()
