"""The facts of a snapshot: plain, exact and stable numbers."""

from __future__ import annotations

import json
import random
from decimal import Decimal
from typing import Any

import pytest

from mm.facts import (
    Mark,
    active_quotes,
    budgets,
    exposure_facts,
    halts,
    mark_of,
    mark_price,
    positions_facts,
    process_rows,
    profit_of,
    quotes_facts,
    status_facts,
    symbol_count,
    totals,
)
from mm.market import MAX_INT, Config, Side
from mm.store import take_snapshot
from tests.kit import SEEDS, Fake, World, make_symbol, small_config, symbol_names


def beat(world: World, name: str, restarts: int = 0) -> None:
    """A heartbeat of a process."""
    world.beat(name, 7, pid=4711, fields={"restarts": str(restarts)})


def plain(facts: object) -> Any:
    """The facts after a way through JSON, which changes nothing that is plain."""
    there_and_back = json.loads(json.dumps(facts))
    assert there_and_back == facts
    return there_and_back


class TestPositions:
    def test_facts(self, fake_world: World) -> None:
        """Decimals are text, integers integers; position, profit and versions are there."""
        fake_world.propose("AAA", bid=98, ask=101)
        fake_world.trade(fake_world.order("sell", 4), fake_world.order("buy", 2))
        fake_world.scripts.commit(10)
        fake_world.trade(fake_world.order("sell", 1))
        traded, fresh = plain(positions_facts(take_snapshot(fake_world.scripts)))
        assert traded == {
            "symbol": "AAA",
            "net_lots": 2,
            "net_quantity": "2",
            "position_limit_lots": 100,
            "cost": "1.96",
            "average_cost": "0.98",
            "cash": "-1.90",
            "realised": "0.06",
            "unrealised": "0.03",
            "profit": "0.09",
            "spread_earned": "0.09",
            "inventory_profit": "0.00",
            "currency": None,
            "mark": "0.995",
            "mark_source": "quote",
            "last_price": "1.01",
            "last_fill_id": "AAA-2",
            "position_version": 2,
            "fill_seq": 3,
            "updated_ms": fake_world.now_ms(),
        }
        assert (fresh["last_price"], fresh["last_fill_id"], fresh["updated_ms"]) == (None, None, 0)
        assert (fresh["cost"], fresh["average_cost"]) == ("0.00", None)

    def test_average_cost(self, fake: Fake) -> None:
        """The average cost is exact, or rounded to a ten-thousandth of a tick; cost is exact."""
        world = World(fake, small_config(1, of_symbol={"multiplier": 50}))

        def after(side: Side, lots: int, bid: int) -> tuple[object, ...]:
            world.propose("AAA", bid=bid, ask=101)
            world.trade(world.order(side, lots))
            world.scripts.commit(10)
            (facts,) = positions_facts(take_snapshot(world.scripts))
            return facts["net_lots"], facts["cost"], facts["average_cost"]

        assert after("sell", 1, bid=98) == (1, "49.00", "0.98")
        assert after("sell", 2, bid=99) == (3, "148.00", "0.986667")
        assert after("sell", 1, bid=98) == (4, "197.00", "0.985")
        assert after("buy", 8, bid=98) == (-4, "-202.00", "1.01")
        assert after("sell", 4, bid=98) == (0, "0.00", None)

    def test_mark_of_a_quote_with_one_side(self, fake_world: World) -> None:
        """A side that is not quoted leaves the last price as the mark, a filled side does not."""
        fake_world.propose("AAA", bid=98, ask=105, ask_lots=0)
        fake_world.propose("BBB", bid=98, ask=105)
        for name in ("AAA", "BBB"):
            fake_world.trade(fake_world.order("sell", 10, symbol=name))
        fake_world.scripts.commit(10)
        states = take_snapshot(fake_world.scripts).symbols
        assert mark_of(states["AAA"]) == Mark(2 * 98, "last")
        assert mark_of(states["BBB"]) == Mark(98 + 105, "quote")

    def test_mark_without_any_price(self, fake_world: World) -> None:
        """Before the first quote and fill the reference price is the mark."""
        state = take_snapshot(fake_world.scripts).symbols["AAA"]
        assert mark_of(state) == Mark(2 * state.symbol.reference_ticks, "reference")

    def test_half_ticks_are_exact_up_to_the_largest_numbers(self, fake: Fake) -> None:
        """The middle of an odd spread near 2^53 gives a mark and a profit without rounding."""
        price = 2**52 - 10
        of_symbol = {"reference_ticks": price, "size_lots": 1, "position_limit_lots": 1}
        of_symbol["tick"] = Decimal("0.00000001")  # type: ignore[assignment]  # a mixed table
        config = small_config(1, limit=MAX_INT, mode="notional", of_symbol=of_symbol)
        world = World(fake, config)
        world.propose(bid=price, bid_lots=1, ask=price + 1, ask_lots=0)
        world.trade(world.order("sell", 1))
        world.scripts.commit(10)
        found = take_snapshot(world.scripts)
        state = found.symbols["AAA"]
        mark = Mark(2 * price + 1, "quote")
        exact = Decimal(2 * price + 1) / 2 * state.symbol.tick
        assert mark_price(state.symbol, mark) == f"{exact:f}"
        assert profit_of(state, mark).unrealised == "0.000000005"
        (facts,) = positions_facts(found)
        assert facts["mark"] == f"{price * state.symbol.tick:f}"
        assert facts["cash"] == f"-{price * state.symbol.tick:f}"

    def test_spread_and_inventory_are_the_profit(self, fake: Fake) -> None:
        """The spread is what the fills earned against the middles of their quotes; the rest moved.

        The first quote 98 x 103 buys 4 at 98: 4 x 2.5 ticks. The second one, 90 x 92, sells 1 at
        92: 1 tick. The mark is its middle, 91: cash -392 + 92, and 3 lots at 91: -27 ticks.
        """
        world = World(fake, small_config(1, of_symbol={"multiplier": 10}))
        world.propose(bid=98, ask=103)
        world.trade(world.order("sell", 4))
        world.scripts.commit(10)
        world.propose(bid=90, ask=92)
        world.trade(world.order("buy", 1))
        world.scripts.commit(10)
        (facts,) = positions_facts(take_snapshot(world.scripts))
        assert facts["spread_earned"] == "1.10"
        assert (facts["profit"], facts["inventory_profit"]) == ("-2.70", "-3.80")

    @pytest.mark.parametrize("seed", SEEDS)
    def test_the_parts_sum_to_the_total_to_the_tick(self, fake: Fake, seed: int) -> None:
        """Over random quotes and fills: in each symbol, and in the total of each currency."""
        symbols = [
            make_symbol("AAA", tick=Decimal("0.05"), currency="EUR"),
            make_symbol("BBB", lot=Decimal("0.001"), multiplier=7),
            make_symbol("CCC", tick=Decimal("0.0001")),
        ]
        world = World(fake, Config(tuple(symbols), limit_units=10_000, currency="USD"))
        rng = random.Random(seed)
        for _ in range(120):
            name = rng.choice(world.names)
            bid = rng.randint(50, 150)
            ask = bid + rng.randint(1, 9)
            world.propose(name, bid=bid, ask=ask)
            sides: list[tuple[Side, int]] = [("buy", ask), ("sell", bid)]
            side, limit = rng.choice(sides)
            world.trade(world.order(side, rng.randint(1, 9), limit, symbol=name))
            world.scripts.commit(10)
        found = take_snapshot(world.scripts)
        rows = positions_facts(found)
        for row in rows:
            parts = Decimal(str(row["spread_earned"])) + Decimal(str(row["inventory_profit"]))
            assert parts == Decimal(str(row["profit"]))
            assert Decimal(str(row["spread_earned"])) > 0
        sums = totals(found)
        assert [one.currency for one in sums] == ["EUR", "USD"]
        for one in sums:
            own = [row for row in rows if row["currency"] == one.currency]
            for field, total in (("profit", one.total), ("spread_earned", one.spread)):
                assert Decimal(total) == sum(Decimal(str(row[field])) for row in own)
            assert Decimal(one.total) == Decimal(one.spread) + Decimal(one.inventory)
            assert Decimal(one.total) == Decimal(one.realised) + Decimal(one.unrealised)

    def test_total_profit(self, fake_world: World) -> None:
        """The total is the exact sum of the symbols' profits, half ticks included."""
        for name in ("AAA", "BBB"):
            fake_world.propose(name, bid=98, ask=101)
            fake_world.trade(fake_world.order("sell", 1, symbol=name))
        fake_world.scripts.commit(10)
        assert Decimal(totals(take_snapshot(fake_world.scripts))[0].total) == Decimal("0.03")


