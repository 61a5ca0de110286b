"""A story for a wall: a line a step, with arrows from cause to effect."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from mm.explain.step import Step, seconds
from mm.explain.story import Story

ARROW = "->"
#: Kind of a step -> what has become of a process, or of the server.
LIVES = {
    "started": "started",
    "stopped": "stopped in order",
    "lost": "lost",
    "returned": "heard again",
    "server_started": "server started anew",
}


def short_lines(story: Story) -> Iterator[tuple[str, str, str]]:
    """Each step and last the state now: the time since the one before, its kind, its line."""
    for when, step in story.rows():
        yield when, step.kind, short_text(step)


def short_text(step: Step, number: Callable[[str], str] = str) -> str:
    """A step in one line. What is caused by the step before begins with an arrow.

    ``number`` writes a price or a quantity.
    """
    facts = step.facts
    if step.kind == "fill":
        order = f"{facts['client_id']}/{facts['order_id']}"
        done = f"{facts['side']} {number(facts['quantity'])} @ {number(facts['price'])}"
        return f"order {order} {ARROW} {done}, fill {facts['fill_id']} of {facts['quote_id']}"
    if step.kind == "commit":
        return f"{ARROW} position {facts['position_version']}, net {_signed(facts['net'], number)}"
    if step.kind in ("quote", "omitted"):
        return _quote(facts, number)
    if step.kind in ("expired", "withdrawn"):
        why = f" ({facts['cause']})" if facts["cause"] else ""
        left = f"{number(facts['bid_left'])} x {number(facts['ask_left'])} left"
        return f"{facts['quote_id']} {step.kind}{why}, {left}"
    if step.kind == "operation":
        change = f"{facts['before']} {ARROW} {facts['after']}"
        return f"{facts['who']}: {facts['op']} {change} ({facts['why']})"
    if step.kind in LIVES:
        return _life(step)
    if step.kind == "now":
        quote = facts["quote_id"] or "no quote"
        net = _signed(facts["net"], number)
        return f"now: position {facts['position_version']}, net {net}, {quote}"
    return step.text


def _life(step: Step) -> str:
    """What has become of a process: a death is an arrow from one pid to the next."""
    facts, done = step.facts, LIVES[step.kind]
    if step.kind != "server_started":
        pid = facts["pid"]
        if facts["before_pid"] is not None:
            done, pid = "died and came back", f"{facts['before_pid']} {ARROW} {pid}"
        done = f"{facts['process']} {done} (pid {pid})"
    heard_ms = facts["heard_ms"]
    return done if heard_ms is None else f"{done}, unheard for {seconds(step.ts_ms - heard_ms)}"


def _quote(facts: dict[str, Any], number: Callable[[str], str]) -> str:
    bid, ask = facts["bid"], facts["ask"]
    prices = f"{number(bid['price'])} | {number(ask['price'])}"
    what = f"{_size(bid, number)} @ {prices} @ {_size(ask, number)}"
    # The same cause of both sides is said once.
    causes = dict.fromkeys([*bid["reduced_by"], *ask["reduced_by"]])
    why = f", less for {' and '.join(causes)}" if causes else ""
    after = f" after {facts['replaces']}" if facts["replaces"] else ""
    head = f"{ARROW} {facts['quote_id']}"
    if facts["outcome"] == "omitted":
        why = ", the rule asked for none" if facts["asked_for_none"] else why
        return f"{head} omitted ({facts['trigger']}){after}{why}"
    return f"{head} {what} ({facts['trigger']}){after}{why}"


def _size(side: dict[str, Any], number: Callable[[str], str]) -> str:
    size = number(side["quantity"])
    return size if side["quantity"] == side["requested"] else f"{size}/{number(side['requested'])}"


def _signed(quantity: str, number: Callable[[str], str]) -> str:
    sign = "" if quantity.startswith("-") or not quantity.strip("0.") else "+"
    return sign + number(quantity)
