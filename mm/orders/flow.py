"""Synthetic order flow: seeded, deterministic, with integer prices and quantities.

The same options and symbols give the same orders on any machine. The rate changes only when they
are sent. Each symbol has its own fundamental value, a random walk that is drawn back to the
reference price. An order's limit lies a few ticks beyond it. This has three effects. Most orders
cross the market maker's quote, but not all. A side that the maker has moved away stops trading.
Prices stay near the reference, however long the flow lasts.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from mm.errors import ValueRefused
from mm.market import Order, Side, Symbol, check_int

#: Each order of a symbol brings the fundamental value 1/256 of its distance back.
REVERSION = 256
#: One order in eleven days. A rate below is a mistake, and could round to 0, which is flat out.
LEAST_RATE_PER_S = 1e-6


@dataclass(frozen=True, slots=True)
class Intent:
    """An order without ids: what to send, and when, in seconds after the start."""

    at_s: float
    symbol: str
    side: Side
    qty_lots: int
    limit_ticks: int

    def order(self, client_id: str, order_id: str) -> Order:
        """The order with its ids."""
        return Order(client_id, order_id, self.symbol, self.side, self.qty_lots, self.limit_ticks)


@dataclass(frozen=True)
class FlowOptions:
    """Options of the flow. ValueRefused names an option that cannot be used.

    ``rate_per_s`` is the mean number of orders a second with Poisson arrivals; 0 means all at once.
    ``size_percent`` is the mean order size in percent of the symbol's quoted size.
    ``aggressiveness_percent`` is how far beyond the fundamental value the limits lie on average,
    in percent of the symbol's spread. At 50 about half of the orders cross.
    ``weights`` gives symbols their shares of the orders. A symbol without a weight gets none.
    Without weights all symbols get the same share.
    """

    rate_per_s: float = 100.0
    seed: int = 1
    size_percent: int = 25
    aggressiveness_percent: int = 150
    weights: Mapping[str, int] | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.rate_per_s) and 0 <= self.rate_per_s <= 10_000_000):
            raise ValueRefused(
                f"rate {self.rate_per_s}: it must be from 0 (flat out) to 10000000 orders/s"
            )
        check_int("seed", self.seed, low=0)
        check_int("size_percent", self.size_percent, low=1, high=10_000)
        check_int("aggressiveness_percent", self.aggressiveness_percent, low=0, high=10_000)
        for name, weight in (self.weights or {}).items():
            check_int(f"weight of symbol {name}", weight, low=0, high=1_000_000)


def check_shared_rate(rate_per_s: float, publishers: int) -> None:
    """Raise ValueRefused when ``publishers`` that share a rate evenly could not send at it."""
    FlowOptions(rate_per_s)
    if rate_per_s / max(publishers, 1) < LEAST_RATE_PER_S:
        raise ValueRefused(
            f"rate {rate_per_s:g}: it must be at least {LEAST_RATE_PER_S:g} orders/s a publisher"
        )


class _Source:
    """The orders of one symbol. All sources draw from one sequence of random numbers."""

    def __init__(self, symbol: Symbol, options: FlowOptions) -> None:
        self.symbol = symbol
        self._value = symbol.reference_ticks
        self._stride = max(1, symbol.spread_ticks // 4)
        mean = max(1, symbol.size_lots * options.size_percent // 100)
        self._largest = 4 * mean - 3
        self._reach = 2 * symbol.spread_ticks * options.aggressiveness_percent // 100

    def next(self, at_s: float, rng: random.Random) -> Intent:
        """The symbol's next order."""
        reference = self.symbol.reference_ticks
        away = self._value - reference
        pull, rest = divmod(abs(away), REVERSION)
        pull += rng.randrange(REVERSION) < rest
        step = rng.randint(-self._stride, self._stride)
        self._value += step - pull if away > 0 else step + pull
        self._value = min(max(self._value, 1), 2 * reference)
        # Many small orders and few large ones, up to four times the mean.
        lots = rng.randint(1, rng.randint(1, self._largest))
        beyond = rng.randint(0, self._reach)
        side: Side = "buy" if rng.getrandbits(1) else "sell"
        limit = self._value + (beyond if side == "buy" else -beyond)
        return Intent(at_s, self.symbol.name, side, lots, max(limit, 1))


def synthetic_orders(symbols: Sequence[Symbol], options: FlowOptions) -> Iterator[Intent]:
    """An endless flow over the symbols; ValueRefused when the weights do not fit the symbols."""
    sources = [_Source(symbol, options) for symbol in symbols]
    weights = [1] * len(sources)
    if options.weights is not None:
        known = {symbol.name for symbol in symbols}
        if unknown := sorted(set(options.weights) - known):
            raise ValueRefused(f"weight of symbol {unknown[0]!r}: it must be a configured one")
        weights = [options.weights.get(symbol.name, 0) for symbol in symbols]
    if not sum(weights):
        raise ValueRefused("weights: at least one symbol must have a weight above 0")
    return _endless(sources, list(accumulate(weights)), options)


def _endless(
    sources: Sequence[_Source], bounds: Sequence[int], options: FlowOptions
) -> Iterator[Intent]:
    # Two sequences of random numbers, so that the rate does not change the orders.
    orders = random.Random(f"{options.seed}/orders")
    arrivals = random.Random(f"{options.seed}/arrivals")
    at_s = 0.0
    while True:
        if options.rate_per_s:
            at_s += arrivals.expovariate(options.rate_per_s)
        source = sources[bisect_right(bounds, orders.randrange(bounds[-1]))]
        yield source.next(at_s, orders)