class TestQuotes:
    def test_facts(self, fake_world: World) -> None:
        """A side that is not quoted has no price, a symbol without a quote has no quote facts."""
        fake_world.propose("AAA", bid=98, ask=101, ask_lots=0)
        fake_world.trade(fake_world.order("sell", 4))
        quoted, empty = plain(quotes_facts(take_snapshot(fake_world.scripts)))
        assert quoted == {
            "symbol": "AAA",
            "active": True,
            "quote_id": "AAA-1",
            "quote_version": 1,
            "position_version": 0,
            "bid": "0.98",
            "bid_ticks": 98,
            "bid_lots": 6,
            "bid_quantity": "6",
            "bid_size_lots": 10,
            "ask": None,
            "ask_ticks": None,
            "ask_lots": 0,
            "ask_quantity": "0",
            "ask_size_lots": 0,
            "expires_ms": fake_world.now_ms() + 30_000,
            "ttl_ms": 30_000,
            "maker_id": "maker-1",
            "outcome": "granted",
            "mode": "active",
            "halted": None,
            "frozen": None,
            "frozen_until_ms": None,
            "retired": False,
        }
        assert {name for name, fact in empty.items() if fact is None} == {
            *("quote_id", "position_version", "bid", "bid_ticks", "ask", "ask_ticks"),
            *("frozen", "frozen_until_ms"),
            *("expires_ms", "ttl_ms", "maker_id", "outcome", "halted"),
        }
        assert (empty["active"], empty["quote_version"], empty["bid_quantity"]) == (False, 0, "0")

    def test_an_expired_quote_is_no_quote(self, fake_world: World) -> None:
        """From the instant of its expiry a quote is neither shown nor counted."""
        fake_world.propose("AAA")
        fake_world.advance(29_999)
        found = take_snapshot(fake_world.scripts)
        assert (quotes_facts(found)[0]["ttl_ms"], active_quotes(found)) == (1, 1)
        fake_world.advance(1)
        found = take_snapshot(fake_world.scripts)
        assert (quotes_facts(found)[0]["active"], active_quotes(found)) == (False, 0)

    def test_halts(self, fake_world: World) -> None:
        """Halted symbols are listed with their reasons."""
        fake_world.client.hset(fake_world.keys.member("position:*", "BBB"), "halted", "a gap")
        assert halts(take_snapshot(fake_world.scripts)) == {"BBB": "a gap"}

    def test_symbols_that_are_cut_from_the_snapshot_count(self, fake: Fake) -> None:
        """Symbols that the snapshot leaves out count, whether they have a quote or not."""
        world = World(fake, small_config(20, limit=150))
        found = take_snapshot(world.scripts, max_symbols=5)
        assert (len(found.symbols), symbol_count(found)) == (5, 20)


