"""Why trading stops, as one fact."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Stoppage:
    """Why trading stops, wholly or in part.

    ``cause`` is the same as long as it lasts, while the numbers in ``words`` may change. An
    ``expected`` one needs nobody's help: it follows from a limit that somebody has set, or a
    process has just been started. While it ``trades_on`` it needs help, and stops nothing yet.
    """

    cause: str
    words: str
    expected: bool = False
    trades_on: bool = False
