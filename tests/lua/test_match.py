"""match.lua: each outcome of an order, and all that one atomic step moves together."""

from __future__ import annotations

from typing import Any

import pytest

from mm.market import Order
from mm.store import execute
from tests.kit import MakeWorld, World, assert_sound, outcome

TTL = 150


class TestOutcomes:
    def test_full_fill_buy(self, quoted: World) -> None:
        """A buy whose limit reaches the ask fills at the ask; the report names fill and quote."""
        (report,) = quoted.trade(quoted.order("buy", 4, 101))
        assert outcome(report) == ("filled", "", 4, 101)
        assert (report.fill_id, report.quote_id, report.duplicate) == ("AAA-1", "AAA-1", False)
        assert quoted.quote_lots() == (10, 6)

    def test_full_fill_sell(self, quoted: World) -> None:
        """A sell whose limit reaches the bid fills at the bid, not at its own limit."""
        (report,) = quoted.trade(quoted.order("sell", 4, 90))
        assert outcome(report) == ("filled", "", 4, 99)
        assert quoted.quote_lots() == (6, 10)

    def test_exactly_the_remaining(self, quoted: World) -> None:
        """An order of exactly the remaining quantity is filled, not partially filled."""
        (report,) = quoted.trade(quoted.order("buy", 10))
        assert outcome(report) == ("filled", "", 10, 101)
        assert quoted.quote_lots() == (10, 0)

    def test_partial_fill(self, quoted: World) -> None:
        """An order larger than what remains fills that, and the rest is cancelled as exhausted."""
        (report,) = quoted.trade(quoted.order("buy", 11))
        assert outcome(report) == ("partially_filled", "exhausted", 10, 101)

    def test_exhausted(self, quoted: World) -> None:
        """An order that finds nothing remaining on its side is cancelled and says so."""
        _, report = quoted.trade(quoted.order("buy", 10), quoted.order("buy", 1))
        assert outcome(report) == ("canceled", "exhausted", 0, 0)
        assert (report.fill_id, report.quote_id) == ("", "AAA-1")

    @pytest.mark.parametrize(("side", "limit"), [("buy", 100), ("sell", 100)])
    def test_not_crossing(self, quoted: World, side: Any, limit: int) -> None:
        """One tick short of the quote's price does not fill."""
        (report,) = quoted.trade(quoted.order(side, 1, limit))
        assert outcome(report) == ("canceled", "not_crossing", 0, 0)

    @pytest.mark.parametrize(("side", "limit"), [("buy", 101), ("sell", 99)])
    def test_touching_crosses(self, quoted: World, side: Any, limit: int) -> None:
        """A limit equal to the quote's price fills."""
        (report,) = quoted.trade(quoted.order(side, 1, limit))
        assert outcome(report) == ("filled", "", 1, limit)

    def test_no_quote(self, world: World) -> None:
        """Without a quote an order is cancelled and names no quote."""
        (report,) = world.trade(world.order())
        assert outcome(report) == ("canceled", "no_quote", 0, 0)
        assert report.quote_id == ""

    def test_one_sided_quote(self, world: World) -> None:
        """A side that is not quoted counts as no quote; the other side still fills."""
        world.propose(ask_lots=0)
        bought, sold = world.trade(world.order("buy"), world.order("sell"))
        assert outcome(bought) == ("canceled", "no_quote", 0, 0)
        assert outcome(sold) == ("filled", "", 1, 99)
        assert_sound(world)

    def test_unknown_symbol(self, quoted: World) -> None:
        """An order for a symbol that is not configured is rejected and kept on the dead letters."""
        (report,) = quoted.trade(quoted.order(symbol="ZZZ"))
        assert outcome(report) == ("rejected", "unknown_symbol", 0, 0)
        ((_, fields),) = quoted.stream("deadletter")
        assert dict(fields)["reason"] == "unknown_symbol"

    def test_halted(self, quoted: World) -> None:
        """A halted symbol fills nothing, though its quote still stands; the others go on."""
        execute(quoted.client, "HSET", quoted.keys.member("position:*", "AAA"), "halted", "why")
        first, other = quoted.trade(quoted.order(), quoted.order(symbol="BBB"))
        assert outcome(first) == ("canceled", "halted", 0, 0)
        assert other.status == "filled"

    def test_reaped_quote(self, make_world: MakeWorld) -> None:
        """A quote past its expiry cannot be executed, whether or not anyone has announced it."""
        world = make_world(quote_ttl_ms=TTL, refresh_ms=1)
        world.propose()
        world.advance(TTL)
        (report,) = world.trade(world.order())
        assert (report.status, report.cum_lots) == ("canceled", 0)
        assert report.reason in ("no_quote", "expired")
        assert world.fills() == []

    def test_unreaped_quote(self, make_world: MakeWorld) -> None:
        """A quote whose key the server has not reaped is refused by its stored expiry alone."""
        world = make_world(quote_ttl_ms=TTL, refresh_ms=1)
        world.propose()
        execute(world.client, "PERSIST", world.keys.member("quote:*", "AAA"))
        world.advance(TTL)
        (report,) = world.trade(world.order())
        assert outcome(report) == ("canceled", "expired", 0, 0)
        assert report.quote_id == "AAA-1"

    def test_last_millisecond(self, fake_world: World) -> None:
        """A quote is good in its last millisecond and dead at its expiry itself."""
        world = fake_world
        placed = world.propose()
        execute(world.client, "PERSIST", world.keys.member("quote:*", "AAA"))
        world.backend.set_ms(placed.expires_ms - 1)  # type: ignore[attr-defined]  # it is the fake
        assert world.trade(world.order())[0].status == "filled"
        world.backend.set_ms(placed.expires_ms)  # type: ignore[attr-defined]  # it is the fake
        assert world.trade(world.order())[0].reason == "expired"