class TestExposure:
    def test_facts(self, fake: Fake) -> None:
        """Both budgets have their used and free units and the symbols that wait, in turn."""
        world = World(fake, small_config(3, limit=15))
        for name in symbol_names(3):
            world.propose(name, ask_lots=2)
        found = take_snapshot(world.scripts)
        assert plain(exposure_facts(found)) == {
            "exposure_mode": "lots",
            "currency": None,
            "unit": "1 lot",
            "limit": "15",
            "long": "15",
            "short": "6",
            "long_free": "0",
            "short_free": "9",
            "limit_units": 15,
            "long_units": 15,
            "short_units": 6,
            "long_free_units": 0,
            "short_free_units": 9,
            "waiting_long": ["BBB", "CCC"],
            "waiting_short": [],
            "reservations": [
                {
                    "symbol": name,
                    "quote_id": f"{name}-1",
                    "long_units": long_units,
                    "short_units": 2,
                    "expires_ms": world.now_ms() + 30_000,
                    "long": str(long_units),
                    "short": "2",
                }
                for name, long_units in (("AAA", 10), ("BBB", 5), ("CCC", 0))
            ],
        }
        long, short = budgets(found)
        assert (long.name, long.free_units, long.waiting) == ("long", 0, ("BBB", "CCC"))
        assert (short.name, short.free_units, short.waiting) == ("short", 9, ())

    def test_money(self, fake: Fake) -> None:
        """Notional exposure is shown as exact money with its currency and its unit."""
        config = small_config(1, limit=300_000, mode="notional", of_symbol={"multiplier": 5})
        world = World(fake, config)
        world.propose(bid_lots=10, ask_lots=2)
        facts = exposure_facts(take_snapshot(world.scripts))
        assert (facts["currency"], facts["unit"], facts["limit"]) == ("USD", "0.01 USD", "3000.00")
        assert (facts["long"], facts["short"]) == ("49.50", "10.10")
        assert (facts["long_free"], facts["short_free"]) == ("2950.50", "2989.90")
        assert (facts["long_units"], facts["limit_units"]) == (4950, 300_000)
        reserved = facts["reservations"]
        assert isinstance(reserved, list)
        assert (reserved[0]["long"], reserved[0]["short"]) == ("49.50", "10.10")


