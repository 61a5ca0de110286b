"""Notional exposure in tests: configurations with a limit of money, and units worked out anew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mm.market import Config, Symbol
from mm.market.units import tick_lot_value, unit_of


def notional_config(symbols: Sequence[Symbol], limit_units: int, **changes: Any) -> Config:
    """A configuration whose exposure is dollars, with a limit in the unit that the symbols give."""
    unit = unit_of(tick_lot_value(symbol) for symbol in symbols)
    return Config.notional(symbols, limit_units * unit, "USD", **changes)


def lot_units(config: Config, symbol: str, ticks: int) -> int:
    """The units of exposure of a lot at a price, worked out from decimals."""
    if config.exposure_mode == "lots":
        return 1
    one = config.symbol(symbol)
    units = ticks * one.tick * one.lot * one.multiplier / config.notional_unit
    assert units == int(units), (symbol, ticks, units)
    return int(units)
