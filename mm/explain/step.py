"""A step of a story, and times as it writes them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True)
class Step:
    """One event of the story: its kind, its time, its sentence, and its facts.

    ``why`` is the part of the sentence that says why a quote got less than was asked for.
    """

    kind: str
    ts_ms: int
    text: str
    facts: dict[str, Any]
    why: str = ""


def seconds(ms: int) -> str:
    """Milliseconds as seconds with three decimals."""
    sign = "-" if ms < 0 else ""
    return f"{sign}{abs(ms) // 1000}.{abs(ms) % 1000:03d} s"


def instant(ms: int) -> str:
    """An instant in UTC, to the second."""
    return f"{datetime.fromtimestamp(ms / 1000, tz=UTC):%Y-%m-%dT%H:%M:%SZ}"
