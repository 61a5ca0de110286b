"""What the page of one symbol shows beside a snapshot: its prices, its fills and its story."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from redis.exceptions import RedisError

from mm.errors import MMError
from mm.explain import explain, short_text
from mm.market import Fill
from mm.store import (
    QuoteEvent,
    Scripts,
    Snapshot,
    StreamReader,
    execute,
    pairs,
    parse_fills,
    partition_of,
    stream_id_order,
    text,
    trouble_of,
)

#: The most quotes and fills that are remembered, and entries of each stream that are searched for
#: older ones: so many at each update, and so many in all.
QUOTES_KEPT, FILLS_KEPT = 600, 300
CHUNK, SEARCHED = 300, 6_000
#: The placements in the story, the entries that are read for it at most, and the least time
#: between two readings on the server's clock.
STORY_LAST, STORY_BACK, STORY_MS = 6, 2_000, 2_000

#: A step of a story: when it was, in ms, its kind and its line.
StoryLine = tuple[int, str, str]


@dataclass(frozen=True)
class QuotePoint:
    """What was quoted from an instant on, in ticks; a side that was not quoted is None."""

    ts_ms: int
    bid: int | None
    ask: int | None


@dataclass(frozen=True)
class SymbolPast:
    """The past of a symbol: ``quotes`` and ``fills`` oldest first, as far back as was read.

    ``story`` has (ms, kind, line) of each of its last steps, oldest first. ``trouble`` is why
    nothing newer could be read, or empty text.
    """

    symbol: str
    quotes: tuple[QuotePoint, ...] = ()
    fills: tuple[Fill, ...] = ()
    story: tuple[StoryLine, ...] = ()
    trouble: str = ""


def part_with(snapshot: Snapshot, symbol: str) -> Snapshot:
    """The snapshot of the partition that has the symbol; without partitions the whole."""
    return next((part for part in snapshot.parts if symbol in part.symbols), snapshot)


@dataclass
class SymbolSource:
    """Reads the past of one symbol, a little at each update and never beyond a bound.

    ``number`` is how prices and quantities of its story are written.
    """

    scripts: Scripts
    symbol: str
    number: Callable[[str], str] = str
    past: SymbolPast = field(init=False)

    def __post_init__(self) -> None:
        self.past = SymbolPast(self.symbol)
        self._home: Scripts | None = None
        self._quotes: deque[QuotePoint] = deque(maxlen=QUOTES_KEPT)
        self._fills: deque[Fill] = deque(maxlen=FILLS_KEPT)
        #: Stream -> the ids of the oldest and of the newest entry seen, and how many were searched.
        self._seen: dict[str, tuple[str, str, int]] = {}
        self._story_ms = 0
        self._story_of: object = None

    def update(self, snapshot: Snapshot) -> SymbolPast:
        """Read what is new, and some of what is older; the past as far as it is known now."""
        part, story, trouble = part_with(snapshot, self.symbol), self.past.story, ""
        try:
            if self._home is None:
                self._home = partition_of(self.scripts, self.symbol)
            reader = StreamReader(self._home)
            self._read(reader, part, "quotes")
            self._read(reader, part, "fills")
            story = self._story(self._home, part)
        except (RedisError, MMError, OSError) as error:
            trouble = trouble_of(error).words
        self.past = SymbolPast(self.symbol, tuple(self._quotes), tuple(self._fills), story, trouble)
        return self.past

    def _read(self, reader: StreamReader, part: Snapshot, name: str) -> None:
        """The newest entries since the last time, and a chunk of older ones while they lack."""
        key, last_id = reader.keys.named(name), part.streams[name].last_id
        if last_id == "0-0":
            return
        oldest, newest, searched = self._seen.get(name, ("", "", 0))
        if stream_id_order(newest) < stream_id_order(last_id):
            start = f"({newest}" if newest else "-"
            found = execute(reader.client, "XREVRANGE", key, last_id, start, "COUNT", CHUNK)
            for entry, flat in reversed(found):
                self._add(name, text(entry), flat, is_newer=True)
            newest = last_id
            if not oldest and found:
                oldest, searched = text(found[-1][0]), len(found)
        kept = self._quotes if name == "quotes" else self._fills
        if oldest and searched < SEARCHED and len(kept) < (kept.maxlen or 0):
            end = f"({oldest}"
            found = execute(reader.client, "XREVRANGE", key, end, "-", "COUNT", CHUNK)
            for entry, flat in found:
                self._add(name, text(entry), flat, is_newer=False)
            searched = searched + CHUNK if len(found) == CHUNK else SEARCHED
            oldest = text(found[-1][0]) if found else oldest
        self._seen[name] = oldest, newest, searched

    def _add(self, name: str, entry_id: str, flat: list[bytes], is_newer: bool) -> None:
        """Keep what the entry says of the symbol."""
        if name == "quotes":
            point = self._point(entry_id, flat)
            if point is not None:
                self._quotes.append(point) if is_newer else self._quotes.appendleft(point)
            return
        fills = [one for one in parse_fills([(entry_id, flat)]) if one.symbol == self.symbol]
        for fill in reversed(fills) if is_newer else fills:
            self._fills.append(fill) if is_newer else self._fills.appendleft(fill)

    def _point(self, entry_id: str, flat: list[bytes]) -> QuotePoint | None:
        """What an entry of the quotes stream says of the symbol's prices from then on."""
        if self.symbol.encode() not in flat:
            return None
        try:
            event = QuoteEvent.parse(entry_id, pairs(flat))
        except (KeyError, ValueError):
            return None  # the entry of a foreign program
        if event.symbol != self.symbol:
            return None
        active = event.event == "active"
        bid, ask = (side.ticks if active and side.lots else None for side in (event.bid, event.ask))
        return QuotePoint(event.ts_ms, bid, ask)

    def _story(self, home: Scripts, part: Snapshot) -> tuple[StoryLine, ...]:
        """The last steps of the story; read anew when the symbol has changed, now and then."""
        state = part.symbols.get(self.symbol)
        if state is None:
            return ()
        halts = (state.outcome, state.halted, state.frozen, part.mode_of(self.symbol))
        of = (state.fill_seq, state.position.position_version, state.quote_version, *halts)
        waited = not 0 <= part.now_ms - self._story_ms < STORY_MS
        if of == self._story_of or not waited:
            return self.past.story
        story = explain(home, self.symbol, STORY_LAST, part, STORY_BACK)
        self._story_of, self._story_ms = of, part.now_ms
        steps = (*story.steps, story.now)
        return tuple((one.ts_ms, one.kind, short_text(one, self.number)) for one in steps)
