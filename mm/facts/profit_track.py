"""Total profit over time: its largest drawdown, and a few points of its history."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from mm.facts.profit import Purse, purses, total_units
from mm.store import Commit, Snapshot

#: A track has at most so many points. With more every second one is dropped.
MAX_POINTS = 512


@dataclass
class ProfitTrack:
    """The total profit of one purse from instant to instant, in its units.

    ``largest`` is the largest drawdown so far: how far the total has fallen below its highest value
    before. Every total counts for it, also those that have no point.
    """

    purse: Purse
    largest: int = 0
    since_ms: int = 0
    _highest: int | None = None
    _points: list[int] = field(default_factory=list)
    _every: int = 1
    _seen: int = 0

    def add(self, ts_ms: int, units: int) -> None:
        """Note a total."""
        if self._highest is None or units > self._highest:
            self._highest = units
        self.since_ms = self.since_ms or ts_ms
        self.largest = max(self.largest, self._highest - units)
        if self._seen % self._every == 0:
            self._points.append(units)
        self._seen += 1
        if len(self._points) > MAX_POINTS:
            self._points = self._points[::2]
            self._every *= 2

    @property
    def drawdown(self) -> str:
        """The largest drawdown as exact decimal text."""
        return self.purse.text(self.largest)

    def points(self, count: int) -> list[int]:
        """At most ``count`` totals, evenly spread over all points, the oldest first.

        None when ``count`` is below 2.
        """
        have = self._points
        if len(have) <= count:
            return list(have)
        last = len(have) - 1
        return [have[index * last // (count - 1)] for index in range(count)] if count > 1 else []


class SnapshotTracks:
    """The tracks of a system whose snapshots are added one after the other.

    They begin anew when the symbols or their money are others than before.
    """

    def __init__(self) -> None:
        self.tracks: list[ProfitTrack] = []

    def add(self, snapshot: Snapshot) -> None:
        """Note the totals of a snapshot at its marks."""
        found = purses(snapshot)
        if found != [track.purse for track in self.tracks]:
            self.tracks = [ProfitTrack(purse) for purse in found]
        for track in self.tracks:
            track.add(snapshot.now_ms, total_units(snapshot, track.purse))


def tracks_of(snapshot: Snapshot, commits: Iterable[tuple[str, Commit]]) -> list[ProfitTrack]:
    """The tracks of committed updates, oldest first, each valued at the price of its last fill.

    A symbol counts from its first update on: its profit before it is taken as that of the first.
    """
    found = list(commits)
    values: dict[str, int] = {}
    for name, commit in reversed(found):
        values[name] = _twice(commit)
    tracks = []
    for purse in purses(snapshot):
        track = ProfitTrack(purse)
        now = dict(values)
        total = sum(half * now.get(name, 0) for name, half in purse.halves.items())
        for name, commit in found:
            if (half := purse.halves.get(name)) is None:
                continue
            total += half * (_twice(commit) - now[name])
            now[name] = _twice(commit)
            track.add(commit.ts_ms, total)
        tracks.append(track)
    return tracks


def _twice(commit: Commit) -> int:
    return 2 * (commit.cash_ticks + commit.net_lots * commit.last_price_ticks)
