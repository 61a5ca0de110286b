"""The audit of the ledger in one pass: density, positions, sizes of quotes, limits, the gate."""

from __future__ import annotations

import re

from mm.audit.marks import Marks
from mm.audit.outcomes import Executions
from mm.audit.quotes import Book
from mm.audit.tally import Tally, integer_or_none, is_digits
from mm.audit.track import QuoteFills, Track, made
from mm.store import Raw, RawSymbol, StreamReader, stream_id_order, text

_FILL = re.compile(
    rb"(buy|sell) ([0-9]{1,16}) ([0-9]{1,16}) (\S+ \S+) (\S+) ([0-9]{1,16})(?: ([0-9]{1,16}))?"
)
_POSITION = ("net_lots", "cash_ticks", "cost_ticks", "last_price_ticks")
#: What positions of earlier versions lack until their next fill is committed.
_ADDED = ("twice_spread_ticks", "fair_ticks", "fair_rest", "trades")


class LedgerCheck:
    """The checks over the ledger: call :meth:`walk`, then :meth:`finish`."""

    def __init__(
        self,
        reader: StreamReader,
        raw: Raw,
        books: dict[str, Book],
        tallies: dict[str, Tally],
        marks: Marks,
    ) -> None:
        self._reader, self._marks = reader, marks
        self._whole = tallies["archive-whole"]
        # The symbols of whose archived fills one is missing or altered.
        self._unproven: set[str] = set()
        self._raw = raw
        self._dense = tallies["ledger-dense"]
        self._exact = tallies["position-exact"]
        self._within = tallies["fills-within-quote"]
        self._gate = tallies["gate-kept"]
        self._limited = tallies["position-limited"]
        self._tracks: dict[bytes, Track] = {}
        for name, stored in raw.symbols.items():
            key = reader.keys.member("terms:*", name)
            limit = self._limited.integer(key, stored.terms, "position_limit_lots")
            # A limit that was lowered while the system ran bounds later quotes only.
            self._limited.optional_integers(key, stored.terms, "widest_limit_lots")
            if limit is not None:
                limit = max(limit, integer_or_none(stored.terms, "widest_limit_lots") or 0)
            version = integer_or_none(stored.position, "position_version")
            weight = integer_or_none(stored.terms, "fair_weight") or 100
            track = Track(name, books[name], version, limit, weight)
            track.begin(marks.start(name))
            self._tracks[name.encode()] = track
        self._names = list(raw.symbols)

    def walk(self, executions: Executions) -> None:
        """Read the ledger up to the instant; add each fill that continues it to ``executions``."""
        last_id, first_id = self._raw.streams["fills"].last_id, self._marks.first_id(self._names)
        cursor = stream_id_order(self._raw.cursors.get("state", ""))
        entries = self._reader.whole("fills", last_id, first_id, self._damaged)
        for entry, flat in entries:
            passed = stream_id_order(text(entry)) <= cursor
            for i in range(0, len(flat), 2):
                track = self._record(entry, flat[i], flat[i + 1], executions)
                if track is not None and passed:
                    track.passed = track.seq

    def _damaged(self, symbol: str, words: str) -> None:
        """Name a fill that the archive does not have as it was: sums with it prove nothing."""
        self._whole.violation(words)
        self._unproven.add(symbol)
        if track := self._tracks.get(symbol.encode()):
            track.broken = True

    def _record(
        self, entry: bytes, fill_id: bytes, line: bytes, executions: Executions
    ) -> Track | None:
        """Judge one record; returns its symbol's track, or None when it is not a new fill."""
        name, _, number = fill_id.rpartition(b"-")
        track, match = self._tracks.get(name), _FILL.fullmatch(line)
        if track is None or match is None or not is_digits(number):
            self._dense.violation(
                f"fills entry {text(entry)}: {text(fill_id)!r} {text(line)!r} is not a fill of a"
                " symbol"
            )
            if track is not None:
                track.broken = True
            return None
        side, lots, price, order, quote, ts_ms, width = match.groups()
        seq = int(number)
        if seq <= track.start:
            return None
        if seq != track.seq + 1:
            track.broken = True
            self._dense.violation(
                f"fills entry {text(entry)}: {track.name} fill {seq} follows fill {track.seq}"
            )
            if seq <= track.seq:
                return None
        track.seq = seq
        quantity, ticks = int(lots), int(price)
        spread = None if width is None else int(width)
        signed = quantity if side == b"sell" else -quantity
        position = track.position.apply(signed, ticks, spread, track.fair_weight)
        track.position = position
        if seq == track.version:
            track.committed = (position, text(fill_id))
        self._check_mark(track)
        if track.limit is not None and abs(position.net_lots) > track.limit and not track.broken:
            self._limited.violation(
                f"{text(fill_id)} made the position {position.net_lots}, past the limit of"
                f" {track.limit} lots"
            )
        if track.name in self._unproven:
            return track
        self._check_quote(track, side == b"buy", quantity, ticks, text(quote), int(ts_ms), spread)
        executions.add(order.replace(b" ", b"/"), fill_id, lots, price, quote, int(ts_ms))
        return track

    def _check_quote(
        self,
        track: Track,
        bought: bool,
        lots: int,
        ticks: int,
        quote: str,
        ts_ms: int,
        spread: int | None,
    ) -> None:
        """Judge the newest fill of a symbol against the quote that it names."""
        within, fill = self._within, f"{track.name}-{track.seq}"
        name, _, number = quote.rpartition("-")
        if not (name == track.name and is_digits(number)):
            within.violation(f"{fill}: {quote!r} is not a quote of {track.name}")
            return
        version = int(number)
        if version < track.quote:
            within.violation(f"{fill}: {quote} is older than {track.name}-{track.quote} before it")
            return
        if version > track.quote:
            self._turn_to(track, version)
        if bought:
            track.ask_lots += lots
        else:
            track.bid_lots += lots
        book = track.book
        if track.row is None:
            if book.version and version > book.version[0]:
                within.violation(f"{fill}: quote {quote} was never placed")
            else:
                within.count("fills of quotes beyond retention")
            return
        within.count("fills")
        side, filled = ("ask", track.ask_lots) if bought else ("bid", track.bid_lots)
        price, size = (book.columns[side + suffix][track.row] for suffix in ("_ticks", "_lots"))
        expires = book.columns["expires_ms"][track.row]
        wide = book.columns["ask_ticks"][track.row] - book.columns["bid_ticks"][track.row]
        within.expect(
            spread in (None, wide), f"{fill} of a spread of {spread}: that of {quote} is {wide}"
        )
        within.expect(ticks == price, f"{fill} at {ticks} ticks: the {side} of {quote} is {price}")
        within.expect(
            filled <= size, f"{fill}: {filled} lots filled of the {side} of {quote}: {size}"
        )
        within.expect(ts_ms < expires, f"{fill} at {ts_ms}: {quote} expired at {expires}")

    def _turn_to(self, track: Track, version: int) -> None:
        """Follow the symbol to its next executed quote, whose first fill is the newest fill."""
        track.quote, track.row = version, track.book.find(version)
        track.bid_lots = track.ask_lots = 0
        self._check_gate(track, version, track.seq - 1)

    def _check_gate(self, track: Track, version: int, fills: int) -> None:
        """Check the placements up to ``version``, which were made when ``fills`` fills existed.

        No fill came between the last one of the quote executed before and the first one of this
        quote. So every placement between the two saw the same number of fills. No clock is needed.
        """
        book = track.book
        while track.next_row < len(book.version) and book.version[track.next_row] <= version:
            placed, seen = book.version[track.next_row], book.columns["fill_seq"][track.next_row]
            track.next_row += 1
            if not track.broken:
                self._gate.count("placements against the ledger")
                self._gate.expect(
                    seen == fills,
                    f"{track.name}-{placed} was placed with {seen} fills: the ledger had {fills}",
                )

    def finish(self) -> dict[str, QuoteFills]:
        """Judge the ends; returns the fills of each unbroken symbol's newest executed quote."""
        executed = {}
        for track in self._tracks.values():
            stored = self._raw.symbols[track.name]
            self._check_end(track, stored)
            self._check_position(track, stored.position)
            self._check_gate(track, track.book.last, track.seq)
            self._limited.count("symbols")
            self._limited.count("positions", track.seq - track.start)
            if not track.broken:
                executed[track.name] = QuoteFills(track.quote, track.bid_lots, track.ask_lots)
        return executed

    def _check_mark(self, track: Track) -> None:
        """Compare the position after a fill with the mark that the archive has of it."""
        mark = self._marks.stored.get(track.name, {}).get(track.seq)
        if mark is None or track.broken:
            return
        self._whole.count("marks")
        for name in (*_POSITION, *_ADDED):
            due = made(track.position, name)
            self._whole.expect(
                mark.get(name, due) == due,
                f"the mark of {track.name}-{track.seq} says {name} {mark.get(name)!r}: the ledger"
                f" says {due!r}",
            )

    def _check_end(self, track: Track, stored: RawSymbol) -> None:
        key = self._reader.keys.member("symbol:*", track.name)
        emitted = self._dense.integer(key, stored.state, "fill_seq")
        self._dense.count("symbols")
        self._dense.count("fills", track.seq - track.start)
        if emitted is not None and not self._dense.expect(
            emitted == track.seq,
            f"{key} fill_seq {emitted}: the ledger holds {track.seq} fills",
        ):
            track.broken = True
        if halted := stored.position.get("halted"):
            self._dense.note(f"{track.name} is halted: {halted}")

    def _check_position(self, track: Track, stored: dict[str, str]) -> None:
        exact = self._exact
        key = self._reader.keys.member("position:*", track.name)
        numbers = exact.integers(key, stored, "position_version", *_POSITION)
        exact.integer(key, stored, "updated_ms")
        exact.count("positions")
        if numbers is None:
            return
        if track.broken:
            why = "archive is damaged" if track.name in self._unproven else "ledger is not dense"
            exact.note(f"{track.name} not judged: its {why}")
            return
        version, *values = numbers
        if track.committed is None:
            exact.violation(f"{key} position_version {version}: the ledger holds {track.seq} fills")
            return
        # The cursor passes the fills of a halted symbol without applying them. They were reported.
        exact.expect(
            version >= track.passed,
            f"{key} position_version {version}: the state service's cursor is past fill"
            f" {track.name}-{track.passed}, which the position does not have",
        )
        exact.count("fills", version - track.start)
        position, fill_id = track.committed
        for name, value in zip(_POSITION, values, strict=True):
            folded = getattr(position, name)
            exact.expect(
                value == folded, f"{key} {name} {value}: the ledger up to {version} says {folded}"
            )
        for name in _ADDED:
            due = made(position, name)
            exact.expect(
                stored.get(name, due) == due,
                f"{key} {name} {stored.get(name)!r}: the ledger up to {version} says {due!r}",
            )
        last = stored.get("last_fill_id")
        exact.expect(last == fill_id, f"{key} last_fill_id {last!r}: it must be {fill_id}")
