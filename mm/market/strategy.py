"""The shipped quote rules: pure functions of committed position and symbol parameters (R6)."""

from __future__ import annotations

from mm.market.model import Prices, Symbol
from mm.market.numbers import MAX_INT
from mm.market.position import Position


def follow_last(position: Position, symbol: Symbol) -> Prices:
    """A two-sided quote round the last price, in integer ticks and lots.

    The fair price is the last committed trade price, or the reference price before any trade. The
    middle of the quote lies below it when the position is long and above it when short, so that
    the next fill more likely makes the position smaller. The distance is ``skew_ticks`` at the
    position limit and in proportion before, rounded down. The spread lies round the middle. Both
    sides ask for the symbol's full size; ``place.lua`` reduces it where it must.
    """
    return _round(position.last_price_ticks or symbol.reference_ticks, position, symbol)


def follow_trades(position: Position, symbol: Symbol) -> Prices:
    """As :func:`follow_last`, round the committed fair price, which follows all trades.

    Each trade has moved it by ``fair_weight`` per cent of the way to itself (``commit.lua``), so a
    single trade far away moves the quote by a part of the way only. It is rounded to whole ticks, a
    half up. An exponentially weighted mean: S. W. Roberts, Technometrics 1 (1959).
    """
    fair = position.fair_ticks + (position.fair_rest >= 50)
    return _round(fair or symbol.reference_ticks, position, symbol)


def _round(fair: int, position: Position, symbol: Symbol) -> Prices:
    """The spread round a fair price, leaned against the position."""
    lean = abs(position.net_lots) * symbol.skew_ticks // symbol.position_limit_lots
    middle = fair - lean if position.net_lots > 0 else fair + lean
    bid = min(max(middle - symbol.spread_ticks // 2, 1), MAX_INT - symbol.spread_ticks)
    return Prices(bid, symbol.size_lots, bid + symbol.spread_ticks, symbol.size_lots)
