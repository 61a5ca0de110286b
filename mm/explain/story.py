"""The causal story of a symbol, from the streams alone.

An order leads to a fill, the fill to a committed position version, the version to a quote. The
story says whether the quote was granted, reduced or omitted, and why, and how the quote ended.
Between these stand the starts and ends of the processes and of the server. The
streams are read backwards from their ends. Reading stops when the story is complete, or after
LOOK_BACK entries; the story says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from mm.explain.around import read_around
from mm.explain.lives import Lives, life_step
from mm.explain.past import Past, quote_version_of
from mm.explain.step import Step, instant, seconds
from mm.explain.words import (
    commit_step,
    end_step,
    fill_step,
    now_step,
    operation_step,
    placement_step,
)
from mm.market import Symbol
from mm.store import (
    LifecycleEvent,
    Operation,
    QuoteEvent,
    Scripts,
    Snapshot,
    StreamReader,
    partition_of,
    take_snapshot,
)

#: Where a step stands in the story: version of the active quote, time, fill, kind. The order of
#: quotes, fills and position versions needs no clock. Time only sorts the steps of one quote.
Place = tuple[int, int, int, int]
#: An event beside the quotes, which has a time.
T = TypeVar("T", LifecycleEvent, Operation)
#: The most starts and ends of processes in a story, and the most changes by operators.
MAX_LIVES = 100


@dataclass(frozen=True)
class Story:
    """A symbol's past, oldest first, and its state at ``now_ms``.

    ``now`` is that state as a sentence with its facts; ``notes`` say what could not be read.
    """

    symbol: Symbol
    now_ms: int
    steps: tuple[Step, ...]
    now: Step
    notes: tuple[str, ...]

    def facts(self) -> dict[str, Any]:
        """The story for ``--json``: decimals are text, ``after_ms`` is since the step before."""
        steps = []
        for step, after in self._timed():
            steps.append({"kind": step.kind, "ts_ms": step.ts_ms, "after_ms": after} | step.facts)
        return {
            "symbol": self.symbol.name,
            "now_ms": self.now_ms,
            "steps": steps,
            "now": self.now.facts,
            "notes": list(self.notes),
        }

    def _timed(self) -> Iterator[tuple[Step, int | None]]:
        before: int | None = None
        for step in self.steps:
            yield step, None if before is None else step.ts_ms - before
            before = step.ts_ms

    def rows(self) -> Iterator[tuple[str, Step]]:
        """Each step, and last the state now, with the time since the one before.

        What the quote before has said of its size is not said again.
        """
        before, said = None, ""
        for step, after in self._timed():
            shown = step
            if step.kind in ("quote", "omitted"):
                shown = replace(step, text=_shorter(step)) if step.why == said != "" else step
                said = step.why
            yield _when(step.ts_ms, after), shown
            before = step.ts_ms
        yield _when(self.now_ms, None if before is None else self.now_ms - before), self.now

    def lines(self) -> list[str]:
        """The story as plain lines, each with the time since the one before."""
        lines = [f"{when}  {step.text}" for when, step in self.rows()]
        return [f"{self.symbol.name}, oldest first", *(f"({note})" for note in self.notes), *lines]


def _shorter(step: Step) -> str:
    """The sentence of a placement whose sizes have the same causes as the one before."""
    return step.text.replace(step.why, "Why: as the quote before.")


def _when(ts_ms: int, after: int | None) -> str:
    if after is not None:
        return ("+" if after >= 0 else "") + seconds(after)
    return instant(ts_ms)


def explain(
    scripts: Scripts,
    symbol: str,
    last: int = 10,
    snapshot: Snapshot | None = None,
    look_back: int | None = None,
    fill: int | None = None,
) -> Story:
    """The story of the symbol's last ``last`` placements, or with ``fill`` what is round a fill.

    ``snapshot`` is one of the symbol's partition that was just taken; without it one is taken. Of
    each stream at most ``look_back`` entries are read, LOOK_BACK without it.

    ValueRefused when the symbol is not configured. SystemRefused when the keys hold no system, and
    when there is no such fill or it is too far back.
    """
    scripts = partition_of(scripts, symbol)
    snapshot = snapshot or take_snapshot(scripts)
    if symbol not in snapshot.symbols:
        snapshot.config.symbol(symbol)  # raises ValueRefused
    past = Past.of(StreamReader(scripts), snapshot, symbol, look_back)
    if fill is None:
        past.read(last)
    else:
        read_around(past, fill)
    placed = sum(quote.is_placement for quote in past.quotes)
    sequenced = [
        *_quote_steps(past, placed > last),
        *_fill_steps(past),
        *_commit_steps(past),
        *_life_steps(past),
        *_operation_steps(past),
    ]
    steps = tuple(step for _, step in sorted(sequenced, key=lambda pair: pair[0]))
    waits_for = [
        side
        for side, waiting in (("bid", snapshot.waiting_bid), ("ask", snapshot.waiting_ask))
        if symbol in waiting
    ]
    now = now_step(past.state, snapshot.mode_of(symbol), snapshot.now_ms, waits_for)
    return Story(past.symbol, snapshot.now_ms, steps, now, tuple(past.notes))


def _quote_steps(past: Past, skip_first: bool) -> Iterator[tuple[Place, Step]]:
    """The placements and ends. A placement's facts say how its quote ended.

    ``skip_first`` leaves out the first placement, which is there because it says from where on the
    fills are known.
    """
    symbol, config, positions = past.symbol, past.snapshot.config, past.positions()
    lives = Lives(past.lifecycle, past.snapshot.processes)
    active: QuoteEvent | None = None
    facts: dict[str, Any] = {}  # of the newest placement
    for event in past.quotes:
        end = {"how": event.event, "by": None, "ts_ms": event.ts_ms}
        if not event.is_placement:
            facts["end"] = end
            placed_ms = active.ts_ms if active else None
            late = event.event == "expired"
            absence = lives.absence(event.expires_ms, event.ts_ms) if late else None
            step = end_step(symbol, event, placed_ms, past.filled(event), absence)
            yield (event.quote_version, event.ts_ms, event.fill_seq, 2), step
            active = None
            continue
        replaced = None
        if active is not None:
            how = "replaced" if event.event == "active" else event.event
            facts["end"] = end | {"how": how, "by": event.quote_id}
            replaced = (active, past.filled(active))
        step = placement_step(config, symbol, event, positions.get(event.fill_seq), replaced)
        facts = step.facts
        if not (skip_first and event is past.quotes[0]):
            yield (event.quote_version, -1, 0, 0), step
        active = event if event.event == "active" else None


def _fill_steps(past: Past) -> Iterator[tuple[Place, Step]]:
    for seq, fill in past.fills.items():
        order = past.orders.get((fill.client_id, fill.order_id))
        yield (quote_version_of(fill), fill.ts_ms, seq, 0), fill_step(past.symbol, fill, order)


def _commit_steps(past: Past) -> Iterator[tuple[Place, Step]]:
    before = past.version_before
    for commit in reversed(past.commits):
        last_fill = past.fills.get(commit.version)
        if last_fill is not None:
            place = (quote_version_of(last_fill), commit.ts_ms, commit.version, 1)
            yield place, commit_step(past.symbol, commit, before)
        before = commit.version


def _life_steps(past: Past) -> Iterator[tuple[Place, Step]]:
    """The newest starts and ends since the first placement, but for the publishers'."""
    found = [event for event in past.lifecycle if event.kind != "publisher"]
    yield from _between(past, found, life_step, "starts and ends of processes")


def _operation_steps(past: Past) -> Iterator[tuple[Place, Step]]:
    """The newest changes by operators since the first placement."""
    yield from _between(past, past.operations, operation_step, "changes by operators")


def _between(
    past: Past, events: Sequence[T], step_of: Callable[[T], Step], what: str
) -> Iterator[tuple[Place, Step]]:
    """The newest events since the first placement, each after the quote that was placed then."""
    placements = [quote for quote in past.quotes if quote.is_placement]
    since = placements[0].ts_ms if placements else 0
    found = [event for event in events if event.ts_ms >= since]
    if len(found) > MAX_LIVES:
        past.notes.append(f"Only the last {MAX_LIVES} {what} are shown.")
    for event in found[-MAX_LIVES:]:
        before = [quote.quote_version for quote in placements if quote.ts_ms <= event.ts_ms]
        yield (max(before, default=0), event.ts_ms, -1, 0), step_of(event)
