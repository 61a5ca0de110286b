"""What a unit of exposure is: a lot, or in notional mode money of one currency (R7)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Literal

from mm.errors import ConfigError, shown
from mm.market.model import Symbol
from mm.market.numbers import MAX_INT, exact_product, exact_quotient

#: What exposure counts: lots, or money as price x quantity x multiplier.
Mode = Literal["lots", "notional"]
_CURRENCY = re.compile(r"[A-Z]{3,8}")


def tick_lot_value(symbol: Symbol) -> Decimal:
    """The money of one lot at a price of one tick."""
    return exact_product(symbol.tick, symbol.lot, Decimal(symbol.multiplier))


def unit_of(amounts: Iterable[Decimal]) -> Decimal:
    """The largest power of ten, 1 at most, of which all amounts are whole multiples."""
    decimals = (len(f"{amount:f}".partition(".")[2].rstrip("0")) for amount in amounts)
    return Decimal(1).scaleb(-max(decimals))


def check_unit(unit: Decimal) -> None:
    """Raise ConfigError unless the unit of exposure in money is a power of ten, 1 at most."""
    if not 0 < unit <= 1:
        raise ConfigError(f"notional_unit {unit}: it must be above 0 and at most 1")
    if unit_of([unit]) != unit:
        raise ConfigError(f"notional_unit {unit:f}: it must be a power of ten, 1 at most")


def notional_limit(symbols: Iterable[Symbol], limit: Decimal) -> tuple[int, Decimal]:
    """A limit of money as a number of units, and the unit.

    In this unit the limit and the value of a tick x lot of each symbol are whole numbers.
    ConfigError when the limit has too many of them.
    """
    values = {symbol.name: tick_lot_value(symbol) for symbol in symbols}
    unit = unit_of([limit, *values.values()])
    count = exact_quotient(limit, unit)
    if count > MAX_INT:
        raise ConfigError(
            f"limit {limit:f}: it is {count} units of {unit:f}, and there may be {MAX_INT} at most."
            " In this unit the limit and a tick x lot x multiplier of each symbol are whole: "
            + ", ".join(f"{value:f} of {name}" for name, value in list(values.items())[:5])
        )
    return count, unit


def check_currency(currency: object, where: str = "") -> str:
    """Return the name of a currency, 3 to 8 of A-Z, else raise ConfigError.

    ``where`` begins the sentence: which symbol's it is.
    """
    if not (isinstance(currency, str) and _CURRENCY.fullmatch(currency)):
        raise ConfigError(
            f"{where}currency {shown(currency)}: it must name the currency of prices, 3 to 8"
            ' letters such as "USD"'
        )
    return currency


def money_text(amount: Decimal) -> str:
    """Money as exact decimal text; behind the second decimal without zeros at the end."""
    whole, _, decimals = f"{amount:f}".partition(".")
    decimals = decimals[:2] + decimals[2:].rstrip("0")
    return f"{whole}.{decimals}" if decimals else whole
