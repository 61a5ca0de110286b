"""Which records of the past are asked for, once the clock of the server is known."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from mm.errors import ValueRefused
from mm.instant import timestamp
from mm.market import Instant
from mm.records.rows import Range
from mm.store import Snapshot


def range_in(
    snapshot: Snapshot, since: Instant | None, until: Instant | None, symbols: Sequence[str]
) -> Range:
    """The range; ValueRefused for an unknown symbol, and when it ends before it begins."""
    for name in symbols:
        if name not in snapshot.symbols:
            known = " ".join(itertools.islice(snapshot.symbols, 12))
            raise ValueRefused(f"--symbol {name}: this system has no such symbol, but {known}")
    wanted = Range(symbols=frozenset(symbols))
    since_ms = wanted.since_ms if since is None else since.at(snapshot.now_ms)
    until_ms = wanted.until_ms if until is None else until.at(snapshot.now_ms)
    if since_ms >= until_ms:
        raise ValueRefused(
            f"--since is {timestamp(since_ms)}, --until {timestamp(until_ms)}: it must be"
            " later, and what happened at that instant is no longer included"
        )
    return Range(since_ms, until_ms, wanted.symbols)
