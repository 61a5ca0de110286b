"""Instants as people write them: so long ago, or a time of the calendar."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from mm.errors import ValueRefused, shown

_UNITS_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
#: The most days that an instant may lie back: before every system, and every calendar holds it.
MOST_DAYS = 999_999
#: More digits than any number of seconds within that.
_DIGITS = 20


@dataclass(frozen=True)
class Instant:
    """An instant in ms since 1970, or where it is ``ago``, so many ms before now."""

    ms: int
    ago: bool = False

    def at(self, now_ms: int) -> int:
        """The instant in ms since 1970."""
        return now_ms - self.ms if self.ago else self.ms


def parse_instant(name: str, word: str) -> Instant:
    """The instant that a word stands for: ``90s``, ``5m``, ``2h`` or ``1d`` ago, or an ISO time.

    A time without a zone is UTC. ValueRefused for any other word, and for an instant too far back;
    it names the option ``name``.
    """
    if found := re.fullmatch(r"0*([0-9]+)([smhd])", word):
        # Of a longer number the first digits are enough to see that it is too large.
        ago_ms = int(found[1][:_DIGITS]) * _UNITS_MS[found[2]]
        if ago_ms > MOST_DAYS * _UNITS_MS["d"]:
            raise ValueRefused(f"{name} {shown(word)}: it is too far back: at most {MOST_DAYS}d")
        return Instant(ago_ms, ago=True)
    try:
        instant = datetime.fromisoformat(word.replace("Z", "+00:00"))
    except ValueError as error:
        raise ValueRefused(
            f"{name} {shown(word)}: it must be like 90s, 5m, 2h or 1d, or like 2026-01-31T12:00:00Z"
        ) from error
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=UTC)
    return Instant(int(instant.timestamp() * 1_000))
