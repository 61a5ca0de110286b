"""Quotes over time: who was quoted, who got less than asked for, and how much exposure that was."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from mm.market import Config, Fill, Symbol
from mm.report.thinned import WHOLE_SPANS, Thinned, symbol_spans
from mm.store import QuoteEvent

#: A time without any quote that is at least so long is an incident.
SILENCE_MS = 1_000
#: So many of these times are kept, the longest.
SILENCES = 200


@dataclass
class Side:
    """One side of a quote: its price, the lots that are left, and what a lot reserves in units."""

    ticks: int = 0
    lots: int = 0
    lot_units: int = 0


@dataclass(frozen=True)
class Silence:
    """A time in which no symbol was quoted.

    ``cause`` is that of the withdrawal that began it or came in it, and empty without one.
    """

    since_ms: int
    until_ms: int
    cause: str

    @property
    def length_ms(self) -> int:
        """How long it lasted."""
        return self.until_ms - self.since_ms


@dataclass(frozen=True)
class Usage:
    """What was reserved at an instant, and the limit that stood then, in units."""

    units: int
    limit_units: int

    def above(self, other: Usage) -> bool:
        """Whether it is a higher share of its limit."""
        return self.units * other.limit_units > other.units * self.limit_units


@dataclass
class Quoted:
    """One symbol's quote now, and for how many ms of the range it had which sides.

    ``two_ms`` had both sides, ``one_ms`` one, ``none_ms`` no quote that an order could hit.
    ``waiting_ms`` is how long its newest placement had got less than it asked for: it overlaps the
    others. ``longest_ms`` is the longest time without a quote. ``short_of`` counts the placements
    that got less than they asked for. ``silent_ms`` is since when there is no quote.
    """

    symbol: Symbol
    prices: Thinned[tuple[int | None, int | None]]
    quote_id: str = ""
    bid: Side = field(default_factory=Side)
    ask: Side = field(default_factory=Side)
    waits: bool = False
    placements: int = 0
    short_of: int = 0
    counted_ms: int = 0
    silent_ms: int | None = 0
    two_ms: int = 0
    one_ms: int = 0
    none_ms: int = 0
    waiting_ms: int = 0
    longest_ms: int = 0

    @property
    def sides(self) -> int:
        """How many sides an order can hit."""
        return (self.bid.lots > 0) + (self.ask.lots > 0)

    def count(self, begin_ms: int, ts_ms: int) -> None:
        """Add the time since the last count to the state that the symbol was in."""
        passed = ts_ms - max(self.counted_ms, begin_ms)
        self.counted_ms = ts_ms
        if passed <= 0:
            return
        if self.sides == 2:
            self.two_ms += passed
        elif self.sides == 1:
            self.one_ms += passed
        else:
            self.none_ms += passed
        if self.waits:
            self.waiting_ms += passed


class Quoting:
    """Follows the quotes of the wanted symbols through their events and fills, in their order.

    A quote counts from its placement to its end or its expiry, whichever comes first. Its exposure
    is what its open lots reserve. Times count from ``begin_ms`` to the instant of :meth:`close`.
    ``starts`` says that the market began then: the time until its first quote is no silence.
    ``limits`` are the steps of the exposure limit: since when, and how many units.

    What is reserved is noted at the end of each millisecond. Nothing says in which order a quote of
    one symbol and a fill of another came within it, and in the wrong order they add up to more than
    was ever reserved. At its end all of them have come.
    """

    def __init__(
        self,
        config: Config,
        symbols: dict[str, Symbol],
        begin_ms: int,
        starts: bool,
        limits: Sequence[tuple[int, int]],
    ) -> None:
        spans = symbol_spans(len(symbols))
        self.quoted = {name: Quoted(one, Thinned(spans)) for name, one in symbols.items()}
        self.exposure: Thinned[tuple[int, int]] = Thinned(WHOLE_SPANS)
        self.highest = [0, 0]
        self.fullest = [Usage(0, limits[0][1])] * 2
        self.silences: list[Silence] = []
        self.begin_ms = begin_ms
        self._config = config
        self._limits = deque(limits)
        self._used = [0, 0]
        self._expiries: list[tuple[int, str, str]] = []
        self._now_ms = 0
        self._live = 0
        self._silent_ms: int | None = None if starts else 0
        self._cause = ""

    def event(self, event: QuoteEvent) -> None:
        """A placement or an end."""
        one, ts_ms = self.quoted[event.symbol], self._forward(event.ts_ms)
        if not event.is_placement:
            if event.quote_id == one.quote_id:
                self._change(one, ts_ms, cause=event.cause)
            return
        sides = []
        for placed in (event.bid, event.ask) if event.event == "active" else ():
            units = self._config.lot_units(one.symbol, placed.ticks)
            sides.append(Side(placed.ticks, placed.lots, units))
        waits = any(side.lots < side.requested_lots for side in (event.bid, event.ask))
        self._change(one, ts_ms, event.quote_id, sides, waits)
        if sides:
            heapq.heappush(self._expiries, (event.expires_ms, event.symbol, event.quote_id))
        if ts_ms >= self.begin_ms:
            one.placements += 1
            one.short_of += waits

    def fill(self, fill: Fill) -> None:
        """A fill lowers what is left of its quote."""
        one, ts_ms = self.quoted[fill.symbol], self._forward(fill.ts_ms)
        if fill.quote_id != one.quote_id:
            return
        sides = [Side(one.bid.ticks, one.bid.lots, one.bid.lot_units)]
        sides.append(Side(one.ask.ticks, one.ask.lots, one.ask.lot_units))
        hit = sides[0] if fill.side == "sell" else sides[1]
        hit.lots = max(hit.lots - fill.qty_lots, 0)
        self._change(one, ts_ms, one.quote_id, sides, one.waits)

    def close(self, end_ms: int) -> None:
        """Count up to the end."""
        self._forward(end_ms)
        for one in self.quoted.values():
            one.count(self.begin_ms, end_ms)
            self._end_silence(one, end_ms)
        self._end_all_silence(end_ms)
        self._note()

    def _forward(self, ts_ms: int) -> int:
        """Let what expires before that instant end; the instant, never before an earlier one."""
        while self._expiries and self._expiries[0][0] <= ts_ms:
            expires_ms, name, quote_id = heapq.heappop(self._expiries)
            if self.quoted[name].quote_id == quote_id:
                self._change(self.quoted[name], self._go_to(expires_ms))
        return self._go_to(ts_ms)

    def _go_to(self, ts_ms: int) -> int:
        """The instant, never before an earlier one; what stood until then is noted."""
        if ts_ms > self._now_ms:
            if ts_ms > self.begin_ms:
                self._note()
            self._now_ms = ts_ms
        return self._now_ms

    def _change(
        self,
        one: Quoted,
        ts_ms: int,
        quote_id: str = "",
        sides: list[Side] | None = None,
        waits: bool = False,
        cause: str = "",
    ) -> None:
        """From that instant on the symbol has this quote, or none without sides, for that cause."""
        one.count(self.begin_ms, ts_ms)
        were, before = one.sides, self._shown(one)
        self._reserve(one, -1)
        one.bid, one.ask = sides or (Side(one.bid.ticks), Side(one.ask.ticks))
        one.quote_id, one.waits = quote_id if sides else "", waits
        self._reserve(one, 1)
        shown = self._shown(one)
        if shown != before and ts_ms >= self.begin_ms:
            known = [ticks for ticks in shown if ticks is not None]
            middle = sum(known) * 2 // len(known) if known else one.bid.ticks + one.ask.ticks
            one.prices.add(ts_ms, middle, shown)
        self._live += bool(one.sides) - bool(were)
        if one.sides and not were:
            self._end_silence(one, ts_ms)
            self._end_all_silence(ts_ms)
        elif were:
            one.silent_ms = ts_ms
            self._silent_ms = ts_ms if not self._live else None
        if not one.sides and (were or cause):
            self._cause = cause

    def _reserve(self, one: Quoted, sign: int) -> None:
        for at, side in enumerate((one.bid, one.ask)):
            self._used[at] += sign * side.lots * side.lot_units

    @staticmethod
    def _shown(one: Quoted) -> tuple[int | None, int | None]:
        """The prices of the sides that an order can hit."""
        return one.bid.ticks if one.bid.lots else None, one.ask.ticks if one.ask.lots else None

    def _note(self) -> None:
        """Note what is reserved at the end of this millisecond, or where the range begins."""
        long, short = self._used
        self.highest = [max(self.highest[0], long), max(self.highest[1], short)]
        at_ms = max(self._now_ms, self.begin_ms)
        self.exposure.add(at_ms, max(long, short), (long, short))
        while len(self._limits) > 1 and self._limits[1][0] <= at_ms:
            self._limits.popleft()
        for at, units in enumerate(self._used):
            usage = Usage(units, self._limits[0][1])
            if usage.above(self.fullest[at]):
                self.fullest[at] = usage

    def _end_silence(self, one: Quoted, ts_ms: int) -> None:
        if one.silent_ms is not None:
            one.longest_ms = max(one.longest_ms, ts_ms - max(one.silent_ms, self.begin_ms))
        one.silent_ms = None

    def _end_all_silence(self, ts_ms: int) -> None:
        since_ms, self._silent_ms = self._silent_ms, None
        if since_ms is None:
            return
        found = Silence(max(since_ms, self.begin_ms), ts_ms, self._cause)
        if found.length_ms >= SILENCE_MS:
            self.silences.append(found)
            if len(self.silences) > SILENCES:
                self.silences.remove(min(self.silences, key=lambda one: one.length_ms))
