"""Numbers: integers in their range, and decimals that cross the edge exactly or not at all."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from mm.errors import ValueRefused
from mm.market import MAX_INT, check_int, from_steps, parse_decimal, to_steps


@pytest.mark.parametrize("value", [1, MAX_INT])
def test_int(value: int) -> None:
    """1 and 2^53 - 1, the ends of the range, are accepted."""
    assert check_int("n", value) == value


@pytest.mark.parametrize("value", [0, -1, MAX_INT + 1, 1.0, True, "1", None, float("nan")])
def test_not_int(value: Any) -> None:
    """Zero, negatives, floats, booleans, texts and too large numbers are refused by name."""
    with pytest.raises(ValueRefused, match="lots"):
        check_int("lots", value)


@pytest.mark.parametrize("text", ["0", "1", "-1", "187.25", "0.00005", "64250.0"])
def test_decimal(text: str) -> None:
    """Plain decimals are read exactly."""
    assert parse_decimal("price", text) == Decimal(text)


@pytest.mark.parametrize(
    "text",
    ["", "1e3", "nan", "inf", "+1", "1.", ".5", "1,5", " 1", "1_0", "٣", "0x1", "1" * 31],
)
def test_not_decimal(text: str) -> None:
    """Exponents, a plus sign, foreign digits and all other texts are refused."""
    with pytest.raises(ValueRefused, match="price"):
        parse_decimal("price", text)


@pytest.mark.parametrize(
    ("value", "step", "steps"), [("187.25", "0.01", 18725), ("1.0825", "0.00005", 21650)]
)
def test_steps(value: str, step: str, steps: int) -> None:
    """A price on the grid is a whole number of ticks, and comes back as the same price."""
    assert to_steps("price", Decimal(value), Decimal(step), "tick") == steps
    assert Decimal(from_steps(steps, Decimal(step))) == Decimal(value)


@pytest.mark.parametrize(("value", "step"), [("187.255", "0.01"), ("0.1", "0.3"), ("0", "1")])
def test_off_the_grid(value: str, step: str) -> None:
    """A price off its tick, and a price of 0, are refused and never rounded."""
    with pytest.raises(ValueRefused, match="price"):
        to_steps("price", Decimal(value), Decimal(step), "tick")
