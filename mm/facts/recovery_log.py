"""When a process that had ended is back, how long that took, and what waited meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mm.facts.processes import part_of
from mm.market import LIVE_MS
from mm.store import ProcessInfo, Snapshot

#: What waited is given so long to be processed before the return is announced without a word on it.
PATIENCE_MS = 10_000
#: Kind -> what waits while no process of it works.
_WAITING = {"exchange": "order", "state": "fill"}


@dataclass(frozen=True)
class Lost:
    """The end of a process that a supervisor has noticed.

    ``how`` is ``died`` or ``ended``, and ``ago_s`` how long ago it was last found alive.
    """

    how: str
    ago_s: float


@dataclass
class _Known:
    """A process as it was last heard: the most that waited since then, and its return."""

    pid: int | None
    heard_ms: int
    waited: int = 0
    words: str = ""
    back_ms: int = 0


@dataclass
class _Sender:
    """A client whose process was started again: its orders are its own from ``base`` on."""

    restarts: int
    base: int | None = None
    alive_ms: int = 0
    how: str = ""


@dataclass
class RecoveryLog:
    """Says when a process is back, in one line for people.

    A process is back when another one of its name is heard, a publisher when it sends again. The
    time is at most what is said: since a supervisor found it alive, or since it was last heard.
    What waited is what the snapshots have seen: it may have been more. ``none lost`` is said once
    nothing waits any more.
    """

    _known: dict[str, _Known] = field(default_factory=dict)
    _senders: dict[str, _Sender] = field(default_factory=dict)

    def update(
        self,
        snapshot: Snapshot,
        restarts: Mapping[str, int] | None = None,
        lost: Mapping[str, Lost] | None = None,
    ) -> list[str]:
        """The lines to show now. ``restarts`` and ``lost`` are the supervisor's, by name."""
        lines = []
        for name, info in snapshot.processes.items():
            if info.kind != "up":
                found = (lost or {}).get(name)
                lines += self._process(snapshot, name, info, found)
        for name, count in (restarts or {}).items():
            if name in snapshot.clients:
                lines += self._sender(snapshot, name, count, (lost or {}).get(name))
        return lines

    def _process(
        self, snapshot: Snapshot, name: str, info: ProcessInfo, lost: Lost | None
    ) -> list[str]:
        known, now_ms = self._known.get(name), snapshot.now_ms
        live = 0 <= now_ms - info.heartbeat_ms <= LIVE_MS
        waiting, lag_ms = _waiting(snapshot, name, info.kind)
        if known is None:
            if live:
                self._known[name] = _Known(info.pid, info.heartbeat_ms)
            return []
        if info.pid != known.pid and live and not known.back_ms:
            began_ms = info.heartbeat_ms if info.steady_ms is None else info.steady_ms
            if lost is None:
                after = _seconds(began_ms - known.heard_ms)
                known.words = f"{name} was gone → back {after} after it was last heard"
            else:
                alive_ms = now_ms - round(lost.ago_s * 1_000)
                after = _seconds(began_ms - alive_ms)
                known.words = f"{name} {lost.how} → back within {after}"
            known.back_ms = now_ms
        if not known.back_ms:
            if info.heartbeat_ms != known.heard_ms:
                known.waited = 0
            known.heard_ms = info.heartbeat_ms
            known.waited = max(known.waited, waiting)
            return []
        if known.waited and lag_ms and 0 <= now_ms - known.back_ms < PATIENCE_MS:
            return []
        words = known.words
        if known.waited:
            things = _WAITING[info.kind] + ("" if known.waited == 1 else "s")
            words += f", at least {known.waited} {things} waited" + (
                "" if lag_ms else ", none lost"
            )
        self._known[name] = _Known(info.pid, info.heartbeat_ms)
        return [words]

    def _sender(self, snapshot: Snapshot, name: str, restarts: int, lost: Lost | None) -> list[str]:
        client = snapshot.clients[name]
        known = self._senders.setdefault(name, _Sender(restarts))
        if restarts > known.restarts and lost is not None:
            # What is in the inboxes now may still be of the process before.
            alive_ms = snapshot.now_ms - round(lost.ago_s * 1_000)
            base = client.orders + snapshot.inbox_entries
            self._senders[name] = known = _Sender(restarts, base, alive_ms, lost.how)
        if known.base is None or client.orders <= known.base:
            return []
        self._senders[name] = _Sender(restarts)
        after = _seconds(client.last_ms - known.alive_ms)
        return [f"{name} {known.how} → sends again within {after}"]


def _waiting(snapshot: Snapshot, name: str, kind: str) -> tuple[int, int]:
    """How many orders or fills wait for processes of a kind, and for how many ms the oldest."""
    part = snapshot
    number = name.partition("-")[2].partition(".")[0]
    if snapshot.parts and number.isdigit() and int(number) < len(snapshot.parts):
        part = part_of(snapshot, int(number))
    if kind == "exchange":
        return part.inbox_entries, part.lag_ms.get("exchange", 0)
    if kind == "state":
        states = part.symbols.values()
        ahead = sum(max(one.fill_seq - one.position.position_version, 0) for one in states)
        return ahead, part.lag_ms.get("state", 0)
    return 0, 0


def _seconds(ms: int) -> str:
    """A time in seconds with two decimals, rounded up: it is at most so long."""
    hundredths = -(-max(ms, 0) // 10)
    return f"{hundredths // 100}.{hundredths % 100:02d} s"
