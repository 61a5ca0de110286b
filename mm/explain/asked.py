"""Which story is asked for: a symbol's last placements, what came since, or one fill's."""

from __future__ import annotations

from dataclasses import replace

from mm.errors import UsageError
from mm.explain.narrow import fill_of_order, of_fill, since, split_fill
from mm.explain.story import Story, explain
from mm.market import Instant, check_symbol
from mm.store import Scripts

#: Placements that are read where the number is not asked for.
MAX_LAST = 1_000


def check_asked(
    symbol: str | None, begin: object = None, fill_id: str | None = None, order: str | None = None
) -> None:
    """UsageError when two ways to narrow a story are given, or when nothing names a symbol."""
    if sum(one is not None for one in (begin, fill_id, order)) > 1:
        raise UsageError("--since, --fill and --order: give one of them")
    if symbol is None and fill_id is None and order is None:
        raise UsageError("name the symbol, or a fill or order with --fill or --order")


def asked_story(
    scripts: Scripts,
    symbol: str | None,
    last: int,
    begin: Instant | None = None,
    fill_id: str | None = None,
    order: str | None = None,
) -> Story:
    """The story of a symbol, or that of a fill or of an order ``CLIENT/ID``, which name theirs.

    UsageError as for :func:`check_asked`, and when the fill is of another symbol. Other errors are
    those of :func:`explain`, :func:`of_fill` and :func:`fill_of_order`.
    """
    check_asked(symbol, begin, fill_id, order)
    if order is not None:
        fill_id = fill_of_order(scripts, order)
    if fill_id is not None:
        name, number = split_fill(fill_id)
        if symbol not in (None, name):
            raise UsageError(f"fill {fill_id} is of {name}, not of {symbol}")
        return of_fill(explain(scripts, name, fill=number), f"{name}-{number}")
    assert symbol is not None
    check_symbol(symbol)
    if begin is None:
        return explain(scripts, symbol, last=last)
    story = explain(scripts, symbol, last=MAX_LAST)
    since_ms = begin.at(story.now_ms)
    placements = sum(step.kind in ("quote", "omitted") for step in story.steps)
    if placements >= MAX_LAST and story.steps[0].ts_ms > since_ms:
        note = f"Only the last {MAX_LAST:,} placements are shown."
        story = replace(story, notes=(*story.notes, note))
    return since(story, since_ms)
