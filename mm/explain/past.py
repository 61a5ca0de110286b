"""A symbol's past as records, read backwards from the ends of the streams, within bounds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from mm.market import Fill, Symbol
from mm.store import Snapshot, StreamReader, SymbolState, execute, pairs, text

#: Entries of one stream to look back over at most.
LOOK_BACK = 200_000
#: Fills to tell at most.
MOST_FILLS = 1_000
#: Entries before a fill among which its order is looked for.
NEAR = 1_000


@dataclass(frozen=True)
class Side:
    """One side of a quote as placed and as asked for."""

    name: str
    ticks: int
    lots: int
    asked: int


@dataclass(frozen=True)
class Quote:
    """A quote event: a placement (active, or withdrawn with outcome omitted) or an end."""

    event: str
    symbol: str
    version: int
    outcome: str
    bid: Side
    ask: Side
    fill_seq: int
    expires_ms: int
    maker: str
    trigger: str
    ts_ms: int
    entry_ms: int

    @classmethod
    def parse(cls, entry_id: str, event: Mapping[str, str]) -> Quote:
        """Read an entry of the quote stream; KeyError or ValueError when it is not a full one."""
        bid, ask = (
            Side(
                name,
                int(event[f"{name}_ticks"]),
                int(event[f"{name}_lots"]),
                int(event[f"requested_{name}_lots"]),
            )
            for name in ("bid", "ask")
        )
        return cls(
            event["event"],
            event["symbol"],
            int(event["quote_version"]),
            event["outcome"],
            bid,
            ask,
            int(event["fill_seq"]),
            int(event["expires_ms"]),
            event["maker_id"],
            event["trigger"],
            int(event["ts_ms"]),
            int(entry_id.partition("-")[0]),
        )

    @property
    def quote_id(self) -> str:
        """``SYM-version``."""
        return f"{self.symbol}-{self.version}"

    @property
    def placed(self) -> bool:
        """Whether this is a placement, not an end."""
        return self.event == "active" or self.outcome == "omitted"


@dataclass(frozen=True)
class SentOrder:
    """An order as it stands on the orders stream."""

    qty_lots: int
    limit_ticks: int
    sent_ms: int


@dataclass(frozen=True)
class Commit:
    """A committed position update."""

    version: int
    net_lots: int
    cash_ticks: int
    last_price_ticks: int
    ts_ms: int


@dataclass
class Past:
    """What the streams say of one symbol, back to the placement before the first one told.

    Call the ``read`` methods in their order. ``quotes`` are oldest first, ``commits`` newest first,
    ``fills`` by sequence number, ``orders`` by (client_id, order_id); ``all_commits`` says that
    none of those commits is missing.
    """

    reader: StreamReader
    found: Snapshot
    state: SymbolState
    notes: list[str] = field(default_factory=list)
    quotes: list[Quote] = field(default_factory=list)
    fills: dict[int, Fill] = field(default_factory=dict)
    commits: list[Commit] = field(default_factory=list)
    all_commits: bool = False
    orders: dict[tuple[str, str], SentOrder] = field(default_factory=dict)

    @property
    def symbol(self) -> Symbol:
        """The symbol's parameters."""
        return self.state.symbol

    def entries(
        self, name: str, last_id: str | None = None, most: int | None = None
    ) -> Iterator[tuple[str, list[bytes]]]:
        """The entries of a stream, newest first, ``most`` or else LOOK_BACK at most."""
        key, end = self.reader.keys.named(name), last_id or self.found.streams[name].last_id
        seen, count, bound = 0, 50, most or LOOK_BACK
        while end != "0-0" and seen < bound:
            count = min(count, bound - seen)
            chunk = execute(self.reader.client, "XREVRANGE", key, end, "-", "COUNT", count)
            for entry, flat in chunk:
                yield text(entry), flat
            if len(chunk) < count:
                return
            seen, count = seen + len(chunk), min(2 * count, 1_000)
            end = "(" + text(chunk[-1][0])
        if seen >= bound and most is None:
            self.notes.append(f"Looked back over {bound} entries of {key} only.")

    def read_quotes(self, last: int) -> None:
        """The last placements and ends, and one placement before them, oldest first."""
        found: list[Quote] = []
        wanted, placed = self.symbol.name.encode(), 0
        for entry, flat in self.entries("quotes"):
            if wanted not in flat:
                continue
            event = pairs(flat)
            try:
                quote = Quote.parse(entry, event)
            except (KeyError, ValueError):
                continue  # an end whose placement had been trimmed, or a foreign entry
            if quote.symbol != self.symbol.name:
                continue
            found.append(quote)
            placed += quote.placed
            if placed > last:
                break
        self.quotes = found[::-1]
        if placed <= last and found and self.quotes[0].version > 1:
            self.notes.append(f"Quotes before {self.quotes[0].quote_id} are no longer at hand.")

    def read_fills(self) -> None:
        """The fills since the first placement at hand."""
        if not self.quotes:
            return
        first = self.quotes[0]
        for entry, flat in self.entries("fills"):
            if len(self.fills) >= MOST_FILLS:
                self.notes.append(f"Only the last {MOST_FILLS} fills are told.")
                return
            for fill_id, line in reversed(pairs(flat).items()):
                if fill_id.rpartition("-")[0] == self.symbol.name:
                    try:
                        fill = Fill.parse(fill_id, line)
                    except ValueError:
                        continue
                    if first.fill_seq < fill.seq <= self.state.fill_seq:
                        self.fills[fill.seq] = fill
            if first.fill_seq + 1 in self.fills or _ms(entry) < first.entry_ms:
                return

    def read_commits(self) -> None:
        """The committed updates since the first placement at hand, newest first."""
        if not self.fills:
            return
        first = self.quotes[0]
        for entry, flat in self.entries("positions"):
            line = pairs(flat).get(self.symbol.name)
            if line is not None:
                try:
                    net, cash, version, price, ts_ms = map(int, line.split(" "))
                except ValueError:
                    continue  # a foreign record
                if version > first.fill_seq:
                    self.commits.append(Commit(version, net, cash, price, ts_ms))
            self.all_commits = _ms(entry) < first.entry_ms
            if self.all_commits or (line is not None and version <= first.fill_seq):
                self.all_commits = True
                return
        self.all_commits = first.fill_seq == 0

    def read_orders(self) -> None:
        """The orders of the fills, each looked for among those that arrived just before it."""
        oldest = _ms(self.found.streams["orders"].first_id)
        for fill in sorted(self.fills.values(), key=lambda fill: -fill.seq):
            wanted = (fill.client_id, fill.order_id)
            if wanted in self.orders or fill.ts_ms < oldest:
                continue
            last_id = f"{fill.ts_ms}-{2**63}"
            for entry, flat in self.entries("orders", last_id, NEAR):
                self._keep_orders(_ms(entry), pairs(flat))
                if wanted in self.orders:
                    break

    def _keep_orders(self, sent_ms: int, records: dict[str, str]) -> None:
        for order_id, line in records.items():
            words = line.split(" ")
            if len(words) == 5 and words[1] == self.symbol.name:
                try:
                    sent = SentOrder(int(words[3]), int(words[4]), sent_ms)
                except ValueError:
                    continue
                self.orders.setdefault((words[0], order_id), sent)

    def nets(self) -> dict[int, int]:
        """The net position at each version, counted back from the committed one."""
        version, net = self.state.position.position_version, self.state.position.net_lots
        found = {version: net}
        while version in self.fills:
            net -= self.fills[version].signed_lots
            version -= 1
            found[version] = net
        return found

    def filled(self, quote: Quote) -> tuple[int, int]:
        """Lots filled of the two sides of a quote: bid, ask."""
        own = [fill for fill in self.fills.values() if fill.quote_id == quote.quote_id]
        bid = sum(fill.qty_lots for fill in own if fill.side == "sell")
        return bid, sum(fill.qty_lots for fill in own) - bid


def _ms(entry_id: str) -> int:
    return int(entry_id.partition("-")[0])
