"""A plain model of the rules: matching, positions, exposure, waiting, expiry, first outcomes.

It shares nothing with the scripts. It is slow and obvious: lists and loops, written from the
sentences of docs/RULES.md. A server may reap an expired key at once or later; the model's caller
says which it was.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from mm.market import MAX_INT, Config, Proposal, Symbol
from tests.kit.units import lot_units

SIDES = ("bid", "ask")
#: Trading mode -> how strict it is.
STRICTNESS = {"active": 0, "reducing": 1, "flattening": 1, "halted": 2}
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_SYMBOL = re.compile(r"[A-Z0-9._-]{1,16}", re.ASCII)


@dataclass
class Level:
    """One side of a quote: what is left of it, and what its remaining lots reserve each."""

    ticks: int
    lots: int
    size: int
    unit: int

    @property
    def units(self) -> int:
        """Exposure that the side reserves."""
        return self.lots * self.unit


@dataclass
class Quote:
    """A symbol's quote; it holds exposure until somebody releases it."""

    quote_id: str
    expires: int
    levels: dict[str, Level]


@dataclass
class Claim:
    """What a waiting symbol last asked for on a side: lots that it could have, units of each."""

    lots: int
    unit: int


@dataclass
class Book:
    """All there is to know of a symbol."""

    symbol: Symbol
    fills: list[tuple[int, int]] = field(default_factory=list)
    committed: int = 0
    version: int = 0
    outcome: str = ""
    halted: bool = False
    mode: str = "active"
    quote: Quote | None = None
    claims: dict[str, Claim] = field(default_factory=lambda: {s: Claim(0, 0) for s in SIDES})

    @property
    def net(self) -> int:
        """The committed position in lots."""
        return sum(signed for signed, _ in self.fills[: self.committed])

    @property
    def cash(self) -> int:
        """What the committed fills have brought in, in ticks x lots."""
        return -sum(signed * price for signed, price in self.fills[: self.committed])

    @property
    def last_price(self) -> int:
        """The price of the last committed fill, 0 before any."""
        return self.fills[self.committed - 1][1] if self.committed else 0

    @property
    def is_flat(self) -> bool:
        """Whether all is committed and nothing is left."""
        return self.net == 0 and self.committed == len(self.fills)

    def held(self, side: str) -> int:
        """Units that the symbol holds on a side, released or not."""
        return self.quote.levels[side].units if self.quote else 0


@dataclass(frozen=True)
class Outcome:
    """The outcome of an order: its report without the time."""

    status: str
    reason: str = "-"
    lots: int = 0
    price: str = "-"
    fill_id: str = "-"
    quote_id: str = "-"

    def words(self, duplicate: bool) -> str:
        """The report's words without the time."""
        again = "1" if duplicate else "0"
        return (
            f"{self.status} {self.reason} {self.lots} {self.price} {self.fill_id} {self.quote_id}"
            f" {again}"
        )


