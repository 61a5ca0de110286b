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
        ("9999999s", NOW - 9_999_999_000),
        ("00000000000000000002h", NOW - 7_200_000),
        ("999999d", NOW - 999_999 * 86_400_000),
        ("2026-01-31T11:00:00Z", NOW - 3_600_000),
        ("2026-01-31 11:00", NOW - 3_600_000),
        ("2026-01-31T12:00:00+01:00", NOW - 3_600_000),
    ],
)
def test_an_instant_in_words(word: str, ms: int) -> None:
    """So long ago, or a time; without a zone it is UTC."""
    assert parse_instant("--since", word).at(NOW) == ms


@pytest.mark.parametrize("word", ["", "5", "5 m", "m5", "yesterday", "9999999w"])
def test_no_instant(word: str) -> None:
    """Any other word is refused with the rule."""
    with pytest.raises(ValueRefused, match="it must be like 90s, 5m, 2h or 1d"):
        parse_instant("--since", word).at(NOW)


@pytest.mark.parametrize(
    "word", ["1000000d", "9999999d", "999999999999d", "86400000000s", "9" * 5_000 + "m"]
)
def test_too_far_back(word: str) -> None:
    """A word of the right form, but of a time before every calendar: refused for that."""
    with pytest.raises(ValueRefused, match=r"--since '.*it is too far back: at most 999999d") as e:
        parse_instant("--since", word)
    assert "must be like" not in str(e.value)
