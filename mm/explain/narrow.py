"""Parts of a story: what came since an instant, and what belongs to one fill or order."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from mm.errors import SystemRefused, ValueRefused, shown
from mm.explain.step import Step
from mm.explain.story import Story
from mm.market import check_id, check_symbol
from mm.store import Scripts, partitions_of, remembered_orders


def split_fill(fill_id: str) -> tuple[str, int]:
    """The symbol and the number in the id of a fill; ValueRefused when it is none."""
    symbol, _, number = fill_id.rpartition("-")
    if not re.fullmatch("[1-9][0-9]{0,14}", number):
        raise ValueRefused(f"fill {shown(fill_id)}: it must be like AAPL-7")
    return check_symbol(symbol.upper()), int(number)


def fill_of_order(scripts: Scripts, name: str) -> str:
    """The fill of an order ``CLIENT/ID``, as the exchange remembers it.

    ValueRefused for another form, SystemRefused when it has no fill or is not remembered.
    """
    client, _, order_id = name.partition("/")
    if not order_id:
        raise ValueRefused(f"--order {shown(name)}: it must be CLIENT/ID, such as by-hand/o-1")
    key = (check_id("client", client), check_id("order", order_id))
    for one in partitions_of(scripts):
        found = remembered_orders(one.client, one.keys, [key]).get(key)
        if found is not None:
            status, _, _, _, fill_id, *_ = found.outcome.split(" ")
            if fill_id not in ("", "-"):
                return fill_id
            raise SystemRefused(f"order {name} has no fill: its outcome was {status}")
    raise SystemRefused(f"order {name} is not remembered: no such order came, or its time is over")


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
        raise SystemRefused(
            f"fill {fill_id} is not in what is known of {story.symbol.name}: it never was, or it is"
            " too far back"
        )
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
