"""The quote rule: a pure function of committed position and symbol parameters (rule R6)."""

from __future__ import annotations

from mm.market.model import Prices, Symbol
from mm.market.numbers import MAX_INT
from mm.market.position import Position


def quote_prices(position: Position, symbol: Symbol) -> Prices:
    """The two-sided quote to ask for, in integer ticks and lots.

    The fair price is the last committed trade price, or the reference price before any trade. The
    middle of the quote lies below it when the position is long and above it when short, so that
    the next fill more likely makes the position smaller. The distance is ``skew_ticks`` at the
    position limit and in proportion before, rounded down. The spread lies round the middle. Both
    sides ask for the symbol's full size; ``place.lua`` reduces it where it must.
    """
    fair = position.last_price_ticks or symbol.reference_ticks
    lean = abs(position.net_lots) * symbol.skew_ticks // symbol.position_limit_lots
    middle = fair - lean if position.net_lots > 0 else fair + lean
    bid = min(max(middle - symbol.spread_ticks // 2, 1), MAX_INT - symbol.spread_ticks)
    return Prices(bid, symbol.size_lots, bid + symbol.spread_ticks, symbol.size_lots)