class TestSteps:
    def test_order_of_execution(self, make_world: MakeWorld) -> None:
        """Orders execute in stream order, within an entry in field order, over all clients."""
        world = make_world()
        world.propose()
        world.send(world.order("buy", 6, client="a"), world.order("buy", 3, client="b"))
        world.send(world.order("buy", 3, client="a"))
        world.scripts.match(10)
        assert [(fill.client_id, fill.qty_lots) for fill in world.fills()] == [
            ("a", 6),
            ("b", 3),
            ("a", 1),
        ]
        assert [fill.fill_id for fill in world.fills()] == ["AAA-1", "AAA-2", "AAA-3"]

    def test_one_step_moves_everything(self, quoted: World) -> None:
        """Quote, reservation, totals, ledger, reports, sequence and cursor move in one step."""
        quoted.send(quoted.order("buy", 4), quoted.order("sell", 3), quoted.order(symbol="BBB"))
        entry = quoted.send(quoted.order("buy", 2, client="c2"))
        done = quoted.scripts.match(10)
        assert (done.orders, done.fills, done.cursor, done.more) == (4, 4, entry, False)
        assert quoted.quote_lots("AAA") == (7, 4)
        held = quoted.hash("reservation:*", "AAA")
        assert (held["bid_units"], held["ask_units"]) == ("7", "4")
        assert quoted.reserved() == (17, 13)
        assert quoted.hash("symbol:*", "AAA")["fill_seq"] == "3"
        assert quoted.hash("symbol:*", "BBB")["fill_seq"] == "1"
        assert quoted.hash("cursors")["exchange_records"] == "4"
        assert (len(quoted.reports("c1")), len(quoted.reports("c2"))) == (3, 1)
        assert_sound(quoted)

    def test_packed(self, quoted: World) -> None:
        """A batch is one ledger entry and one report entry a client, a record an order."""
        for _ in range(3):
            quoted.send(quoted.order(), quoted.order())
        quoted.scripts.match(10)
        assert [len(records) for _, records in quoted.stream("fills")] == [6]
        assert [len(records) for _, records in quoted.stream("reports:*", "c1")] == [6]

    def test_ledger_record(self, quoted: World) -> None:
        """A fill record is the contract's line, word for word."""
        quoted.trade(quoted.order("sell", 3, client="bob", order_id="x"))
        ((name, line),) = quoted.records("fills")
        assert name == "AAA-1"
        assert line.split(" ")[:6] == ["sell", "3", "99", "bob", "x", "AAA-1"]
        assert line.split(" ")[6] == str(
            quoted.report(Order("bob", "x", "AAA", "sell", 3, 1)).ts_ms
        )

    def test_running_again_does_nothing(self, quoted: World) -> None:
        """With nothing new behind the cursor another run changes no key."""
        quoted.trade(quoted.order("buy", 4))
        before = quoted.dump()
        done = quoted.scripts.match(10)
        assert (done.orders, done.fills, done.more) == (0, 0, False)
        assert quoted.dump() == before

    def test_empty_market(self, world: World) -> None:
        """Before the first order the step does nothing and says so."""
        before = world.dump()
        done = world.scripts.match(10)
        assert (done.cursor, done.orders, done.next_expiry_ms) == ("0-0", 0, 0)
        assert world.dump() == before

    def test_entry_never_split(self, quoted: World) -> None:
        """A bulk entry above the batch size is taken whole; the next one waits."""
        quoted.send(*(quoted.order() for _ in range(5)))
        quoted.send(quoted.order(), quoted.order())
        first = quoted.scripts.match(3)
        assert (first.orders, first.more) == (5, True)
        second = quoted.scripts.match(3)
        assert (second.orders, second.more) == (2, False)

    def test_batch_size(self, quoted: World) -> None:
        """A step takes entries while they fit, and tells whether more is at hand."""
        for _ in range(5):
            quoted.send(quoted.order())
        done = [quoted.scripts.match(2) for _ in range(3)]
        assert [(one.orders, one.more) for one in done] == [(2, True), (2, True), (1, False)]

    def test_batches_do_not_change_the_result(self, fake_world: World) -> None:
        """More than 100 entries, read in chunks, all are taken, none twice."""
        for _ in range(250):
            fake_world.send(fake_world.order())
        done = fake_world.scripts.match(1000)
        assert (done.orders, done.more) == (250, False)
        assert len({one.order_id for one in fake_world.reports()}) == 250

    def test_next_expiry(self, quoted: World) -> None:
        """The reply names the earliest deadline, so that the exchange knows until when to wait."""
        deadlines = [int(quoted.hash("quote:*", name)["expires_ms"]) for name in quoted.names]
        assert quoted.scripts.match(10).next_expiry_ms == min(deadlines)

    def test_many_fills(self, make_world: MakeWorld) -> None:
        """More than 1,000 fills in one batch are all in the ledger, in entries of at most 1,000."""
        world = make_world(limit=5000, size=3000, of_symbol={"position_limit_lots": 5000})
        world.propose()
        world.send(*(world.order() for _ in range(2300)))
        assert world.scripts.match(100).fills == 2300
        sizes = [len(records) for _, records in world.stream("fills")]
        assert sizes == [1000, 1000, 300]
        assert [fill.seq for fill in world.fills()] == list(range(1, 2301))
        assert len(world.reports()) == 2300
        before = world.quote_lots()
        world.drain()
        assert world.position()["net_lots"] == -2300
        assert before == (3000, 700)
        assert_sound(world)

    def test_many_duplicates(self, make_world: MakeWorld) -> None:
        """Thousands of orders sent again in one batch are all recognised."""
        world = make_world(limit=9000, size=9000, of_symbol={"position_limit_lots": 9000})
        world.propose()
        orders = [world.order() for _ in range(4500)]
        world.send(*orders)
        world.scripts.match(1)
        world.send(*orders)
        done = world.scripts.match(1)
        assert (done.duplicates, done.fills) == (4500, 0)

    def test_notional(self, make_world: MakeWorld) -> None:
        """In notional mode a fill frees price x lots x multiplier of its side."""
        world = make_world(mode="notional", limit=10_000, of_symbol={"multiplier": 3})
        world.propose(bid_lots=10, ask_lots=10)
        assert world.reserved() == (10 * 99 * 3, 10 * 101 * 3)
        world.trade(world.order("buy", 4), world.order("sell", 1))
        assert world.reserved() == (9 * 99 * 3, 6 * 101 * 3)
        assert_sound(world)

    def test_fill_after_expiry_of_another(self, make_world: MakeWorld) -> None:
        """An expired quote that nobody has released does not disturb fills of the others."""
        world = make_world(quote_ttl_ms=TTL, refresh_ms=1)
        world.propose("AAA")
        world.advance(TTL)
        world.propose("BBB")
        first, second = world.trade(world.order(symbol="AAA"), world.order(symbol="BBB"))
        assert (first.cum_lots, second.cum_lots) == (0, 1)
        assert_sound(world)


