"""Parts of a story: what came since an instant, and what belongs to one fill or order."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from itertools import islice

from mm.errors import SystemRefused, ValueRefused, shown
from mm.explain.past import LOOK_BACK
from mm.explain.sent import end_of
from mm.explain.step import Step
from mm.explain.story import Story
from mm.market import check_id, check_symbol
from mm.store import (
    OrderName,
    RememberedOrder,
    Scripts,
    StreamReader,
    partitions_of,
    remembered_orders,
    text,
)


def split_fill(fill_id: str) -> tuple[str, int]:
    """The symbol and the number in the id of a fill; ValueRefused when it is none."""
    symbol, _, number = fill_id.rpartition("-")
    if not re.fullmatch("[1-9][0-9]{0,14}", number):
        raise ValueRefused(f"fill {shown(fill_id)}: it must be like AAPL-7")
    return check_symbol(symbol.upper()), int(number)


def fill_of_order(scripts: Scripts, name: str) -> str:
    """The fill of an order ``CLIENT/ID``, as the exchange remembers it, or the archive has it.

    ValueRefused for another form, SystemRefused when it has no fill or is not known.
    """
    client, _, order_id = name.partition("/")
    if not order_id:
        raise ValueRefused(f"--order {shown(name)}: it must be CLIENT/ID, such as by-hand/o-1")
    key = (check_id("client", client), check_id("order", order_id))
    parts = partitions_of(scripts)
    for find in (_remembered, _archived, _in_ledger):
        found = next(filter(None, (find(one, key) for one in parts)), None)
        if found is not None:
            status, reason, _, _, fill_id, *_ = found.split(" ")
            if fill_id not in ("", "-"):
                return fill_id
            raise SystemRefused(f"order {name} has no fill: its outcome was {status}, {reason}")
    raise SystemRefused(
        f"order {name} is not remembered, and not in the archive: no such order came, or its time"
        " is over"
    )


def _remembered(scripts: Scripts, order: OrderName) -> str | None:
    """The outcome of an order in six words, as the exchange remembers it."""
    found = remembered_orders(scripts.client, scripts.keys, [order]).get(order)
    return None if found is None else found.outcome


def _archived(scripts: Scripts, order: OrderName) -> str | None:
    """The same of an archived order. A fill stays in the archive when its order is gone."""
    archive = StreamReader(scripts).archive()
    if archive is None:
        return None
    with archive:
        fill_id = archive.fill_of_order(*order)
        if fill_id is not None:
            return _filled(fill_id)
        stored = archive.outcome_of_order(*order)
        return None if stored is None else RememberedOrder.parse(stored).outcome


def _in_ledger(scripts: Scripts, order: OrderName) -> str | None:
    """The same of an order whose fill is among the newest of the ledger."""
    name = f" {order[0]} {order[1]} ".encode()
    reader = StreamReader(scripts)
    # SQLite holds this id, too.
    for _, flat in islice(reader.whole_back("fills", end_of(2**62)), LOOK_BACK):
        for at in range(1, len(flat), 2):
            if name in flat[at]:
                return _filled(text(flat[at - 1]))
    return None


def _filled(fill_id: str) -> str:
    return f"filled - - - {fill_id} -"


def since(story: Story, ts_ms: int) -> Story:
    """The steps that came then or later."""
    return _kept(story, lambda step: step.ts_ms >= ts_ms)


def of_fill(story: Story, fill_id: str) -> Story:
    """The steps of one fill: its quote, the fill, its commit, and the quote that followed.

    SystemRefused when the story does not have it.
    """
    _, number = split_fill(fill_id)
    found = [step for step in story.steps if step.facts.get("fill_id") == fill_id]
    if not found:
        raise SystemRefused(f"fill {fill_id} is not in this story of {story.symbol.name}")
    (fill,) = found
    answer = next(
        (
            step
            for step in story.steps
            if step.kind in ("quote", "omitted") and step.facts["position_version"] >= number
        ),
        None,
    )

    def belongs(step: Step) -> bool:
        if step.kind == "commit":
            before, version = step.facts["version_before"], step.facts["position_version"]
            return (before is None or before < number) and bool(version >= number)
        is_hit = step.kind == "quote" and step.facts["quote_id"] == fill.facts["quote_id"]
        return step in (fill, answer) or is_hit

    kept = _kept(story, belongs)
    commits = [step for step in kept.steps if step.kind == "commit"]
    # Without the version before it each later commit seems to have the fill.
    return _kept(kept, lambda step: step.kind != "commit" or step is commits[0])


def _kept(story: Story, keeps: Callable[[Step], bool]) -> Story:
    return replace(story, steps=tuple(filter(keeps, story.steps)))
