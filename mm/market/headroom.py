"""How far prices and profits may move before numbers stop being exact integers (R1)."""

from __future__ import annotations

from dataclasses import dataclass

from mm.market.config import Config
from mm.market.model import Symbol
from mm.market.numbers import MAX_INT


@dataclass(frozen=True)
class Headroom:
    """The room of one symbol, both in tenths, rounded down.

    ``price_tenths`` is the highest price that can be quoted, in reference prices. Above it
    proposals are refused. ``cash_tenths`` is the cash that can be booked, in full positions at the
    reference price. Near it the sizes of quotes are reduced.
    """

    symbol: Symbol
    price_tenths: int
    cash_tenths: int


def headroom_of(config: Config, symbol: Symbol) -> Headroom:
    """The room of a symbol."""
    most = max(symbol.position_limit_lots, config.notional_units(symbol))
    return Headroom(
        symbol,
        10 * MAX_INT // (symbol.reference_ticks * most),
        10 * MAX_INT // (symbol.reference_ticks * symbol.position_limit_lots),
    )


def headroom_text(config: Config) -> str:
    """The least room of the configuration's symbols as a sentence."""
    rooms = [headroom_of(config, symbol) for symbol in config.symbols]
    price = min(rooms, key=lambda room: room.price_tenths)
    cash = min(rooms, key=lambda room: room.cash_tenths)
    return (
        f"Numbers stay exact up to a price of {_times(price.price_tenths)} times the reference"
        f" ({price.symbol.name}) and a cash of {_times(cash.cash_tenths)} times a full position"
        f" ({cash.symbol.name}). Beyond that a symbol's quotes are refused or made smaller."
    )


def _times(tenths: int) -> str:
    """A number of tenths as text; no decimal where it says nothing."""
    return f"{tenths // 10:,}" if tenths >= 1000 else f"{tenths // 10}.{tenths % 10}"