class Oracle:
    """The whole system as the rules describe it; its caller gives it each instant."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.books = {symbol.name: Book(symbol) for symbol in config.symbols}
        self.queues: dict[str, list[str]] = {side: [] for side in SIDES}
        self.unmatched: list[list[tuple[str, str]]] = []
        self.uncommitted: list[tuple[str, int]] = []
        self.first: dict[str, tuple[str, Outcome]] = {}
        self.reports: dict[str, list[tuple[str, str]]] = {}
        self.dead: list[str] = []
        self.mode = "active"

    # orders

    def submit(self, records: Sequence[tuple[str, str]]) -> None:
        """One entry of order records arrives."""
        self.unmatched.append(list(records))

    def match(self, now: int, max_orders: int, reaped: Callable[[str], bool]) -> None:
        """Take whole entries, up to ``max_orders`` orders together; the first entry always."""
        taken = 0
        while self.unmatched and (taken == 0 or taken + len(self.unmatched[0]) <= max_orders):
            entry = self.unmatched.pop(0)
            taken += len(entry)
            for order_id, line in entry:
                self._order(now, order_id, line, reaped)

    def _order(self, now: int, order_id: str, line: str, reaped: Callable[[str], bool]) -> None:
        words = line.split(" ")
        client = words[0]
        if len(words) != 5 or "" in words:
            self.dead.append("malformed")
            return
        if not _ID.fullmatch(client):
            self.dead.append("bad_client_id")
            return
        known = _ID.fullmatch(order_id) is not None
        key = f"{client}/{order_id}"
        first = self.first.get(key) if known else None
        if first is not None:
            same = first[0] == line
            outcome = first[1] if same else Outcome("rejected", "order_id_conflict")
            if not same:
                self.dead.append("order_id_conflict")
            self.reports.setdefault(client, []).append((order_id, outcome.words(same)))
            return
        fault = self._fault(known, words)
        if fault:
            self.dead.append(fault)
            outcome = Outcome("rejected", fault)
        else:
            _, symbol, side, lots, limit = words
            outcome = self._execute(now, symbol, side, int(lots), int(limit), reaped)
        if known:
            self.first[key] = line, outcome
        name = order_id if known else "-"
        self.reports.setdefault(client, []).append((name, outcome.words(False)))

    def _fault(self, known: bool, words: list[str]) -> str:
        if not known:
            return "bad_order_id"
        _, symbol, side, lots, limit = words
        if not _SYMBOL.fullmatch(symbol):
            return "bad_symbol"
        if side not in ("buy", "sell"):
            return "bad_side"
        for word, what in ((lots, "quantity"), (limit, "price")):
            if not re.fullmatch(r"-?[0-9]+", word, re.ASCII):
                return f"{what}_not_integer"
            if int(word) <= 0:
                return f"{what}_not_positive"
            if int(word) > MAX_INT or len(word) > 16:
                return f"{what}_too_large"
        return "" if symbol in self.books else "unknown_symbol"

    def _execute(
        self,
        now: int,
        symbol: str,
        side: str,
        lots: int,
        limit: int,
        reaped: Callable[[str], bool],
    ) -> Outcome:
        book = self.books[symbol]
        quote = book.quote
        if quote and quote.expires <= now and reaped(symbol):
            quote = None
        quote_id = quote.quote_id if quote else "-"
        if book.halted or self.mode_of(book) == "halted":
            return Outcome("canceled", "halted", quote_id=quote_id)
        level = quote.levels["ask" if side == "buy" else "bid"] if quote else None
        if not quote or not level or level.size == 0:
            return Outcome("canceled", "no_quote", quote_id=quote_id)
        if quote.expires <= now:
            return Outcome("canceled", "expired", quote_id=quote_id)
        if limit < level.ticks if side == "buy" else limit > level.ticks:
            return Outcome("canceled", "not_crossing", quote_id=quote_id)
        if level.lots == 0:
            return Outcome("canceled", "exhausted", quote_id=quote_id)
        done = min(lots, level.lots)
        level.lots -= done
        book.fills.append((done if side == "sell" else -done, level.ticks))
        self.uncommitted.append((symbol, len(book.fills)))
        full = done == lots
        return Outcome(
            "filled" if full else "partially_filled",
            "-" if full else "exhausted",
            done,
            str(level.ticks),
            f"{symbol}-{len(book.fills)}",
            quote_id,
        )

    # positions

    def forge(self, symbol: str, sequence: int) -> None:
        """A foreign hand appends a fill with a wrong sequence number to the ledger."""
        self.uncommitted.append((symbol, sequence))

    def commit(self) -> None:
        """Apply every emitted fill in order; one off its sequence halts its symbol.

        A symbol that is flat afterwards and was to be flattened is halted.
        """
        touched: list[Book] = []
        for symbol, sequence in self.uncommitted:
            book = self.books[symbol]
            if book.halted:
                self.dead.append("halted")
            elif sequence == book.committed + 1 and sequence <= len(book.fills):
                book.committed = sequence
                touched.append(book)
            else:
                self.dead.append("sequence")
                book.halted = True
                self._stop_quoting(book)
        self.uncommitted = []
        for book in touched:
            if book.is_flat and book.mode == "flattening":
                book.mode = "halted"
                self._stop_quoting(book)

    def _stop_quoting(self, book: Book) -> None:
        """The symbol has no quote and waits for nothing."""
        book.quote = None
        self._leave_queues(book)

    def _leave_queues(self, book: Book) -> None:
        for side in SIDES:
            book.claims[side] = Claim(0, 0)
            if book.symbol.name in self.queues[side]:
                self.queues[side].remove(book.symbol.name)

    # operators

    def mode_of(self, book: Book) -> str:
        """The stricter one of the symbol's mode and that of all."""
        return max(self.mode, book.mode, key=STRICTNESS.__getitem__)

    def control(self, mode: str, symbols: Sequence[str]) -> list[str]:
        """Set a mode of some symbols, or of all; the ids of the quotes that it ends."""
        stricter: list[Book] = []
        for name in symbols:
            book = self.books[name]
            asked = "flattening" if book.symbol.retired and mode != "halted" else mode
            after = "halted" if asked == "flattening" and book.is_flat else asked
            if STRICTNESS[after] > STRICTNESS[book.mode]:
                stricter.append(book)
            book.mode = after
        if not symbols:
            if STRICTNESS[mode] > STRICTNESS[self.mode]:
                stricter = list(self.books.values())
            self.mode = mode
        ended = [book.quote.quote_id for book in stricter if book.quote]
        for book in stricter:
            book.quote = None
            if any(book.symbol.name in queue for queue in self.queues.values()):
                self._leave_queues(book)
        return sorted(ended)

    def configure(self, now: int, config: Config) -> list[str]:
        """The configuration becomes this one; the ids of the quotes that it ends."""
        ended = self.expire(now)
        self.config = config
        for symbol in config.symbols:
            book = self.books[symbol.name]
            if book.symbol == symbol:
                continue
            if symbol.retired:
                book.mode = "halted" if book.is_flat or book.mode == "halted" else "flattening"
            elif book.symbol.retired:
                book.mode = "active"
            book.symbol = symbol
            if book.quote:
                ended.append(book.quote.quote_id)
            self._stop_quoting(book)
        return sorted(ended)

    # quotes

    def expire(self, now: int) -> list[str]:
        """Release every quote at or past its expiry; their ids."""
        ended = []
        for book in self.books.values():
            if book.quote and book.quote.expires <= now:
                ended.append(book.quote.quote_id)
                book.quote = None
        return sorted(ended)

    def withdraw(self) -> list[str]:
        """End every quote, and let no symbol wait; the ids of the quotes."""
        ended = [book.quote.quote_id for book in self.books.values() if book.quote]
        for book in self.books.values():
            book.quote = None
        for side in SIDES:
            for name in self.queues[side]:
                for both in SIDES:
                    self.books[name].claims[both] = Claim(0, 0)
            self.queues[side] = []
        return sorted(ended)

    def refusal(self, asked: Proposal) -> str:
        """The rule by which a proposal is refused, or empty text."""
        book, prices = self.books.get(asked.symbol), asked.prices
        if book is None:
            return "UNKNOWN_SYMBOL"
        symbol = book.symbol
        if not 0 < prices.bid_ticks < prices.ask_ticks:
            return "BAD_PROPOSAL"
        most = max(symbol.position_limit_lots, lot_units(self.config, symbol.name, 1))
        if prices.ask_ticks * most > MAX_INT:
            return "BAD_PROPOSAL"
        if book.halted or self.mode_of(book) == "halted":
            return "HALTED"
        if asked.config_version != self.config.version:
            return "STALE_CONFIG"
        if asked.position_version != book.committed:
            return "STALE_POSITION"
        if len(book.fills) != book.committed:
            return "UNCOMMITTED_FILLS"
        return "STALE_QUOTE" if asked.quote_version != book.version else ""

    def place(self, asked: Proposal, now: int) -> tuple[str, str, int, int]:
        """Grant a proposal that is not refused: outcome, quote_id, lots of each side."""
        self.expire(now)
        book, prices = self.books[asked.symbol], asked.prices
        limit, levels = book.symbol.position_limit_lots, {}
        for side, ticks, lots, net, cash in (
            ("bid", prices.bid_ticks, prices.bid_lots, book.net, book.cash),
            ("ask", prices.ask_ticks, prices.ask_lots, -book.net, -book.cash),
        ):
            # The complete fill keeps the position in its limit, and cash exact.
            exact = min(MAX_INT, MAX_INT + cash) // ticks
            most = max(0, min(lots, limit - net, exact))
            if self.mode_of(book) != "active":
                most = min(most, max(0, -net))
            levels[side] = self._grant(book, side, ticks, most, asked.trigger)
        bid, ask = levels["bid"].lots, levels["ask"].lots
        outcome = "reduced"
        if bid == ask == 0:
            outcome = "omitted"
        elif (bid, ask) == (prices.bid_lots, prices.ask_lots):
            outcome = "granted"
        if not (outcome == "omitted" == book.outcome):
            book.version += 1
        book.outcome = outcome
        quote_id = f"{asked.symbol}-{book.version}"
        expires = now + self.config.quote_ttl_ms
        book.quote = None if outcome == "omitted" else Quote(quote_id, expires, levels)
        return outcome, quote_id, bid, ask

    def _grant(self, book: Book, side: str, ticks: int, lots: int, trigger: str) -> Level:
        name, queue = book.symbol.name, self.queues[side]
        unit = lot_units(self.config, name, ticks)
        full = min(lots, self.config.limit_units // unit)
        own = book.held(side)
        free = self.config.limit_units - sum(
            other.held(side) for other in self.books.values() if other is not book
        )
        # Below 0 while more is reserved than a limit that was lowered.
        free_of_all = free - own
        # Symbols that began to wait earlier come first.
        for earlier in queue[: queue.index(name)] if name in queue else queue:
            claim = self.books[earlier].claims[side]
            free -= max(0, claim.lots * claim.unit - self.books[earlier].held(side))
        given = min(full, max(0, free) // unit)
        if trigger == "capacity" and free_of_all >= 0:
            given = max(given, min(full, own // unit))
        if given == full:
            if name in queue:
                queue.remove(name)
        elif name not in queue:
            queue.append(name)
        elif given * unit > own:
            queue.remove(name)
            queue.append(name)
        book.claims[side] = Claim(full, unit)
        return Level(ticks, given, given, unit)
