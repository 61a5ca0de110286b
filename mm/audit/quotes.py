"""The audit of quotes: the symbol's one quote, the quote stream, and the gate."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation

from mm.audit.tally import Tally, digits, integer
from mm.market import INT_FIELDS, SCHEMA
from mm.store import Raw, RawSymbol, StreamReader, execute, text

_COLUMNS = ("bid_ticks", "ask_ticks", "bid_lots", "ask_lots", "expires_ms", "fill_seq")
#: Field of the quote's hash -> field of the event that placed it.
_AGREE = {
    name: name
    for name in ("quote_id", "bid_ticks", "ask_ticks", "position_version", "expires_ms", "maker_id")
} | {"bid_size_lots": "bid_lots", "ask_size_lots": "ask_lots"}
#: What quotes are made from; the other parameters are looked at by the checks that use them.
_PARAMETERS = ("reference_ticks", "spread_ticks", "size_lots", "skew_ticks")
_USED_ELSEWHERE = ("limit_units", "dedup_window_ms")


@dataclass
class Book:
    """A symbol's retained placements in the order of their versions, 56 bytes each.

    ``newest`` is the newest placement's event, ``ended`` the newest version whose end was told.
    """

    version: array[int] = field(default_factory=lambda: array("q"))
    columns: dict[str, array[int]] = field(
        default_factory=lambda: {name: array("q") for name in _COLUMNS}
    )
    newest: dict[str, str] = field(default_factory=dict)
    ended: int = 0

    @property
    def last(self) -> int:
        """The newest retained version, 0 for none."""
        return self.version[-1] if self.version else 0

    def find(self, version: int) -> int | None:
        """The row of a version, or None when it is not there."""
        row = bisect_left(self.version, version)
        return row if row < len(self.version) and self.version[row] == version else None

    def add(self, version: int, values: Mapping[str, int]) -> None:
        """Append a placement."""
        self.version.append(version)
        for name, column in self.columns.items():
            column.append(values[name])


def read_books(reader: StreamReader, raw: Raw, one: Tally, gate: Tally) -> dict[str, Book]:
    """Read the quote stream up to the instant; its order and its gate are judged on the way."""
    books = {name: Book() for name in raw.symbols}
    key = reader.keys.named("quotes")
    placed = any(integer(stored.state, "quote_version") for stored in raw.symbols.values())
    if placed and not raw.streams["quotes"].length:
        one.violation(f"{key} is empty although quotes were placed: trimming never empties it")
    for entry, flat in reader.entries(key, raw.streams["quotes"].last_id):
        texts = [text(word) for word in flat]
        event = dict(zip(texts[::2], texts[1::2], strict=True))
        where = f"quotes entry {text(entry)}"
        book = books.get(event.get("symbol", ""))
        one.count("quote events")
        if book is None:
            one.violation(f"{where}: symbol {event.get('symbol')!r} is not a configured one")
        elif event.get("event") == "active" or event.get("outcome") == "omitted":
            _placed(book, event, where, one, gate)
        elif event.get("event") in ("expired", "withdrawn"):
            _ended(book, event, where, one)
        else:
            one.violation(
                f"{where}: event {event.get('event')!r} is not active, withdrawn, expired"
            )
    return books


def _placed(book: Book, event: dict[str, str], where: str, one: Tally, gate: Tally) -> None:
    names = ("quote_version", *_COLUMNS, "position_version")
    found = one.integers(where, event, *names)
    if found is None:
        return
    values = dict(zip(names, found, strict=True))
    version, symbol = values["quote_version"], event["symbol"]
    quote_id = event.get("quote_id")
    one.expect(quote_id == f"{symbol}-{version}", f"{where}: version {version} of {quote_id}")
    if not one.expect(
        version > book.last, f"{where}: {symbol} version {version} follows version {book.last}"
    ):
        return
    bid, ask = values["bid_ticks"], values["ask_ticks"]
    one.expect(0 < bid < ask, f"{where}: {quote_id} bid {bid} ask {ask}, not 0 < bid < ask")
    gate.count("placements")
    committed, emitted = values["position_version"], values["fill_seq"]
    gate.expect(
        committed == emitted,
        f"{where}: {quote_id} was placed at position version {committed} with {emitted} fills",
    )
    before = book.columns["fill_seq"][-1] if book.version else 0
    gate.expect(
        emitted >= before,
        f"{where}: {quote_id} was placed with {emitted} fills, the one before it with {before}",
    )
    book.add(version, values)
    book.newest = event


def _ended(book: Book, event: dict[str, str], where: str, one: Tally) -> None:
    symbol, quote_id = event["symbol"], event.get("quote_id", "")
    version = quote_id.removeprefix(f"{symbol}-")
    if not one.expect(digits(version), f"{where}: quote_id {quote_id!r} is not of {symbol}"):
        return
    if not book.version:
        one.count("ends of quotes beyond retention")
        return
    ends_newest = int(version) == book.last and book.newest["event"] == "active"
    if one.expect(
        ends_newest and book.ended < int(version),
        f"{where}: {quote_id} ended, but it was not the active one ({symbol}-{book.last})",
    ):
        book.ended = int(version)


def check_quotes(reader: StreamReader, raw: Raw, books: dict[str, Book], one: Tally) -> set[str]:
    """Judge the quote hashes; the symbols whose quote is sound."""
    sound = set()
    for name, stored in raw.symbols.items():
        key = reader.keys.member("symbol:*", name)
        before = one.total
        newest = one.integer(key, stored.state, "quote_version")
        book = books[name]
        if newest is not None and (book.version or newest == 0):
            one.expect(
                book.last == newest,
                f"{key} quote_version {newest}: the quote stream's newest is {book.last}",
            )
        elif newest:
            one.count("symbols whose newest placement is beyond retention")
        _check_parameters(key, stored.state, one)
        outcome = stored.state.get("outcome", "granted")
        one.expect(
            outcome in ("granted", "reduced", "omitted"),
            f"{key} outcome {outcome!r}: not an outcome",
        )
        if stored.quote and newest is not None:
            _check_hash(reader.keys.member("quote:*", name), stored, newest, book, one)
        one.count("symbols")
        if one.total == before:
            sound.add(name)
    _check_config(reader.keys.named("config"), raw.config, one)
    _check_expiries(reader, [name for name, stored in raw.symbols.items() if stored.quote], one)
    return sound


def _check_hash(key: str, stored: RawSymbol, newest: int, book: Book, one: Tally) -> None:
    quote = stored.quote
    one.count("quotes")
    version = one.integer(key, quote, "quote_version")
    if version is None or not one.expect(
        version == newest, f"{key} quote_version {version}: the symbol's newest is {newest}"
    ):
        return
    one.expect(book.ended < version, f"{key}: version {version} is there though its end was told")
    if book.last != version:
        one.integers(key, quote, "bid_ticks", "ask_ticks", "position_version", "expires_ms")
        return
    for name, told in _AGREE.items():
        placed, found = book.newest.get(told), quote.get(name)
        one.expect(
            found == placed, f"{key} {name} {found!r}: the event that placed it says {placed!r}"
        )


def _check_parameters(key: str, state: dict[str, str], one: Tally) -> None:
    one.integers(key, state, *_PARAMETERS)
    for name in ("tick", "lot"):
        try:
            good = Decimal(state.get(name, "")) > 0
        except InvalidOperation:
            good = False
        one.expect(good, f"{key} {name} {state.get(name)!r}: it must be a decimal above 0")


def _check_config(key: str, config: dict[str, str], one: Tally) -> None:
    one.integers(key, config, *(name for name in INT_FIELDS if name not in _USED_ELSEWHERE))
    schema, durability = config.get("schema"), config.get("durability")
    one.expect(schema == SCHEMA, f"{key} schema {schema!r}: this program reads {SCHEMA}")
    one.expect(
        durability in ("always", "relaxed"),
        f"{key} durability {durability!r}: it must be always or relaxed",
    )


def _check_expiries(reader: StreamReader, symbols: list[str], one: Tally) -> None:
    # Not at the instant: a quote has an expiry at every time, so any later one serves as well.
    for start in range(0, len(symbols), 1_000):
        pipeline = reader.client.pipeline(transaction=False)
        part = symbols[start : start + 1_000]
        for name in part:
            execute(pipeline, "PTTL", reader.keys.member("quote:*", name))
        for name, left in zip(part, pipeline.execute(), strict=True):
            key = reader.keys.member("quote:*", name)
            one.expect(left != -1, f"{key} has no expiry: the server would keep it for ever")
