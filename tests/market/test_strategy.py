"""The quote rule: pure, small, in integers."""

from __future__ import annotations

import random

import pytest

from mm.market import MAX_INT, Position, Prices, quote_prices
from tests.kit import SEEDS, make_symbol

SYMBOL = make_symbol(reference_ticks=1000, spread_ticks=4, skew_ticks=10, position_limit_lots=100)


class TestQuote:
    def test_before_any_trade(self) -> None:
        """Before any trade the spread lies round the reference, both sides in full size."""
        assert quote_prices(Position(), SYMBOL) == Prices(998, 10, 1002, 10)

    def test_follows_the_last_price(self) -> None:
        """The fair price is the last committed trade price."""
        assert quote_prices(Position(last_price_ticks=1100), SYMBOL) == Prices(1098, 10, 1102, 10)

    @pytest.mark.parametrize(
        ("net", "bid"), [(100, 988), (-100, 1008), (55, 993), (-55, 1003), (9, 998), (-9, 998)]
    )
    def test_leans_against_inventory(self, net: int, bid: int) -> None:
        """A long position lowers the quote, a short one raises it, in proportion, rounded down."""
        prices = quote_prices(Position(net_lots=net, last_price_ticks=1000), SYMBOL)
        assert (prices.bid_ticks, prices.ask_ticks) == (bid, bid + 4)

    def test_odd_spread(self) -> None:
        """An odd spread is kept whole."""
        prices = quote_prices(Position(), make_symbol(reference_ticks=1000, spread_ticks=5))
        assert (prices.bid_ticks, prices.ask_ticks) == (998, 1003)

    def test_near_zero(self) -> None:
        """The bid never falls below one tick."""
        prices = quote_prices(Position(net_lots=100, last_price_ticks=1), SYMBOL)
        assert (prices.bid_ticks, prices.ask_ticks) == (1, 5)

    def test_near_the_top(self) -> None:
        """The ask never passes 2^53 - 1."""
        prices = quote_prices(Position(net_lots=-100, last_price_ticks=MAX_INT), SYMBOL)
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
            prices = quote_prices(Position(net_lots=net, last_price_ticks=price), symbol)
            other = Position(net, rng.randint(-99, 99), rng.randint(0, 9), rng.randint(0, 9), price)
            assert quote_prices(other, symbol) == prices
            assert 0 < prices.bid_ticks < prices.ask_ticks
            assert prices.ask_ticks - prices.bid_ticks == symbol.spread_ticks
            assert (prices.bid_lots, prices.ask_lots) == (symbol.size_lots,) * 2
