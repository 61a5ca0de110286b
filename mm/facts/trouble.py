"""What stops trading now, in plain sentences: the one voice of every screen and of ``--json``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from mm.facts.processes import process_rows
from mm.facts.quotes import halts
from mm.store import ServerInfo, Snapshot

#: The kinds of process without which trading stops -> what then stands still.
_NEEDED = {
    "exchange": ("exchange", "orders wait for their reports"),
    "state": ("trading state service", "fills wait, and positions stand still"),
    "maker": ("maker", "quotes run out and are not replaced"),
}
#: The most names in one sentence.
MAX_NAMES = 5
#: Seconds that a stoppage lasts before its beginning is announced.
SETTLED_S = 1.0


@dataclass(frozen=True)
class Stoppage:
    """Why trading stops, wholly or in part.

    ``cause`` is the same as long as it lasts, while the numbers in ``words`` may change. With
    ``by_limit`` it follows from a limit that somebody has set, and needs nobody's help.
    """

    cause: str
    words: str
    by_limit: bool = False


def stoppages(
    snapshot: Snapshot,
    server: ServerInfo | None = None,
    supervised: Mapping[str, int] | None = None,
) -> list[Stoppage]:
    """Everything that stops trading at the instant, the gravest first.

    ``server`` is what the server says of itself, None when that is unknown. ``supervised`` names
    the processes that `mm up` runs, which may not have had a heartbeat yet.
    """
    found: list[Stoppage] = []
    if server is not None:
        found += [Stoppage(cause, _refuses(why)) for cause, why in server.refusals.items()]
    absent = list(_absent(snapshot, supervised or {}))
    weak = server.weak if server is not None else []
    if absent and weak and snapshot.config.durability == "always":
        found.append(
            Stoppage(
                "durability",
                f"the server does not put every acknowledged write on disk ({', '.join(weak)}):"
                " processes refuse it without --durability relaxed",
            )
        )
    found += absent
    found += [Stoppage(f"halt {name}", f"{name} is halted: {why}") for name, why in _halts(snapshot)]
    return [*found, *_without_exposure(snapshot)]


def _refuses(why: str) -> str:
    return f"the server refuses writes, so orders wait: {why}"


def _halts(snapshot: Snapshot) -> list[tuple[str, str]]:
    return sorted(halts(snapshot).items())


def _absent(snapshot: Snapshot, supervised: Mapping[str, int]) -> Iterator[Stoppage]:
    """The needed kinds of which no process is live."""
    rows = process_rows(snapshot, supervised)
    live = {row.kind for row in rows if row.state == "live"}
    if not live & _NEEDED.keys() and not supervised:
        yield Stoppage("processes", "no exchange, state service or maker is live: nothing trades")
        return
    for kind, (name, effect) in _NEEDED.items():
        if kind in live:
            continue
        starting = [row.name for row in rows if row.kind == kind and row.state == "unheard"]
        why = f"{starting[0]} has not reported yet" if starting else f"no {name} is live"
        yield Stoppage(f"no {kind}", f"{why}: {effect}")


def _without_exposure(snapshot: Snapshot) -> Iterator[Stoppage]:
    """The symbols that wait for exposure and have no quote meanwhile."""
    waiting = snapshot.waiting_bid | snapshot.waiting_ask
    found = [name for name in waiting if snapshot.expiry.get(name, 0) <= snapshot.now_ms]
    if found:
        more = f" and {len(found) - MAX_NAMES} more" if len(found) > MAX_NAMES else ""
        yield Stoppage(
            "exposure",
            f"no exposure is free, so these have no quote: {' '.join(found[:MAX_NAMES])}{more}",
            by_limit=True,
        )


@dataclass
class TroubleLog:
    """Says when a stoppage begins and when it is over; the caller has the clock.

    One that is over before it has lasted ``SETTLED_S`` is not announced.
    """

    _since: dict[str, tuple[float, str]] = field(default_factory=dict)
    _announced: set[str] = field(default_factory=set)

    def update(self, now_s: float, found: Sequence[Stoppage]) -> list[str]:
        """The lines to show now, given everything that stops trading now."""
        lines = []
        causes = {one.cause for one in found}
        for cause in [cause for cause in self._since if cause not in causes]:
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
