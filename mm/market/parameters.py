"""A symbol's parameters as the fields of its hash."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from mm.market.config import Config
from mm.market.model import SYMBOL_INTS, Symbol

#: Parameters that symbols of earlier versions lack: there the defaults hold.
ADDED_PARAMETERS = ("protection_lots", "protection_loss_ticks", "fair_weight")


def symbol_fields(config: Config, symbol: Symbol) -> dict[str, str]:
    """The parameter fields of the symbol's hash."""
    return {
        "tick": f"{symbol.tick:f}",
        "lot": f"{symbol.lot:f}",
        "reference_ticks": str(symbol.reference_ticks),
        **{name: str(getattr(symbol, name)) for name in SYMBOL_INTS},
        "notional_units": str(config.notional_units(symbol)),
        **({"currency": symbol.currency} if symbol.currency else {}),
    }


def symbol_from_store(name: str, stored: Mapping[str, str]) -> Symbol:
    """The symbol whose parameters its hash holds.

    KeyError, ValueError or ArithmeticError when a field is missing or not a number.
    """
    whole = {name: getattr(Symbol, name) for name in ADDED_PARAMETERS} | dict(stored)
    return Symbol(
        name,
        Decimal(stored["tick"]),
        Decimal(stored["lot"]),
        int(stored["reference_ticks"]),
        **{parameter: int(whole[parameter]) for parameter in SYMBOL_INTS},
        currency=stored.get("currency", ""),
        retired="retired_ms" in stored,
    )