class TestProcesses:
    def test_a_process_is_live_for_two_seconds(self, fake_world: World) -> None:
        """A process is live up to 2 s after its heartbeat; a silent one has no rate."""
        beat(fake_world, "exchange-1")
        fake_world.advance(2_000)
        (row,) = process_rows(take_snapshot(fake_world.scripts))
        assert (row.state, row.silent_ms, row.rate_per_s, row.pid) == ("live", 2_000, 0, 4711)
        fake_world.advance(1)
        (row,) = process_rows(take_snapshot(fake_world.scripts))
        assert (row.state, row.silent_ms, row.rate_per_s, row.count) == ("silent", 2_001, None, 7)

    def test_restarts(self, fake_world: World) -> None:
        """The higher of the supervisor's count and the process's own count is shown."""
        beat(fake_world, "exchange-1", restarts=3)
        beat(fake_world, "state-1", restarts=1)
        counts = {"exchange-1": 2, "state-1": 5}
        rows = process_rows(take_snapshot(fake_world.scripts), counts)
        assert [(row.name, row.restarts) for row in rows] == [("exchange-1", 3), ("state-1", 5)]

    def test_unheard_and_order(self, fake_world: World) -> None:
        """A supervised process without a heartbeat is listed; rows follow an order's way."""
        fake_world.admit("publisher-1", "publisher-2")
        for name in ("maker-10", "maker-2", "state-1", "exchange-1"):
            beat(fake_world, name)
        supervised = {"publisher-1": 3, "maker-3": 0}
        rows = process_rows(take_snapshot(fake_world.scripts), supervised)
        expected = ["publisher-1", "exchange-1", "state-1", "maker-2", "maker-3", "maker-10"]
        assert [row.name for row in rows] == expected
        assert (rows[0].state, rows[0].kind, rows[0].restarts) == ("idle", "client", 3)
        assert (rows[4].state, rows[4].kind, rows[4].pid) == ("unheard", "maker", None)

    def test_clients(self, fake_world: World) -> None:
        """A client is listed for an hour after its last order; what was taken of it counts."""
        fake_world.admit("c1", "c2")
        fake_world.send_to_inbox("c1", "o1", "c1 AAA buy 1 1", "o2", "c2 AAA buy 1 1")
        fake_world.scripts.collect(10)

        def found() -> list[tuple[str, str, int, int | None]]:
            rows = process_rows(take_snapshot(fake_world.scripts))
            return [(row.name, row.state, row.count, row.silent_ms) for row in rows]

        assert found() == [("c1", "live", 2, 0)]
        fake_world.advance(2_000)
        assert found() == [("c1", "live", 2, 2_000)]
        fake_world.advance(1)
        assert found() == [("c1", "idle", 2, 2_001)]
        fake_world.advance(3_600_000 - 2_001)
        assert len(found()) == 1
        fake_world.advance(1)
        assert found() == []

    @pytest.mark.parametrize(("name", "lag_ms"), [("exchange-1", 250), ("maker-1", None)])
    def test_lag(self, fake_world: World, name: str, lag_ms: int | None) -> None:
        """A process has the lag of its kind; a maker consumes no stream and has none."""
        fake_world.send(fake_world.order())
        fake_world.advance(250)
        beat(fake_world, name)
        assert process_rows(take_snapshot(fake_world.scripts))[0].lag_ms == lag_ms


def test_status(fake_world: World) -> None:
    """The status counts orders, fills, quotes and stream entries, and lists the processes."""
    fake_world.propose("AAA")
    fake_world.trade(fake_world.order("sell", 4), fake_world.order("sell", 1, limit=1_000))
    fake_world.scripts.commit(10)
    beat(fake_world, "exchange-1")
    found = take_snapshot(fake_world.scripts)
    assert plain(status_facts(found)) == {
        "now_ms": fake_world.now_ms(),
        "partitions": [],
        "nodes": [],
        "symbols": 2,
        "quotes_active": 1,
        "orders": 2,
        "fills_committed": 1,
        "lag_ms": {"exchange": 0, "state": 0},
        "halted": {},
        "modes": [],
        "profit": [
            {
                "realised": "0.00",
                "unrealised": "0.04",
                "total": "0.04",
                "spread": "0.04",
                "inventory": "0.00",
                "currency": "",
            }
        ],
        "exposure": exposure_facts(found),
        "processes": [
            {
                "name": "exchange-1",
                "kind": "exchange",
                "pid": 4711,
                "state": "live",
                "silent_ms": 0,
                "restarts": 0,
                "rate_per_s": 0,
                "count": 7,
                "lag_ms": 0,
            }
        ],
        "streams": {
            "orders": 2,
            "fills": 1,
            "positions": 1,
            "quotes": 1,
            "deadletter": 0,
            "lifecycle": 0,
            "operations": 0,
        },
    }
