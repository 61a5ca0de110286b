"""The whole system in a few numbers, for ``mm status --json``."""

from __future__ import annotations

from dataclasses import asdict

from mm.facts.exposure import exposure_facts
from mm.facts.partitions import partitions_facts
from mm.facts.processes import ProcessRow, process_rows
from mm.facts.profit import totals
from mm.facts.quotes import active_quotes, halts, modes_facts, symbol_count
from mm.store import Placement, Snapshot


def status_facts(snapshot: Snapshot, placement: Placement | None = None) -> dict[str, object]:
    """The system in a few numbers, its processes, its partitions and nodes.

    A snapshot does not know the server's settings: what the running system promises of a write is
    in :meth:`mm.facts.FoundDurability.facts`.
    """
    return {
        "now_ms": snapshot.now_ms,
        "symbols": symbol_count(snapshot),
        "quotes_active": active_quotes(snapshot),
        "orders": snapshot.cursors.exchange_records,
        "fills_committed": snapshot.cursors.state_records,
        "lag_ms": dict(snapshot.lag_ms),
        "halted": halts(snapshot),
        "modes": modes_facts(snapshot),
        "profit": [asdict(one) for one in totals(snapshot)],
        "exposure": exposure_facts(snapshot),
        "processes": [_process_facts(row) for row in process_rows(snapshot)],
        **partitions_facts(snapshot, placement),
        "streams": {name: stream.length for name, stream in snapshot.streams.items()},
    }


def _process_facts(row: ProcessRow) -> dict[str, object]:
    return {
        "name": row.name,
        "kind": row.kind,
        "pid": row.pid,
        "state": row.state,
        "silent_ms": row.silent_ms,
        "restarts": row.restarts,
        "rate_per_s": row.rate_per_s,
        "count": row.count,
        "lag_ms": row.lag_ms,
    }
