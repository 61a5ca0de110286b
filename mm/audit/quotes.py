"""The audit of quotes: the quote stream, the gate, and each symbol's one quote."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation

from mm.audit.tally import Tally, integer_or_none, is_digits
from mm.market import ADDED_FIELDS, ADDED_PARAMETERS, DURABILITIES, INT_FIELDS, SCHEMA
from mm.store import Raw, RawSymbol, StreamReader, execute, text

_COLUMNS = ("bid_ticks", "ask_ticks", "bid_lots", "ask_lots", "expires_ms", "fill_seq")
#: Field of the quote's hash -> field of the event that placed it, with the same value.
_SAME_IN_EVENT = {
    name: name
    for name in ("quote_id", "bid_ticks", "ask_ticks", "position_version", "expires_ms", "maker_id")
} | {"bid_size_lots": "bid_lots", "ask_size_lots": "ask_lots"}
#: Parameters that only the quote rule uses. The checks that use another one look at it.
_PARAMETERS = ("reference_ticks", "spread_ticks", "size_lots", "skew_ticks")
_CHECKED_ELSEWHERE = ("limit_units", "dedup_window_ms")
_SYSTEM_ID = re.compile(r"[0-9a-f]{16}")


@dataclass
class Book:
    """A symbol's retained placements in the order of their versions, 56 bytes each.

    ``newest`` is the event of the newest placement. ``ended`` is the newest version that has an
    end on the stream.
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
        """The row of a version, or None when it is not retained."""
        row = bisect_left(self.version, version)
        return row if row < len(self.version) and self.version[row] == version else None

    def add(self, version: int, values: Mapping[str, int], event: dict[str, str]) -> None:
        """Append a placement."""
        self.version.append(version)
        for name, column in self.columns.items():
            column.append(values[name])
        self.newest = event


