"""Processes and the whole system's status as plain facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mm.facts.positions import Facts, number
from mm.facts.quotes import active_quotes, exposure_facts, halts, symbol_count
from mm.market import LIVE_MS
from mm.store import Snapshot


@dataclass(frozen=True)
class ProcessRow:
    """One process: ``silent_ms`` is how long ago it was heard of, None when it never was.

    ``lag_ms`` is how long the oldest entry that its kind has not processed has waited, for the
    exchange and the state service. ``pid`` is empty text and ``rate_per_s`` None when unknown.
    """

    name: str
    kind: str
    pid: str
    silent_ms: int | None
    restarts: int
    rate_per_s: int | None
    count: int
    lag_ms: int | None

    @property
    def state(self) -> str:
        """``live``, ``silent`` (no heartbeat for 2 s) or ``unheard``."""
        if self.silent_ms is None:
            return "unheard"
        return "live" if self.silent_ms <= LIVE_MS else "silent"


#: The order in which processes are shown: that of an order's way through them.
_KINDS = ("publisher", "exchange", "state", "maker")


def _rank(row: ProcessRow) -> tuple[int, int, str]:
    place = _KINDS.index(row.kind) if row.kind in _KINDS else len(_KINDS)
    return place, len(row.name), row.name


def process_rows(snapshot: Snapshot, restarts: Mapping[str, int] | None = None) -> list[ProcessRow]:
    """All processes heard of or supervised; ``restarts`` is the supervisor's own count by name."""
    known = restarts or {}
    rows = []
    for name in {**snapshot.processes, **known}:
        fields = snapshot.processes.get(name, {})
        kind = fields.get("kind") or name.partition("-")[0]
        heard = number(fields, "heartbeat_ms")
        silent = max(0, snapshot.now_ms - heard) if heard else None
        live = silent is not None and silent <= LIVE_MS
        rows.append(
            ProcessRow(
                name,
                kind,
                fields.get("pid", ""),
                silent,
                max(known.get(name, 0), number(fields, "restarts")),
                number(fields, "rate_per_s") if live else None,
                number(fields, "count"),
                snapshot.lag_ms.get(kind),
            )
        )
    return sorted(rows, key=_rank)


def status_facts(snapshot: Snapshot) -> Facts:
    """The system in a few numbers, and its processes."""
    return {
        "now_ms": snapshot.now_ms,
        "durability": snapshot.config.durability,
        "symbols": symbol_count(snapshot),
        "quotes_active": active_quotes(snapshot),
        "orders": number(snapshot.cursors, "exchange_records"),
        "fills_committed": number(snapshot.cursors, "state_records"),
        "lag_ms": dict(snapshot.lag_ms),
        "halted": halts(snapshot),
        "exposure": exposure_facts(snapshot),
        "processes": [
            {
                "name": row.name,
                "kind": row.kind,
                "pid": int(row.pid) if row.pid.isdecimal() else None,
                "state": row.state,
                "silent_ms": row.silent_ms,
                "restarts": row.restarts,
                "rate_per_s": row.rate_per_s,
                "count": row.count,
                "lag_ms": row.lag_ms,
            }
            for row in process_rows(snapshot)
        ],
        "streams": {name: stream.length for name, stream in snapshot.streams.items()},
    }
