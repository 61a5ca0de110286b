"""The audit of the ledger, in one pass: density, positions, quotes' sizes, limits, the gate."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from mm.audit.outcomes import Executions
from mm.audit.quotes import Book
from mm.audit.reservations import Executed
from mm.audit.tally import Tally, digits, integer
from mm.market import Position
from mm.store import Raw, StreamReader, stream_id_order, text

_FILL = re.compile(rb"(buy|sell) ([0-9]{1,16}) ([0-9]{1,16}) (\S+ \S+) (\S+) ([0-9]{1,16})")


@dataclass
class _Track:
    """One symbol on the way through the ledger.

    ``broken`` once its sequence has a fault: sums of it then mean nothing. ``committed`` is the
    position at the committed version, with the id of the fill that made it. ``passed`` is the last
    fill before the state service's cursor.
    """

    name: str
    book: Book
    version: int | None
    limit: int | None
    seq: int = 0
    passed: int = 0
    broken: bool = False
    position: Position = field(default_factory=Position)
    committed: tuple[Position, str] | None = None
    quote: int = 0
    row: int | None = None
    next_row: int = 0
    bid_lots: int = 0
    ask_lots: int = 0


class Ledger:
    """The pass over the ledger: call :meth:`walk`, then :meth:`finish`."""

    def __init__(
        self, reader: StreamReader, raw: Raw, books: dict[str, Book], tallies: dict[str, Tally]
    ) -> None:
        self._reader = reader
        self._raw = raw
        self._dense = tallies["ledger-dense"]
        self._exact = tallies["position-exact"]
        self._within = tallies["fills-within-quote"]
        self._gate = tallies["gate-kept"]
        self._limited = tallies["position-limited"]
        self._tracks: dict[bytes, _Track] = {}
        for name, stored in raw.symbols.items():
            key = reader.keys.member("symbol:*", name)
            limit = self._limited.integer(key, stored.state, "position_limit_lots")
            version = integer(stored.position, "position_version")
            track = _Track(name, books[name], version, limit)
            if version == 0:
                track.committed = (Position(), "-")
            self._tracks[name.encode()] = track

    def walk(self, executions: Executions) -> None:
        """Read the ledger up to the instant; each fill that continues it goes to ``executions``."""
        key, last_id = self._reader.keys.named("fills"), self._raw.streams["fills"].last_id
        cursor = stream_id_order(self._raw.cursors.get("state", ""))
        for entry, flat in self._reader.entries(key, last_id):
            passed = stream_id_order(text(entry)) <= cursor
            for i in range(0, len(flat), 2):
                track = self._record(entry, flat[i], flat[i + 1], executions)
                if track is not None and passed:
                    track.passed = track.seq

    def _record(
        self, entry: bytes, fill_id: bytes, line: bytes, executions: Executions
    ) -> _Track | None:
        """Judge one record; its symbol's track, None when it is not a fill of one."""
        name, _, number = fill_id.rpartition(b"-")
        track, found = self._tracks.get(name), _FILL.fullmatch(line)
        if track is None or found is None or not digits(number):
            said = f"{text(fill_id)!r} {text(line)!r}"
            self._dense.violation(f"fills entry {text(entry)}: {said} is not a fill of a symbol")
            if track is not None:
                track.broken = True
            return None
        side, lots, price, order, quote, ts_ms = found.groups()
        seq = int(number)
        if seq != track.seq + 1:
            track.broken = True
            self._dense.violation(
                f"fills entry {text(entry)}: {track.name} fill {seq} follows fill {track.seq}"
            )
            if seq <= track.seq:
                return None
        track.seq = seq
        quantity, ticks = int(lots), int(price)
        position = track.position.apply(quantity if side == b"sell" else -quantity, ticks)
        track.position = position
        if seq == track.version:
            track.committed = (position, text(fill_id))
        if track.limit is not None and abs(position.net_lots) > track.limit and not track.broken:
            self._limited.violation(
                f"{text(fill_id)} made the position {position.net_lots}, past the limit of"
                f" {track.limit} lots"
            )
        self._check_quote(track, seq, side == b"buy", quantity, ticks, text(quote), int(ts_ms))
        executions.add(order.replace(b" ", b"/"), fill_id, lots, price, quote, int(ts_ms))
        return track

    def _check_quote(
        self, track: _Track, seq: int, bought: bool, lots: int, ticks: int, quote: str, ts_ms: int
    ) -> None:
        within, fill = self._within, f"{track.name}-{seq}"
        name, _, number = quote.rpartition("-")
        if not (name == track.name and digits(number)):
            within.violation(f"{fill}: {quote!r} is not a quote of {track.name}")
            return
        version = int(number)
        if version != track.quote and not self._turn_to(track, version, seq):
            within.violation(f"{fill}: {quote} is older than {track.name}-{track.quote} before it")
            return
        if bought:
            track.ask_lots += lots
        else:
            track.bid_lots += lots
        if track.row is None:
            book = track.book
            if book.version and version > book.version[0]:
                within.violation(f"{fill}: quote {quote} was never placed")
            else:
                within.count("fills of quotes beyond retention")
            return
        within.count("fills")
        side, filled = ("ask", track.ask_lots) if bought else ("bid", track.bid_lots)
        columns = track.book.columns
        price, size = columns[side + "_ticks"][track.row], columns[side + "_lots"][track.row]
        expires = columns["expires_ms"][track.row]
        within.expect(ticks == price, f"{fill} at {ticks} ticks: the {side} of {quote} is {price}")
        within.expect(
            filled <= size, f"{fill}: {filled} lots filled of the {side} of {quote}: {size}"
        )
        within.expect(ts_ms < expires, f"{fill} at {ts_ms}: {quote} expired at {expires}")

    def _turn_to(self, track: _Track, version: int, seq: int) -> bool:
        """Follow the symbol to its next executed quote; False when that is an older one."""
        if version < track.quote:
            return False
        track.quote, track.row = version, track.book.find(version)
        track.bid_lots = track.ask_lots = 0
        self._check_gate(track, version, seq - 1)
        return True

    def _check_gate(self, track: _Track, version: int, fills: int) -> None:
        # Whatever was placed after the quote executed before, up to this one, was placed at this
        # very length of the ledger. No clock is needed to see that.
        book = track.book
        while track.next_row < len(book.version) and book.version[track.next_row] <= version:
            placed, told = book.version[track.next_row], book.columns["fill_seq"][track.next_row]
            track.next_row += 1
            if not track.broken:
                self._gate.count("placements against the ledger")
                self._gate.expect(
                    told == fills,
                    f"{track.name}-{placed} was placed with {told} fills: the ledger had {fills}",
                )

    def finish(self) -> dict[str, Executed]:
        """Judge the ends; what was executed of each symbol's newest executed quote."""
        executed = {}
        for track in self._tracks.values():
            stored = self._raw.symbols[track.name]
            key = self._reader.keys.member("symbol:*", track.name)
            emitted = self._dense.integer(key, stored.state, "fill_seq")
            self._dense.count("symbols")
            self._dense.count("fills", track.seq)
            if emitted is not None and not self._dense.expect(
                emitted == track.seq,
                f"{key} fill_seq {emitted}: the ledger holds {track.seq} fills",
            ):
                track.broken = True
            if stored.state.get("halted"):
                self._dense.note(f"{track.name} is halted: {stored.state['halted']}")
            self._check_position(track, stored.position, "halted" in stored.state)
            self._check_gate(track, track.book.last, track.seq)
            self._limited.count("symbols")
            self._limited.count("positions", track.seq)
            if not track.broken:
                executed[track.name] = Executed(track.quote, track.bid_lots, track.ask_lots)
        return executed

    def _check_position(self, track: _Track, stored: dict[str, str], halted: bool) -> None:
        exact = self._exact
        key = self._reader.keys.member("position:*", track.name)
        names = ("net_lots", "cash_ticks", "cost_ticks", "last_price_ticks")
        found = exact.integers(key, stored, "position_version", *names)
        exact.integer(key, stored, "updated_ms")
        exact.count("positions")
        if found is None:
            return
        if track.broken:
            exact.note(f"{track.name} not judged: its ledger is not dense")
            return
        version = found[0]
        if track.committed is None:
            exact.violation(f"{key} position_version {version}: the ledger holds {track.seq} fills")
            return
        # The cursor passes the fills of a halted symbol without applying them.
        exact.expect(
            version >= track.passed or halted,
            f"{key} position_version {version}: the state service's cursor is past fill"
            f" {track.name}-{track.passed}",
        )
        exact.count("fills", version)
        position, fill_id = track.committed
        for name, value in zip(names, found[1:], strict=True):
            folded = getattr(position, name)
            exact.expect(
                value == folded, f"{key} {name} {value}: the ledger up to {version} says {folded}"
            )
        last = stored.get("last_fill_id")
        exact.expect(last == fill_id, f"{key} last_fill_id {last!r}: it must be {fill_id}")
