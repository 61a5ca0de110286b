"""When something began to stop trading, and when it was over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from mm.facts.stoppage import Stoppage
from mm.facts.trouble import UNREACHABLE

#: Seconds that a stoppage lasts before its beginning is announced.
SETTLED_S = 1.0


@dataclass
class TroubleLog:
    """Says when a stoppage begins and when it is over; the caller has the clock.

    One that is expected, or over before it has lasted ``SETTLED_S``, is not announced. While the
    system cannot be read no other stoppage is said to be over.
    """

    _since: dict[str, tuple[float, str]] = field(default_factory=dict)
    _announced: set[str] = field(default_factory=set)

    def update(self, now_s: float, found: Sequence[Stoppage]) -> list[str]:
        """The lines to show now, given everything that stops trading now."""
        lines = []
        found = [one for one in found if not one.expected]
        causes = {one.cause for one in found}
        known = UNREACHABLE not in causes
        for cause in [cause for cause in self._since if known and cause not in causes]:
            since_s, words = self._since.pop(cause)
            if cause in self._announced:
                self._announced.remove(cause)
                lines.append(f"over after {now_s - since_s:.1f} s: {words}")
        for one in found:
            since_s, _ = self._since.setdefault(one.cause, (now_s, one.words))
            if one.cause not in self._announced and now_s - since_s >= SETTLED_S:
                self._announced.add(one.cause)
                lines.append(f"TROUBLE: {one.words}")
        return lines
