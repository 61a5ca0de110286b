"""An order as a person types it: short words, small letters, no limit."""

from __future__ import annotations

import difflib
from dataclasses import replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from mm.errors import ValueRefused, shown
from mm.market import Config, Side, Symbol
from mm.orders.ticket import Ticket

#: A market order's limit lies so far beyond the mark.
FAR = Decimal("0.1")
#: The most names that an error shows.
MAX_NAMES = 20


def typed_symbol(word: str, config: Config) -> Symbol:
    """The configured symbol that a word stands for, whatever its case.

    ValueRefused names those that look like it, or else all.
    """
    symbols = {symbol.name: symbol for symbol in config.symbols}
    for name in (word, word.upper()):
        if name in symbols:
            return symbols[name]
    close = difflib.get_close_matches(word.upper(), symbols, 3, 0.6)
    if close:
        raise ValueRefused(f"symbol {shown(word)}: did you mean {' or '.join(close)}?")
    names = [*symbols][:MAX_NAMES]
    more = f" and {len(symbols) - len(names)} more" if len(symbols) > len(names) else ""
    raise ValueRefused(f"symbol {shown(word)}: it must be one of {' '.join(names)}{more}")


def far_limit(symbol: Symbol, side: Side, twice_mark_ticks: int) -> Decimal:
    """The limit price of an order that takes any price: ``FAR`` beyond the mark, on a tick."""
    beyond = 1 + FAR if side == "buy" else 1 - FAR
    rounding = ROUND_CEILING if side == "buy" else ROUND_FLOOR
    ticks = (Decimal(twice_mark_ticks) / 2 * beyond).to_integral_value(rounding)
    return max(ticks, Decimal(1)) * symbol.tick


def with_symbol(ticket: Ticket, config: Config) -> Ticket:
    """The ticket with the name of the symbol as it is configured."""
    return replace(ticket, symbol=typed_symbol(ticket.symbol, config).name)
