"""Exact integers and decimals: the one crossing between ticks or lots and what people write."""

from __future__ import annotations

import re
from decimal import Context, Decimal

from mm.errors import ValueRefused, shown

#: Largest integer anywhere: what a Lua number holds exactly.
MAX_INT = 2**53 - 1

#: Decimals of at most 20 + 20 digits and integers of 16 multiply exactly in this many digits.
_EXACT = Context(prec=120)
ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
SYMBOL = re.compile(r"[A-Z0-9._-]{1,16}")


def check_int(name: str, value: int, low: int = 1, high: int = MAX_INT) -> int:
    """Return ``value`` if ``low <= value <= high``, else raise ValueRefused naming both."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueRefused(f"{name} {shown(value)}: it must be an integer from {low} to {high}")
    return value


def check_id(name: str, value: str) -> str:
    """Return ``value`` if it is an id (1 to 64 of ``A-Za-z0-9._-``), else raise ValueRefused."""
    if not ID.fullmatch(value):
        raise ValueRefused(f"{name} {shown(value)}: it must be 1 to 64 of A-Z a-z 0-9 . _ -")
    return value


def check_symbol(value: str) -> str:
    """Return ``value`` if it is a symbol (1 to 16 of ``A-Z0-9._-``), else raise ValueRefused."""
    if not SYMBOL.fullmatch(value):
        raise ValueRefused(f"symbol {shown(value)}: it must be 1 to 16 of A-Z 0-9 . _ -")
    return value


def parse_decimal(name: str, text: str) -> Decimal:
    """An exact finite decimal from plain text (no exponent), or ValueRefused."""
    if not re.fullmatch(r"-?[0-9]{1,20}(\.[0-9]{1,20})?", text):
        rule = "a plain decimal number such as 187.25, with at most 20 digits on each side"
        raise ValueRefused(f"{name} {shown(text)}: it must be {rule} of the point")
    return Decimal(text)


def to_steps(name: str, value: Decimal, step: Decimal, step_name: str) -> int:
    """How many whole steps (ticks or lots) ``value`` is; ValueRefused when it is off the grid."""
    count, rest = _EXACT.divmod(value, step)
    if rest != 0:
        raise ValueRefused(f"{name} {value}: it must be a multiple of the {step_name} {step}")
    return check_int(f"{name} in {step_name}s", int(count), low=1)


def from_steps(count: int, step: Decimal) -> str:
    """The exact decimal text of ``count`` steps, with the step's number of decimals."""
    return f"{_EXACT.multiply(Decimal(count), step):f}"
