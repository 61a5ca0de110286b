"""The quote rule: pure, small, in integers."""

from __future__ import annotations

import random

import pytest

from mm.market import MAX_INT, Position, Prices, follow_last, follow_trades
from tests.kit import SEEDS, make_symbol

SYMBOL = make_symbol(reference_ticks=1000, spread_ticks=4, skew_ticks=10, position_limit_lots=100)


class TestQuote:
    def test_before_any_trade(self) -> None:
        """Before any trade the spread lies round the reference, both sides in full size."""
        assert follow_last(Position(), SYMBOL) == Prices(998, 10, 1002, 10)

    def test_follows_the_last_price(self) -> None:
        """The fair price is the last committed trade price."""
        assert follow_last(Position(last_price_ticks=1100), SYMBOL) == Prices(1098, 10, 1102, 10)

    @pytest.mark.parametrize(
        ("net", "bid"), [(100, 988), (-100, 1008), (55, 993), (-55, 1003), (9, 998), (-9, 998)]
    )
    def test_leans_against_inventory(self, net: int, bid: int) -> None:
        """A long position lowers the quote, a short one raises it, in proportion, rounded down."""
        prices = follow_last(Position(net_lots=net, last_price_ticks=1000), SYMBOL)
        assert (prices.bid_ticks, prices.ask_ticks) == (bid, bid + 4)

    def test_odd_spread(self) -> None:
        """An odd spread is kept whole."""
        prices = follow_last(Position(), make_symbol(reference_ticks=1000, spread_ticks=5))
        assert (prices.bid_ticks, prices.ask_ticks) == (998, 1003)

    def test_near_zero(self) -> None:
        """The bid never falls below one tick."""
        prices = follow_last(Position(net_lots=100, last_price_ticks=1), SYMBOL)
        assert (prices.bid_ticks, prices.ask_ticks) == (1, 5)

    def test_near_the_top(self) -> None:
        """The ask never passes 2^53 - 1."""
        prices = follow_last(Position(net_lots=-100, last_price_ticks=MAX_INT), SYMBOL)
        assert prices.ask_ticks == MAX_INT

    @pytest.mark.parametrize("seed", SEEDS)
    def test_pure(self, seed: int) -> None:
        """Net and last price alone decide the quote, and the bid is always below the ask."""
        rng = random.Random(seed)
        for _ in range(500):
            symbol = make_symbol(
                reference_ticks=rng.randint(1, 10_000),
                spread_ticks=rng.randint(1, 50),
                skew_ticks=rng.randint(0, 50),
            )
            net, price = rng.randint(-100, 100), rng.randint(0, 10_000)
            prices = follow_last(Position(net_lots=net, last_price_ticks=price), symbol)
            other = Position(net, rng.randint(-99, 99), rng.randint(0, 9), rng.randint(0, 9), price)
            assert follow_last(other, symbol) == prices
            assert 0 < prices.bid_ticks < prices.ask_ticks
            assert prices.ask_ticks - prices.bid_ticks == symbol.spread_ticks
            assert (prices.bid_lots, prices.ask_lots) == (symbol.size_lots,) * 2


class TestFollowTrades:
    @pytest.mark.parametrize(
        ("fair", "rest", "bid"), [(0, 0, 998), (1100, 0, 1098), (1100, 49, 1098), (1100, 50, 1099)]
    )
    def test_round_the_committed_fair_price(self, fair: int, rest: int, bid: int) -> None:
        """The spread lies round it, to the nearest tick; round the reference before any trade."""
        position = Position(last_price_ticks=900, fair_ticks=fair, fair_rest=rest)
        assert follow_trades(position, SYMBOL) == Prices(bid, 10, bid + 4, 10)

    @pytest.mark.parametrize("seed", SEEDS)
    def test_a_full_weight_is_the_last_price(self, seed: int) -> None:
        """With a weight of 100 per cent the two rules are one."""
        rng, position = random.Random(seed), Position()
        for _ in range(200):
            position = position.apply(rng.choice((-1, 1)), rng.randint(1, 2_000), 4, 100)
            assert follow_trades(position, SYMBOL) == follow_last(position, SYMBOL)

    def test_one_trade_far_away_moves_it_a_part_of_the_way(self) -> None:
        """A single outlier moves a light fair price little, and the last price wholly."""
        position = Position()
        for price in (1000, 1000, 2000):
            position = position.apply(1, price, 4, 20)
        assert (position.fair_ticks, position.last_price_ticks) == (1200, 2000)