class QuoteCheck:
    """The checks of quotes: call :meth:`read_stream`, then :meth:`check_hashes`."""

    def __init__(self, reader: StreamReader, raw: Raw, tallies: dict[str, Tally]) -> None:
        self._reader, self._raw = reader, raw
        self._tally = tallies["one-quote"]
        self._gate = tallies["gate-kept"]
        self.books = {name: Book() for name in raw.symbols}

    def read_stream(self) -> None:
        """Read the quote stream up to the instant into ``books``, and judge each event."""
        raw, tally, stream = self._raw, self._tally, self._raw.streams["quotes"]
        key = self._reader.keys.named("quotes")
        if not stream.length and any(
            integer_or_none(stored.state, "quote_version") for stored in raw.symbols.values()
        ):
            tally.violation(
                f"{key} is empty although quotes were placed: trimming never empties it"
            )
        for entry, flat in self._reader.entries(key, stream.last_id):
            words = [text(word) for word in flat]
            event = dict(zip(words[::2], words[1::2], strict=True))
            where = f"quotes entry {text(entry)}"
            book = self.books.get(event.get("symbol", ""))
            tally.count("quote events")
            if book is None:
                tally.violation(f"{where}: symbol {event.get('symbol')!r} is not a configured one")
            elif event.get("event") == "active" or event.get("outcome") == "omitted":
                self._check_placement(book, event, where)
            elif event.get("event") in ("expired", "withdrawn"):
                self._check_end(book, event, where)
            else:
                tally.violation(
                    f"{where}: event {event.get('event')!r} is not active, withdrawn, expired"
                )

    def _check_placement(self, book: Book, event: dict[str, str], where: str) -> None:
        tally, gate = self._tally, self._gate
        names = ("quote_version", *_COLUMNS, "position_version")
        numbers = tally.integers(where, event, *names)
        if numbers is None:
            return
        values = dict(zip(names, numbers, strict=True))
        version, symbol = values["quote_version"], event["symbol"]
        quote_id = event.get("quote_id")
        tally.expect(quote_id == f"{symbol}-{version}", f"{where}: version {version} of {quote_id}")
        if not tally.expect(
            version > book.last, f"{where}: {symbol} version {version} follows version {book.last}"
        ):
            return
        bid, ask = values["bid_ticks"], values["ask_ticks"]
        tally.expect(0 < bid < ask, f"{where}: {quote_id} bid {bid} ask {ask}, not 0 < bid < ask")
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
        book.add(version, values, event)

    def _check_end(self, book: Book, event: dict[str, str], where: str) -> None:
        tally, symbol, quote_id = self._tally, event["symbol"], event.get("quote_id", "")
        version = quote_id.removeprefix(f"{symbol}-")
        if not tally.expect(
            is_digits(version), f"{where}: quote_id {quote_id!r} is not of {symbol}"
        ):
            return
        if not book.version:
            tally.count("ends of quotes beyond retention")
            return
        ends_newest = int(version) == book.last and book.newest["event"] == "active"
        if tally.expect(
            ends_newest and book.ended < int(version),
            f"{where}: {quote_id} ended, but it was not the active one ({symbol}-{book.last})",
        ):
            book.ended = int(version)

    def check_hashes(self) -> set[str]:
        """Judge the hashes of quotes and of symbols; returns the symbols without a violation."""
        keys, tally = self._reader.keys, self._tally
        sound = set()
        for name, stored in self._raw.symbols.items():
            before = tally.total
            self._check_symbol(keys.member("symbol:*", name), stored.state, self.books[name])
            self._check_terms(keys.member("terms:*", name), stored.terms)
            newest = integer_or_none(stored.state, "quote_version")
            if stored.quote and newest is not None:
                self._check_quote(keys.member("quote:*", name), stored, newest, self.books[name])
            tally.count("symbols")
            if tally.total == before:
                sound.add(name)
        self._check_config(keys.named("config"))
        self._check_expiries([name for name, stored in self._raw.symbols.items() if stored.quote])
        return sound

    def _check_symbol(self, key: str, state: dict[str, str], book: Book) -> None:
        tally = self._tally
        newest = tally.integer(key, state, "quote_version")
        if newest is not None and (book.version or newest == 0):
            tally.expect(
                book.last == newest,
                f"{key} quote_version {newest}: the quote stream's newest is {book.last}",
            )
        elif newest:
            tally.count("symbols whose newest placement is beyond retention")
        outcome = state.get("outcome", "granted")
        tally.expect(
            outcome in ("granted", "reduced", "omitted"),
            f"{key} outcome {outcome!r}: it must be granted, reduced or omitted",
        )

    def _check_terms(self, key: str, terms: dict[str, str]) -> None:
        tally = self._tally
        tally.integers(key, terms, *_PARAMETERS)
        tally.optional_integers(key, terms, *ADDED_PARAMETERS)
        for name in ("tick", "lot"):
            try:
                positive = Decimal(terms.get(name, "")) > 0
            except InvalidOperation:
                positive = False
            tally.expect(positive, f"{key} {name} {terms.get(name)!r}: it must be above 0")

    def _check_quote(self, key: str, stored: RawSymbol, newest: int, book: Book) -> None:
        tally, quote = self._tally, stored.quote
        tally.count("quotes")
        version = tally.integer(key, quote, "quote_version")
        if version is None or not tally.expect(
            version == newest, f"{key} quote_version {version}: the symbol's newest is {newest}"
        ):
            return
        tally.expect(
            book.ended < version, f"{key}: version {version} is there, but its end is on the stream"
        )
        if book.last != version:
            tally.integers(key, quote, "bid_ticks", "ask_ticks", "position_version", "expires_ms")
            return
        for name, name_in_event in _SAME_IN_EVENT.items():
            value, placed = quote.get(name), book.newest.get(name_in_event)
            tally.expect(
                value == placed, f"{key} {name} {value!r}: the event that placed it says {placed!r}"
            )

    def _check_config(self, key: str) -> None:
        tally, config = self._tally, self._raw.config
        numbers = (name for name in INT_FIELDS if name not in (*_CHECKED_ELSEWHERE, *ADDED_FIELDS))
        tally.integers(key, config, "created_ms", *numbers)
        tally.optional_integers(key, config, "config_version", *ADDED_FIELDS)
        system_id = config.get("system_id", "")
        tally.expect(
            _SYSTEM_ID.fullmatch(system_id) is not None,
            f"{key} system_id {system_id!r}: it must be 16 hex digits",
        )
        schema, durability = config.get("schema"), config.get("durability")
        tally.expect(schema == SCHEMA, f"{key} schema {schema!r}: this program reads {SCHEMA}")
        tally.expect(
            durability in DURABILITIES,
            f"{key} durability {durability!r}: it must be {', '.join(DURABILITIES)}",
        )

    def _check_expiries(self, symbols: list[str]) -> None:
        # This is read after the instant. A quote has an expiry at every time, so that is enough.
        for start in range(0, len(symbols), 1_000):
            pipeline = self._reader.client.pipeline(transaction=False)
            keys = [self._reader.keys.member("quote:*", name) for name in symbols[start:][:1_000]]
            for key in keys:
                execute(pipeline, "PTTL", key)
            for key, left_ms in zip(keys, pipeline.execute(), strict=True):
                self._tally.expect(
                    left_ms != -1, f"{key} has no expiry: the server would keep it for ever"
                )
