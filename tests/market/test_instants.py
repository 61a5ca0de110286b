"""Instants in words."""

from __future__ import annotations

import pytest

from mm.errors import ValueRefused
from mm.market import parse_instant

NOW = 1_769_860_800_000


@pytest.mark.parametrize(
    ("word", "ms"),
    [
        ("90s", NOW - 90_000),
        ("5m", NOW - 300_000),
        ("2h", NOW - 7_200_000),
        ("1d", NOW - 86_400_000),
        ("2026-01-31T11:00:00Z", NOW - 3_600_000),
        ("2026-01-31 11:00", NOW - 3_600_000),
        ("2026-01-31T12:00:00+01:00", NOW - 3_600_000),
    ],
)
def test_an_instant_in_words(word: str, ms: int) -> None:
    """So long ago, or a time; without a zone it is UTC."""
    assert parse_instant("--since", word).at(NOW) == ms


@pytest.mark.parametrize("word", ["", "5", "5 m", "m5", "yesterday", "99999999s"])
def test_no_instant(word: str) -> None:
    """Any other word is refused with the rule."""
    with pytest.raises(ValueRefused, match="it must be like 90s, 5m, 2h or 1d"):
        parse_instant("--since", word).at(NOW)
