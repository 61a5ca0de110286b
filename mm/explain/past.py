"""The records of a symbol's past, read backwards within bounds, from streams and archive."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from mm.explain.sent import SentOrder, end_of, orders_of
from mm.market import Fill, Position, Symbol
from mm.store import (
    Commit,
    LifecycleEvent,
    Operation,
    QuoteEvent,
    Snapshot,
    StreamReader,
    SymbolState,
    pairs,
    text,
)

#: Entries of a stream: each its id, and its names and values as one flat list.
Entries: TypeAlias = Iterator[tuple[str, list[bytes]]]
#: The most entries of one stream that are read.
LOOK_BACK = 200_000
#: The most fills in a story.
MAX_FILLS = 1_000


@dataclass
class Past:
    """The records of one symbol, back to the placement before the first one of the story.

    ``quotes`` are oldest first, ``commits`` newest first, ``fills`` by sequence number, ``orders``
    by (client_id, order_id). ``lifecycle`` has all there is, oldest first, and ``operations`` all
    that concern the symbol. ``version_before`` is the committed version before the oldest commit,
    None when it is not known. ``notes`` say what could not be read. Of each stream at most
    ``look_back`` entries are read, LOOK_BACK without it. ``base`` is a position that is known at
    the end of the fills or later, without its cost.
    """

    reader: StreamReader
    snapshot: Snapshot
    state: SymbolState
    notes: list[str] = field(default_factory=list)
    quotes: list[QuoteEvent] = field(default_factory=list)
    fills: dict[int, Fill] = field(default_factory=dict)
    commits: list[Commit] = field(default_factory=list)
    version_before: int | None = None
    orders: dict[tuple[str, str], SentOrder] = field(default_factory=dict)
    lifecycle: list[LifecycleEvent] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)
    look_back: int | None = None
    base: Position = field(default_factory=Position)

    @classmethod
    def of(
        cls, reader: StreamReader, snapshot: Snapshot, symbol: str, look_back: int | None = None
    ) -> Past:
        """The past of a symbol, of which nothing is read yet."""
        state = snapshot.symbols[symbol]
        base = replace(state.position, cost_ticks=0)
        return cls(reader, snapshot, state, look_back=look_back, base=base)

    def read(self, last: int) -> None:
        """Read the symbol's last ``last`` placements, one before them, and what came since then."""
        self._read_quotes(last)
        self._read_fills()
        self._read_commits()
        self.orders = orders_of(self.reader, self.fills.values())
        self._read_lifecycle()
        self._read_operations()

    @property
    def symbol(self) -> Symbol:
        """The symbol's parameters."""
        return self.state.symbol

    @property
    def most_entries(self) -> int:
        """The most entries of one stream that are read."""
        return self.look_back or LOOK_BACK

    def _entries(self, name: str, last_id: str | None = None) -> Entries:
        """The entries of a stream up to one, newest first."""
        found = self.reader.whole_back(name, last_id or self.snapshot.streams[name].last_id)
        return self._bounded(name, found)

    def entries_from(self, name: str, since_ms: int) -> Entries:
        """The entries of a stream since an instant, oldest first."""
        last_id = self.snapshot.streams[name].last_id
        return self._bounded(name, self.reader.whole(name, last_id, str(since_ms)))

    def _bounded(self, name: str, found: Iterable[tuple[bytes, list[bytes]]]) -> Entries:
        """The first entries; a note says that there are more."""
        for seen, (entry, flat) in enumerate(found):
            if seen == self.most_entries:
                key = self.reader.keys.named(name)
                self.notes.append(f"Looked at {seen} entries of {key} only.")
                return
            yield text(entry), flat

    def quotes_back(self, until_ms: int | None = None) -> Iterator[QuoteEvent]:
        """The symbol's quote events up to an instant, or all, newest first."""
        return self._events(self._entries("quotes", None if until_ms is None else end_of(until_ms)))

    def quotes_from(self, since_ms: int) -> Iterator[QuoteEvent]:
        """The symbol's quote events since an instant, oldest first."""
        return self._events(self.entries_from("quotes", since_ms))

    def _events(self, entries: Entries) -> Iterator[QuoteEvent]:
        name = self.symbol.name.encode()
        for entry, flat in entries:
            if name not in flat:
                continue
            try:
                quote = QuoteEvent.parse(entry, pairs(flat))
            except (KeyError, ValueError):
                continue  # the entry of a foreign program
            # An end whose placement is trimmed has lost its values.
            if quote.symbol == self.symbol.name and quote.outcome:
                yield quote

    def _read_quotes(self, last: int) -> None:
        """The last placements and ends, and one placement before them."""
        newest_first: list[QuoteEvent] = []
        placed = 0
        for quote in self.quotes_back():
            newest_first.append(quote)
            placed += quote.is_placement
            if placed > last:
                break
        self.quotes = newest_first[::-1]
        if placed <= last:
            self.note_first_quote()

    def note_first_quote(self) -> None:
        """Add a note, unless the first quote is the symbol's first one."""
        if self.quotes and self.quotes[0].quote_version > 1:
            self.notes.append(f"Quotes before {self.quotes[0].quote_id} could not be read.")

    def _read_fills(self) -> None:
        """The fills since the first placement that was read."""
        if not self.quotes or self._read_fills_back(self.quotes[0]):
            return
        first, name = self.quotes[0], self.symbol.name
        last = min(self.fills, default=self.state.fill_seq + 1) - 1
        archive = self.reader.archive()
        if archive is None:
            return
        with archive:
            least = first.fill_seq + 1
            if last - least >= MAX_FILLS - len(self.fills):
                least = last - MAX_FILLS + len(self.fills) + 1
                self.notes.append(f"Only the last {MAX_FILLS} fills are shown.")
            for one in archive.fills_of(name, least, last):
                self.fills[one.number] = Fill.parse(one.fill_id, one.line)

    def _read_fills_back(self, first: QuoteEvent) -> bool:
        """The fills that the stream has; whether none of those before it is needed."""
        for entry_ms, fills in self.fills_back():
            if len(self.fills) >= MAX_FILLS:
                self.notes.append(f"Only the last {MAX_FILLS} fills are shown.")
                return True
            for fill in fills:
                if first.fill_seq < fill.seq <= self.state.fill_seq:
                    self.fills[fill.seq] = fill
            if first.fill_seq + 1 in self.fills or entry_ms < first.entry_ms:
                return True
        return False

    def fills_back(self) -> Iterator[tuple[int, list[Fill]]]:
        """Of each entry that the ledger has in its stream its time, and the symbol's fills.

        Both are newest first.
        """
        for entry, flat in self._entries("fills"):
            fills = []
            for fill_id, line in reversed(pairs(flat).items()):
                if fill_id.rpartition("-")[0] == self.symbol.name:
                    try:
                        fills.append(Fill.parse(fill_id, line))
                    except ValueError:
                        continue  # the record of a foreign program
            yield _ms(entry), fills

    def _read_commits(self) -> None:
        """The committed updates since the first placement that was read."""
        if not self.fills:
            return
        first = self.quotes[0]
        for entry, flat in self._entries("positions"):
            line = pairs(flat).get(self.symbol.name)
            if line is not None:
                try:
                    commit = Commit.parse(line)
                except ValueError:
                    continue  # the record of a foreign program
                if commit.version <= first.fill_seq:
                    self.version_before = first.fill_seq
                    return
                self.commits.append(commit)
            if _ms(entry) < first.entry_ms:
                self.version_before = first.fill_seq
                return
        self.version_before = 0 if first.fill_seq == 0 else None

    def _read_lifecycle(self) -> None:
        """Every start and end of a process and of the server."""
        for entry, flat in self._entries("lifecycle"):
            try:
                self.lifecycle.append(LifecycleEvent.parse(entry, pairs(flat)))
            except (KeyError, ValueError):
                continue  # the entry of a foreign program
        self.lifecycle.reverse()

    def _read_operations(self) -> None:
        """What operators have changed of the symbol, or of all."""
        for entry, flat in self._entries("operations"):
            try:
                found = Operation.parse(entry, pairs(flat))
            except (KeyError, ValueError):
                continue  # the entry of a foreign program
            if found.symbol in ("*", self.symbol.name):
                self.operations.append(found)
        self.operations.reverse()

    def positions(self) -> dict[int, Position]:
        """The position at each version without its cost, counted back from ``base``."""
        position = self.base
        positions = {position.position_version: position}
        while fill := self.fills.get(position.position_version):
            position = position_before(position, fill)
            positions[position.position_version] = position
        return positions

    def filled(self, quote: QuoteEvent) -> tuple[int, int]:
        """The lots filled of the bid and of the ask of a quote."""
        fills = [fill for fill in self.fills.values() if fill.quote_id == quote.quote_id]
        bid = sum(fill.qty_lots for fill in fills if fill.side == "sell")
        return bid, sum(fill.qty_lots for fill in fills) - bid


def _ms(entry_id: str) -> int:
    return int(entry_id.partition("-")[0])


def position_before(position: Position, fill: Fill) -> Position:
    """The net lots and the cash before the last fill of a position."""
    return Position(
        position.net_lots - fill.signed_lots,
        position.cash_ticks + fill.signed_lots * fill.price_ticks,
        position_version=fill.seq - 1,
    )


def quote_version_of(fill: Fill) -> int:
    """The version of the quote that a fill executed; 0 when its name has none."""
    number = fill.quote_id.rpartition("-")[2]
    return int(number) if number.isdecimal() else 0
