"""The causal story of a symbol, from the streams alone.

An order leads to a fill, the fill to a committed position version, the version to a quote. The
story says whether the quote was granted, reduced or omitted, and why, and how the quote ended. The
streams are read backwards from their ends. Reading stops when the story is complete, or after
LOOK_BACK entries; the story says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mm.explain.past import Past
from mm.explain.words import Step, commit_step, end_step, fill_step, placement_step, seconds, signed
from mm.market import Fill, Symbol
from mm.store import QuoteEvent, Scripts, StreamReader, take_snapshot


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
        """Each step, and last the state now, with the time since the one before."""
        before = None
        for step, after in self._timed():
            yield _when(step.ts_ms, after), step
            before = step.ts_ms
        yield _when(self.now_ms, None if before is None else self.now_ms - before), self.now

    def lines(self) -> list[str]:
        """The story as plain lines, each with the time since the one before."""
        lines = [f"{when}  {step.text}" for when, step in self.rows()]
        return [f"{self.symbol.name}, oldest first", *(f"({note})" for note in self.notes), *lines]


def _when(ts_ms: int, after: int | None) -> str:
    if after is not None:
        return ("+" if after >= 0 else "") + seconds(after)
    moment = datetime.fromtimestamp(ts_ms / 1000, tz=UTC)
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def explain(scripts: Scripts, symbol: str, last: int = 10) -> Story:
    """The story of the symbol's last ``last`` placements.

    ValueRefused when the symbol is not configured, SystemRefused when the keys hold no system.
    """
    found = take_snapshot(scripts)
    if symbol not in found.symbols:
        found.config.symbol(symbol)
    past = Past(StreamReader(scripts), found, found.symbols[symbol])
    past.read_quotes(last)
    past.read_fills()
    past.read_commits()
    past.read_orders()
    placed = sum(quote.is_placement for quote in past.quotes)
    steps = _steps(past, skip_first=placed > last)
    return Story(past.symbol, found.now_ms, steps, _now(past), tuple(past.notes))


def _steps(past: Past, skip_first: bool) -> tuple[Step, ...]:
    """All steps in causal order: by the quote that was active, then by time.

    The order of quotes, fills and versions needs no clock. Time only sorts the steps of one quote.
    """
    symbol, config, nets = past.symbol, past.found.config, past.nets()
    keyed: list[tuple[tuple[int, int, int, int], Step]] = []
    standing: QuoteEvent | None = None
    ended: dict[str, Any] = {}
    for quote in past.quotes:
        end = {"how": quote.event, "by": None, "ts_ms": quote.ts_ms}
        if quote.is_placement:
            if standing is not None and quote.event == "active":
                end["how"] = "replaced"
            if standing is not None:
                ended["end"] = end | {"by": quote.quote_id}
            replaced = (standing, past.filled(standing)) if standing else None
            step = placement_step(config, symbol, quote, nets.get(quote.fill_seq), replaced)
            ended = step.facts
            # The first placement only says from where on the fills are known.
            if not (skip_first and quote is past.quotes[0]):
                keyed.append(((quote.quote_version, -1, 0, 0), step))
            standing = quote if quote.event == "active" else None
        else:
            ended["end"] = end
            placed_ms = standing.ts_ms if standing else None
            step = end_step(symbol, quote, placed_ms, past.filled(quote))
            keyed.append(((quote.quote_version, quote.ts_ms, quote.fill_seq, 2), step))
            standing = None
    for seq, fill in past.fills.items():
        order = past.orders.get((fill.client_id, fill.order_id))
        keyed.append(((_version(fill), fill.ts_ms, seq, 0), fill_step(symbol, fill, order)))
    before = past.quotes[0].fill_seq if past.all_commits else None
    for commit in reversed(past.commits):
        last = past.fills.get(commit.version)
        if last is not None:
            step = commit_step(symbol, commit, before)
            keyed.append(((_version(last), commit.ts_ms, commit.version, 1), step))
        before = commit.version
    return tuple(step for _, step in sorted(keyed, key=lambda one: one[0]))


def _version(fill: Fill) -> int:
    number = fill.quote_id.rpartition("-")[2]
    return int(number) if number.isdigit() else 0


def _now(past: Past) -> Step:
    """The state of the symbol at the instant of the snapshot."""
    symbol, state, now_ms = past.symbol, past.state, past.found.now_ms
    position, quote = state.position, state.quote
    waiting = {
        "bid": symbol.name in past.found.waiting_bid,
        "ask": symbol.name in past.found.waiting_ask,
    }
    facts: dict[str, Any] = {
        "quote_id": quote.quote_id if quote else None,
        "position_version": position.position_version,
        "net": symbol.quantity(position.net_lots),
        "uncommitted_fills": state.fill_seq - position.position_version,
        "halted": state.halted or None,
        "waits_for": [side for side, waits in waiting.items() if waits],
    }
    said = f"Now: position version {position.position_version}, net "
    said += signed(symbol, position.net_lots) + "; "
    if quote:
        sides = [
            f"{name} {symbol.price(side.ticks)} with {symbol.quantity(side.lots)} of"
            f" {symbol.quantity(side.size_lots)} left"
            for name, side in (("bid", quote.bid), ("ask", quote.ask))
        ]
        left = quote.expires_ms - now_ms
        facts["expires_in_ms"] = left
        said += f"{quote.quote_id} stands, {sides[0]} and {sides[1]}, for {seconds(left)} more"
    else:
        said += "no quote stands"
    if facts["waits_for"]:
        said += f"; it waits for exposure to quote more of its {' and '.join(facts['waits_for'])}"
    if facts["uncommitted_fills"]:
        count = facts["uncommitted_fills"]
        said += f"; {count} fill{' is' if count == 1 else 's are'} not committed yet"
    if state.halted:
        said += f"; the symbol is HALTED: {state.halted}"
    return Step("now", now_ms, said + ".", facts)
