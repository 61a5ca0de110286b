"""Processes as plain facts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from mm.market import LIVE_MS
from mm.store import ClientInfo, ProcessInfo, Snapshot, is_client

#: The kind of a row that is a client's.
CLIENT = "client"
#: A client that has sent nothing for so long is not shown.
HOUR_MS = 3_600_000


@dataclass(frozen=True)
class ProcessRow:
    """One process: ``silent_ms`` is the time since its last heartbeat, None when it had none.

    A client has the kind ``client``. It has no heartbeat: ``silent_ms`` is the time since its last
    order was taken, and ``count`` counts these.

    ``lag_ms`` is how long the oldest entry that its kind has not processed has waited, for the
    exchange and the state service. ``pid`` and ``rate_per_s`` are None when unknown.
    """

    name: str
    kind: str
    pid: int | None
    silent_ms: int | None
    restarts: int
    rate_per_s: int | None
    count: int
    lag_ms: int | None

    @property
    def state(self) -> Literal["live", "silent", "unheard", "idle"]:
        """``live``, ``silent`` (no heartbeat for 2 s) or ``unheard`` (never a heartbeat).

        A client that has sent nothing for 2 s is ``idle``.
        """
        if self.kind == CLIENT and (self.silent_ms is None or self.silent_ms > LIVE_MS):
            return "idle"
        if self.silent_ms is None:
            return "unheard"
        return "live" if self.silent_ms <= LIVE_MS else "silent"


#: The kind of `mm up`.
UP = "up"
#: The kinds in the order in which they are shown: that of an order's way through them.
_KINDS = (CLIENT, "exchange", "state", "maker", UP)


def _rank(row: ProcessRow) -> tuple[int, int, str]:
    place = _KINDS.index(row.kind) if row.kind in _KINDS else len(_KINDS)
    return place, len(row.name), row.name


def process_rows(snapshot: Snapshot, restarts: Mapping[str, int] | None = None) -> list[ProcessRow]:
    """All processes that had a heartbeat or are supervised, in the order to show them.

    The clients among them are those that are supervised, or of which an order was taken within an
    hour. Each start of `mm up` has a name of its own, and never returns: of these are shown those
    that are live, or else the one that was heard last.

    ``restarts`` is the supervisor's own count by process name.
    """
    supervised = restarts or {}
    rows = []
    for name in {**snapshot.processes, **supervised, **wanted_since(snapshot)}:
        if is_client(name):
            continue
        info = snapshot.processes.get(name)
        rows.append(_row(snapshot, name, info, supervised.get(name, 0)))
    for client in snapshot.clients.values():
        silent_ms = max(0, snapshot.now_ms - client.last_ms) if client.last_ms else None
        if client.name in supervised or (silent_ms is not None and silent_ms <= HOUR_MS):
            rows.append(_client_row(client, silent_ms, supervised.get(client.name, 0)))
    return sorted(_without_replaced(rows), key=_rank)


def _without_replaced(rows: Iterable[ProcessRow]) -> Iterator[ProcessRow]:
    """The rows without those of an `mm up` that has ended and was followed by another."""
    ups = []
    for row in rows:
        if row.kind == UP:
            ups.append(row)
        else:
            yield row
    newest_first = sorted(ups, key=lambda row: row.silent_ms or 0)
    yield from [row for row in ups if row.state == "live"] or newest_first[:1]


def _client_row(client: ClientInfo, silent_ms: int | None, restarts: int) -> ProcessRow:
    return ProcessRow(client.name, CLIENT, None, silent_ms, restarts, None, client.orders, None)


def wanted_since(snapshot: Snapshot) -> dict[str, int]:
    """What each live `mm up` wants to run: process name -> since when that `mm up` lives, in ms."""
    found: dict[str, int] = {}
    for info in snapshot.processes.values():
        if 0 <= snapshot.now_ms - info.heartbeat_ms <= LIVE_MS:
            since_ms = snapshot.now_ms if info.steady_ms is None else info.steady_ms
            found |= {name: min(since_ms, found.get(name, since_ms)) for name in info.wants}
    return found


def _row(snapshot: Snapshot, name: str, info: ProcessInfo | None, restarts: int) -> ProcessRow:
    if info is None:
        info = ProcessInfo.unheard(name)
    silent = max(0, snapshot.now_ms - info.heartbeat_ms) if info.heartbeat_ms else None
    live = silent is not None and silent <= LIVE_MS
    return ProcessRow(
        name,
        info.kind,
        info.pid,
        silent,
        max(restarts, info.restarts),
        info.rate_per_s if live else None,
        info.count,
        snapshot.lag_ms.get(info.kind),
    )


def names_in(names: Iterable[str], number: int) -> list[str]:
    """The processes of a partition among those that an `mm up` runs: it begins their ids."""
    return [name for name in names if name.partition("-")[2].startswith(f"{number}.")]


def part_of(snapshot: Snapshot, number: int) -> Snapshot:
    """One partition, with what each `mm up` wants of it."""
    ups = {
        name: replace(info, wants=tuple(names_in(info.wants, number)))
        for name, info in snapshot.processes.items()
        if info.kind == UP
    }
    part = snapshot.parts[number]
    return replace(part, now_ms=snapshot.now_ms, processes=part.processes | ups)
