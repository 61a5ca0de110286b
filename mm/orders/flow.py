"""Synthetic order flow: seeded, deterministic, with integer prices and quantities.

The same options and symbols give the same orders on any machine. The rate changes only when they
are sent. Nothing of it follows from quotes, positions or reports, so a run that is continued sends
the same orders again.

Two kinds of senders make it. Each symbol has a fundamental value: a random walk in whole ticks that
is drawn back to the reference price.

- Informed senders know that value. They buy while it is above the reference and sell while it is
  below, up to a limit at which they gain one tick at least. So they trade only when it is worth it.
- Noise senders know only the reference price, which the configuration publishes. A coin is their
  side. Their limits lie beyond the reference by a distance that halves in number every so many
  ticks: the further a quote has moved away, the fewer of them trade with it.

The two kinds are those of Glosten and Milgrom (1985), "Bid, ask and transaction prices in a
specialist market with heterogeneously informed traders", Journal of Financial Economics 14. The
exponential distance is the arrival rate ``A * exp(-k * distance)`` of Avellaneda and Stoikov
(2008), "High-frequency trading in a limit order book", Quantitative Finance 8. Two things differ
from them. Noise senders look at the reference and not at a middle of quotes, which they do not
read. The fundamental is drawn back, so that prices stay near the reference however long it lasts.
`mm flow` measures what the quote rule earns from both.
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

#: Each order of a symbol brings the fundamental value this part of its distance back. Each moves it
#: by up to one spread. So it lies about three spreads from the reference, and is halfway back after
#: 44 orders of the symbol: long enough for informed senders to lead the price there.
REVERSION = 64
#: What an informed sender gains at least on each lot, in ticks.
LEAST_GAIN_TICKS = 1
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
    ``informed_percent`` is the share of the orders that come from informed senders.
    ``aggressiveness_percent`` is how far beyond the reference price the limits of noise senders lie
    on average, in percent of the symbol's spread.
    ``weights`` gives symbols their shares of the orders. A symbol without a weight gets none.
    Without weights all symbols get the same share.
    """

    rate_per_s: float = 100.0
    seed: int = 1
    size_percent: int = 25
    informed_percent: int = 10
    aggressiveness_percent: int = 100
    weights: Mapping[str, int] | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.rate_per_s) and 0 <= self.rate_per_s <= 10_000_000):
            raise ValueRefused(
                f"rate {self.rate_per_s}: it must be from 0 (flat out) to 10000000 orders/s"
            )
        check_int("seed", self.seed, low=0)
        check_int("size_percent", self.size_percent, low=1, high=10_000)
        check_int("informed_percent", self.informed_percent, low=0, high=100)
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
        self._informed_percent = options.informed_percent
        mean = max(1, symbol.size_lots * options.size_percent // 100)
        self._largest = 4 * mean - 3
        # The mean distance is 3/2 of the one over which the number of limits halves.
        self._halving_cents = 2 * symbol.spread_ticks * options.aggressiveness_percent // 3

    def next(self, at_s: float, rng: random.Random) -> Intent:
        """The symbol's next order."""
        self._move(rng)
        # Many small orders and few large ones, up to four times the mean.
        lots = rng.randint(1, rng.randint(1, self._largest))
        is_informed = rng.randrange(100) < self._informed_percent
        side, limit = self._informed(rng) if is_informed else self._noise(rng)
        return Intent(at_s, self.symbol.name, side, lots, max(limit, 1))

    def _move(self, rng: random.Random) -> None:
        """One step of the fundamental value."""
        reference = self.symbol.reference_ticks
        away = self._value - reference
        pull, rest = divmod(abs(away), REVERSION)
        pull += rng.randrange(REVERSION) < rest
        step = rng.randint(-self.symbol.spread_ticks, self.symbol.spread_ticks)
        self._value += step - pull if away > 0 else step + pull
        self._value = min(max(self._value, 1), 2 * reference)

    def _informed(self, rng: random.Random) -> tuple[Side, int]:
        away = self._value - self.symbol.reference_ticks
        buys = away > 0 or (away == 0 and rng.getrandbits(1))
        return _limit(buys, self._value, -LEAST_GAIN_TICKS)

    def _noise(self, rng: random.Random) -> tuple[Side, int]:
        halvings = 0
        while rng.getrandbits(1):
            halvings += 1
        # In hundredths of a tick, so that small spreads have their distances too.
        cents = halvings * self._halving_cents + rng.randrange(self._halving_cents or 1)
        return _limit(rng.getrandbits(1), self.symbol.reference_ticks, cents // 100)


def _limit(buys: int, price: int, beyond: int) -> tuple[Side, int]:
    return ("buy", price + beyond) if buys else ("sell", price - beyond)


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
