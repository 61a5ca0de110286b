"""What a screen keeps from one frame to the next."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from itertools import pairwise

from mm.facts import SnapshotTracks
from mm.store import Snapshot
from mm.terminal.quotes_pane import Layout

#: Snapshots remembered: about four minutes at four frames a second.
REMEMBERED = 1_000
#: Orders per second are the mean over this time.
RATE_MS = 2_000


@dataclass
class History:
    """What a screen keeps from one frame to the next.

    That is the ``layout``, and the orders processed at the instants of successive snapshots, the
    newest ``REMEMBERED``. They start again when the clock or the count goes back: the system is
    another one, or its clock was set back.
    """

    layout: Layout = field(default_factory=Layout)
    profits: SnapshotTracks = field(default_factory=SnapshotTracks)
    _samples: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    def add(self, snapshot: Snapshot) -> None:
        """Remember a snapshot's instant, its count of orders processed and its fills."""
        self.layout.listing.activity.add(snapshot)
        now, orders = snapshot.now_ms, snapshot.cursors.exchange_records
        if self._samples and (now < self._samples[-1][0] or orders < self._samples[-1][1]):
            self._samples.clear()
        if self._samples and now == self._samples[-1][0]:
            self._samples.pop()
        self._samples.append((now, orders))
        self.profits.add(snapshot)

    @property
    def known(self) -> bool:
        """Whether a rate is known: that needs two snapshots."""
        return len(self._samples) >= 2

    @property
    def orders_per_s(self) -> int:
        """Orders per second over the last two seconds or a little more; 0 when not known."""
        if not self.known:
            return 0
        until, orders = self._samples[-1]
        since, before = self._samples[-2]
        for instant, count in reversed(self._samples):
            since, before = instant, count
            if until - instant >= RATE_MS:
                break
        return ((orders - before) * 1_000 + (until - since) // 2) // (until - since)

    def series(self, seconds: int) -> list[int]:
        """Orders in each of the last whole seconds of the server's clock, oldest first.

        At most ``seconds`` of them, fewer when less is remembered. Orders between two snapshots
        count as evenly spread.
        """
        if len(self._samples) < 2:
            return []
        first = -(-self._samples[0][0] // 1_000)
        last = self._samples[-1][0] // 1_000
        edges = range(max(first, last - seconds), last + 1)
        counts, pairs = [], pairwise(self._samples)
        (since, before), (until, orders) = next(pairs)
        for edge in edges:
            while until < edge * 1_000:
                (since, before), (until, orders) = next(pairs)
            counts.append(before + (orders - before) * (edge * 1_000 - since) // (until - since))
        return [after - before for before, after in pairwise(counts)]
