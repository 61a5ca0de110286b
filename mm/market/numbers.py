"""Exact numbers and checked words: all that crosses between people and the inside (R1).

People write decimals; inside are integer ticks and lots. :func:`to_steps` and :func:`from_steps`
convert exactly in both directions, or refuse.
"""

from __future__ import annotations

import re
from decimal import Context, Decimal
from functools import reduce

from mm.errors import ValueRefused, shown

#: The largest integer anywhere. A Lua number holds all integers up to it exactly.
MAX_INT = 2**53 - 1

#: Enough digits for the exact product of two decimals of 40 digits and two integers of 16.
_EXACT = Context(prec=120)
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SYMBOL = re.compile(r"[A-Z0-9._-]{1,16}")


def check_int(name: str, value: int, low: int = 1, high: int = MAX_INT) -> int:
    """Return ``value`` if it is an integer from ``low`` to ``high``, else raise ValueRefused."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueRefused(f"{name} {shown(value)}: it must be an integer from {low} to {high}")
    return value


def check_id(name: str, value: str) -> str:
    """Return ``value`` if it is an id (1 to 64 of ``A-Za-z0-9._-``), else raise ValueRefused."""
    if not _ID.fullmatch(value):
        raise ValueRefused(f"{name} {shown(value)}: it must be 1 to 64 of A-Z a-z 0-9 . _ -")
    return value


def check_symbol(value: str) -> str:
    """Return ``value`` if it is a symbol (1 to 16 of ``A-Z0-9._-``), else raise ValueRefused."""
    if not _SYMBOL.fullmatch(value):
        raise ValueRefused(f"symbol {shown(value)}: it must be 1 to 16 of A-Z 0-9 . _ -")
    return value


def parse_decimal(name: str, text: str) -> Decimal:
    """The exact decimal in plain text without an exponent; ValueRefused for any other text."""
    if not re.fullmatch(r"-?[0-9]{1,20}(\.[0-9]{1,20})?", text):
        rule = "a plain decimal number such as 187.25, with at most 20 digits on each side"
        raise ValueRefused(f"{name} {shown(text)}: it must be {rule} of the point")
    return Decimal(text)


def to_steps(name: str, value: Decimal, step: Decimal, step_name: str) -> int:
    """The number of steps (ticks or lots) in ``value``.

    ValueRefused when it is not a whole number of steps from 1 to ``MAX_INT``.
    """
    count, rest = _EXACT.divmod(value, step)
    if rest != 0:
        raise ValueRefused(f"{name} {value}: it must be a multiple of the {step_name} {step}")
    return check_int(f"{name} in {step_name}s", int(count))


def from_steps(count: int, step: Decimal) -> str:
    """The exact decimal text of ``count`` steps, with the step's number of decimals."""
    return f"{exact_product(Decimal(count), step):f}"


def exact_quotient(value: Decimal, step: Decimal) -> int:
    """How many steps ``value`` has, which must be a whole number."""
    count, rest = _EXACT.divmod(value, step)
    assert rest == 0, (value, step)
    return int(count)


def is_multiple(value: Decimal, step: Decimal) -> bool:
    """Whether ``value`` is a whole number of steps."""
    return _EXACT.remainder(value, step) == 0


def exact_product(first: Decimal, *others: Decimal) -> Decimal:
    """The product of decimals, without rounding."""
    return reduce(_EXACT.multiply, others, first)