class TestBounds:
    def test_reports_expire(self, make_world: MakeWorld) -> None:
        """A client's reports are gone when it has been idle for the configured time."""
        world = make_world(report_idle_ms=120)
        world.trade(world.order())
        assert world.reports()
        world.advance(121)
        assert not world.reports()

    def test_reports_expiry_is_pushed_on(self, make_world: MakeWorld) -> None:
        """Each new report gives the stream its whole idle time again."""
        world = make_world()
        key = world.keys.member("reports:*", "c1")
        world.trade(world.order())
        first = int(execute(world.client, "PEXPIRETIME", key))
        world.advance(20)
        world.trade(world.order())
        assert int(execute(world.client, "PEXPIRETIME", key)) >= first + 20

    def test_reports_bounded(self, make_world: MakeWorld) -> None:
        """A client's report stream does not grow without end."""
        world = make_world(keep_reports=5, keep_deadletters=10_000)
        for _ in range(300):
            world.send(world.order())
            world.scripts.match(1)
        # The server trims in blocks of about a hundred entries.
        assert len(world.stream("reports:*", "c1")) <= 5 + 200

    def test_deadletters_bounded(self, make_world: MakeWorld) -> None:
        """The dead-letter stream does not grow without end."""
        world = make_world(keep_deadletters=5)
        for _ in range(300):
            world.send_raw("x", "")
        world.scripts.match(1000)
        assert len(world.stream("deadletter")) <= 5 + 200

    def test_orders_trimmed_behind_the_cursor(self, make_world: MakeWorld) -> None:
        """Old orders go, the newest keep_orders stay, and none that is unprocessed ever goes."""
        world = make_world(keep_orders=50)
        for round_ in range(30):
            for _ in range(20):
                world.send(world.order())
            world.send(world.order())
            before = len(world.stream("orders"))
            world.scripts.match(20)
            left = [entry for entry, _ in world.stream("orders")]
            cursor = world.cursor("exchange")
            kept = [entry for entry in left if _key(entry) <= _key(cursor)]
            assert len(kept) >= min(50, before - len(left) + len(kept))
            assert len([one for one in left if _key(one) > _key(cursor)]) == round_ + 1
        assert len(world.reports()) == 600
        assert len(world.stream("orders")) < 400

    def test_ledger_never_trimmed(self, make_world: MakeWorld) -> None:
        """The ledger keeps every fill, whatever the other bounds are."""
        world = make_world(
            limit=500,
            size=500,
            of_symbol={"position_limit_lots": 1000},
            keep_orders=5,
            keep_reports=5,
            keep_updates=5,
            keep_quotes=5,
            keep_deadletters=5,
        )
        world.propose()
        for _ in range(250):
            world.send(world.order())
            world.scripts.match(10)
        assert len(world.fills()) == 250


def _key(entry: str) -> tuple[int, int]:
    first, _, second = entry.partition("-")
    return int(first), int(second)
