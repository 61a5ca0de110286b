"""What the reader has counted: latencies in buckets, dead letters, events, and what it left out."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence

from mm.market import FOREIGN, REJECTED
from mm.store import LIFECYCLE

#: Upper ends of the buckets in ms. The streams say milliseconds, so there is no smaller one.
BUCKETS_MS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000)
#: The ends of an order's way that are measured.
UNTIL = ("report", "position", "quote")
#: The streams that are read, those of reports under one name.
STREAMS = ("orders", "reports", "positions", "quotes", "deadletter", "lifecycle")
#: What stands for a word that no script writes.
OTHER = "other"
#: The one reason of a fill that was not applied.
INTEGRITY = "integrity_error"
#: The dead letters that there can be: the stream that each came from -> the reasons.
DEAD_LETTERS: Mapping[str, Sequence[str]] = {
    "orders": [reason for reason in REJECTED if reason != FOREIGN],
    "inbox": [FOREIGN],
    "fills": [INTEGRITY],
}


class Histogram:
    """Counts of times in whole milliseconds, by bucket."""

    def __init__(self) -> None:
        self._counts = [0] * (len(BUCKETS_MS) + 1)
        self._sum_ms = 0

    def observe(self, ms: int) -> None:
        """Count one time."""
        self._counts[bisect_left(BUCKETS_MS, ms)] += 1
        self._sum_ms += ms

    @property
    def count(self) -> int:
        """How many times were observed."""
        return sum(self._counts)

    @property
    def sum_s(self) -> float:
        """Their sum in seconds."""
        return self._sum_ms / 1000

    def cumulative(self) -> Sequence[tuple[str, int]]:
        """The upper end of each bucket in seconds, and the number of times up to it."""
        ends = [f"{ms / 1000:g}" for ms in BUCKETS_MS] + ["+Inf"]
        total, found = 0, []
        for end, count in zip(ends, list(self._counts), strict=True):
            total += count
            found.append((end, total))
        return found


class Counts:
    """All counts of the readers of one system; they begin at 0.

    Every known count is there from the beginning. Prometheus sees no increase in a series whose
    first value is 1.
    """

    def __init__(self) -> None:
        self.latency = {until: Histogram() for until in UNTIL}
        self.lost: Counter[str] = Counter(dict.fromkeys(UNTIL, 0))
        self.dead_letters: Counter[tuple[str, str]] = Counter(
            {(source, reason): 0 for source, all_ in DEAD_LETTERS.items() for reason in all_}
        )
        self.lifecycle: Counter[str] = Counter(dict.fromkeys(LIFECYCLE, 0))
        self.skips: Counter[str] = Counter(dict.fromkeys(STREAMS, 0))
