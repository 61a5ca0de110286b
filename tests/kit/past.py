"""What the tests of records share: a market with a past, and its rows as dictionaries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mm.records import Range, Rows, Source, sources_of
from mm.store import Scripts, Snapshot, take_snapshot
from tests.kit import World

Reader = Callable[[Sequence[Source], Snapshot, Range], Rows]


def rows_of(scripts: Scripts, read: Reader, **wanted: Any) -> Rows:
    """The rows that a reader makes of a system's past, not yet taken."""
    snapshot = take_snapshot(scripts)
    return read(sources_of(scripts, snapshot), snapshot, Range(**wanted))


def facts_of(scripts: Scripts, read: Reader, **wanted: Any) -> list[dict[str, Any]]:
    """The same as dictionaries."""
    rows = rows_of(scripts, read, **wanted)
    names = [column.name for column in rows.columns]
    return [dict(zip(names, row, strict=True)) for row in rows.rows]


def trade(
    world: World, symbol: str, side: Any, qty: int, later_ms: int = 1_000, **order: Any
) -> str:
    """Quote, trade with an order and commit, each time a while later; the id of the order."""
    world.advance(later_ms)
    world.propose(symbol, trigger="position")
    made = world.order(side, qty, symbol=symbol, **order)
    world.trade(made)
    world.scripts.commit(100)
    return made.order_id
