"""The records of a symbol's past, read backwards from the ends of the streams, within bounds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from mm.market import Fill, Position, Symbol
from mm.store import (
    Commit,
    LifecycleEvent,
    Operation,
    QuoteEvent,
    Snapshot,
    StreamReader,
    SymbolState,
    execute,
    pairs,
    remembered_orders,
    text,
)

#: The most entries of one stream that are read.
LOOK_BACK = 200_000
#: The most fills in a story.
MAX_FILLS = 1_000
#: How many entries before a fill are searched for its order.
NEAR = 1_000


@dataclass(frozen=True)
class SentOrder:
    """An order as it is on the orders stream."""

    qty_lots: int
    limit_ticks: int
    sent_ms: int

    def can_have(self, fill: Fill) -> bool:
        """Whether the fill can be of this order, by its size and its limit."""
        better = self.limit_ticks - fill.price_ticks
        return self.qty_lots >= fill.qty_lots and (better if fill.side == "buy" else -better) >= 0


@dataclass
class Past:
    """The records of one symbol, back to the placement before the first one of the story.

    ``quotes`` are oldest first, ``commits`` newest first, ``fills`` by sequence number, ``orders``
    by (client_id, order_id). ``lifecycle`` has all there is, oldest first, and ``operations`` all
    that concern the symbol. ``all_commits`` is whether all commits since the first placement are
    there. ``notes`` say what could not be read. Of each stream at most ``look_back`` entries are
    read, LOOK_BACK without it.
    """

    reader: StreamReader
    snapshot: Snapshot
    state: SymbolState
    notes: list[str] = field(default_factory=list)
    quotes: list[QuoteEvent] = field(default_factory=list)
    fills: dict[int, Fill] = field(default_factory=dict)
    commits: list[Commit] = field(default_factory=list)
    all_commits: bool = False
    orders: dict[tuple[str, str], SentOrder] = field(default_factory=dict)
    lifecycle: list[LifecycleEvent] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)
    look_back: int | None = None
    _contents: dict[tuple[str, str], str | None] = field(default_factory=dict)

    @classmethod
    def read(
        cls,
        reader: StreamReader,
        snapshot: Snapshot,
        symbol: str,
        last: int,
        look_back: int | None = None,
    ) -> Past:
        """The past of a symbol back to its last ``last`` placements and one before them."""
        past = cls(reader, snapshot, snapshot.symbols[symbol], look_back=look_back)
        past._read_quotes(last)
        past._read_fills()
        past._read_commits()
        past._read_orders()
        past._read_lifecycle()
        past._read_operations()
        return past

    @property
    def symbol(self) -> Symbol:
        """The symbol's parameters."""
        return self.state.symbol

    def _entries(
        self, name: str, last_id: str | None = None, max_entries: int | None = None
    ) -> Iterator[tuple[str, list[bytes]]]:
        """The entries of a stream, newest first: up to ``max_entries``, else up to ``look_back``.

        Stopping there adds a note.
        """
        key, end = self.reader.keys.named(name), last_id or self.snapshot.streams[name].last_id
        seen, count, bound = 0, 50, max_entries or self.look_back or LOOK_BACK
        while end != "0-0" and seen < bound:
            count = min(count, bound - seen)
            chunk = execute(self.reader.client, "XREVRANGE", key, end, "-", "COUNT", count)
            for entry, flat in chunk:
                yield text(entry), flat
            if len(chunk) < count:
                return
            seen, count = seen + len(chunk), min(2 * count, 1_000)
            end = "(" + text(chunk[-1][0])
        if seen >= bound and max_entries is None:
            self.notes.append(f"Looked back over {bound} entries of {key} only.")

    def _read_quotes(self, last: int) -> None:
        """The last placements and ends, and one placement before them."""
        newest_first: list[QuoteEvent] = []
        name, placed = self.symbol.name.encode(), 0
        for entry, flat in self._entries("quotes"):
            if name not in flat:
                continue
            try:
                quote = QuoteEvent.parse(entry, pairs(flat))
            except (KeyError, ValueError):
                continue  # the entry of a foreign program
            if quote.symbol != self.symbol.name or not quote.outcome:
                continue  # also an end whose placement is trimmed: its values are lost
            newest_first.append(quote)
            placed += quote.is_placement
            if placed > last:
                break
        self.quotes = newest_first[::-1]
        if placed <= last and self.quotes and self.quotes[0].quote_version > 1:
            self.notes.append(f"Quotes before {self.quotes[0].quote_id} could not be read.")

    def _read_fills(self) -> None:
        """The fills since the first placement that was read."""
        if not self.quotes:
            return
        first = self.quotes[0]
        for entry, flat in self._entries("fills"):
            if len(self.fills) >= MAX_FILLS:
                self.notes.append(f"Only the last {MAX_FILLS} fills are shown.")
                return
            for fill_id, line in reversed(pairs(flat).items()):
                if fill_id.rpartition("-")[0] == self.symbol.name:
                    try:
                        fill = Fill.parse(fill_id, line)
                    except ValueError:
                        continue  # the record of a foreign program
                    if first.fill_seq < fill.seq <= self.state.fill_seq:
                        self.fills[fill.seq] = fill
            if first.fill_seq + 1 in self.fills or _ms(entry) < first.entry_ms:
                return

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
                    self.all_commits = True
                    return
                self.commits.append(commit)
            if _ms(entry) < first.entry_ms:
                self.all_commits = True
                return
        self.all_commits = first.fill_seq == 0

    def _read_orders(self) -> None:
        """The orders of the fills, each searched among the entries just before its fill."""
        oldest = _ms(self.snapshot.streams["orders"].first_id)
        wanted = {(fill.client_id, fill.order_id): fill for fill in self.fills.values()}
        remembered = remembered_orders(self.reader.client, self.reader.keys, list(wanted))
        self._contents = {order: found.content for order, found in remembered.items()}
        for fill in sorted(self.fills.values(), key=lambda fill: -fill.seq):
            order = (fill.client_id, fill.order_id)
            if order in self.orders or fill.ts_ms < oldest:
                continue
            last_id = f"{fill.ts_ms}-{2**63}"
            for entry, flat in self._entries("orders", last_id, NEAR):
                self._keep_orders(_ms(entry), pairs(flat), wanted)
                if order in self.orders:
                    break

    def _keep_orders(
        self, sent_ms: int, records: dict[str, str], wanted: dict[tuple[str, str], Fill]
    ) -> None:
        """Keep the records that are orders of ``wanted`` fills.

        Another order may have come under the id of one, and was refused. So the record must be what
        the exchange remembers, and fit the fill.
        """
        for order_id, line in records.items():
            client_id, _, content = line.partition(" ")
            words, order = line.split(" "), (client_id, order_id)
            fill = wanted.get(order)
            if self._contents.get(order) not in (None, content):
                continue
            if fill is None or len(words) != 5 or words[1:3] != [fill.symbol, fill.side]:
                continue
            try:
                sent = SentOrder(int(words[3]), int(words[4]), sent_ms)
            except ValueError:
                continue
            if sent.can_have(fill):
                self.orders.setdefault(order, sent)

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
        """The position at each version without its cost, counted back from the committed one."""
        position = replace(self.state.position, cost_ticks=0)
        positions = {position.position_version: position}
        while fill := self.fills.get(position.position_version):
            position = Position(
                position.net_lots - fill.signed_lots,
                position.cash_ticks + fill.signed_lots * fill.price_ticks,
                position_version=fill.seq - 1,
            )
            positions[position.position_version] = position
        return positions

    def filled(self, quote: QuoteEvent) -> tuple[int, int]:
        """The lots filled of the bid and of the ask of a quote."""
        fills = [fill for fill in self.fills.values() if fill.quote_id == quote.quote_id]
        bid = sum(fill.qty_lots for fill in fills if fill.side == "sell")
        return bid, sum(fill.qty_lots for fill in fills) - bid


def _ms(entry_id: str) -> int:
    return int(entry_id.partition("-")[0])
