"""The end of a run: the wait until every order and fill is processed."""

from __future__ import annotations

import time
from collections.abc import Callable

from mm.store import Snapshot, stream_id_order
from mm.terminal import SnapshotSource

#: Longest wait at the end of a run until all orders and fills are processed.
DRAIN_S = 10.0


def drain(
    source: SnapshotSource,
    tick: Callable[[], None],
    skip: Callable[[], bool] = lambda: False,
    longest_s: float = DRAIN_S,
) -> bool:
    """Wait until every order and fill is processed; whether that happened within ``longest_s``.

    ``tick`` is called between two looks. ``skip`` ends the wait when it is true.
    """
    deadline = time.monotonic() + longest_s
    while time.monotonic() < deadline and not skip():
        found = source.snapshot(recent=0)
        if found is not None and is_drained(found):
            return True
        tick()
        time.sleep(0.05)
    return False


def is_drained(found: Snapshot) -> bool:
    """Whether the exchange and the state service have read their streams and inboxes to the end.

    The lag does not show it: it is 0 for an entry of the same millisecond.
    """
    if found.parts:
        return all(map(is_drained, found.parts))
    if found.inbox_entries:
        return False
    consumers = ((found.cursors.exchange_id, "orders"), (found.cursors.state_id, "fills"))
    return all(
        stream_id_order(cursor) >= stream_id_order(found.streams[stream].last_id)
        for cursor, stream in consumers
    )
