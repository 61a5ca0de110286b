"""The facts of positions: profit, its parts and marks, exact to the tick."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest

from mm.facts import Mark, mark_of, mark_price, positions_facts, profit_of, totals
from mm.market import MAX_INT, Config, Side
from mm.store import take_snapshot
from tests.kit import SEEDS, Fake, World, make_symbol, small_config
from tests.kit.plain import plain


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
