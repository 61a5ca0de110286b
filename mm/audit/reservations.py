"""The audit of what stands in the hashes at the instant: exposure, and cursors."""

from __future__ import annotations

from dataclasses import dataclass

from mm.audit.tally import Tally, integer, listed
from mm.store import Keys, Raw, RawSymbol, is_stream_id, stream_id_order

#: For how long after its expiry a quote may still be reserved.
GRACE_MS = 1_000

SIDES = ("bid", "ask")

#: What a reservation says of its symbol's place in the queues, once it has been quoted.
_CLAIMS = tuple(f"{side}_{what}" for side in SIDES for what in ("wanted_lots", "lot_units"))
_COUNTS = ("exchange_records", "state_records", "trim_records")
_IDS = ("exchange", "state", "trim_to", "trim_next")


@dataclass(frozen=True)
class Executed:
    """What the ledger says of a symbol's newest executed quote: lots filled on each side."""

    version: int
    bid_lots: int
    ask_lots: int


def check_bounded(keys: Keys, raw: Raw, tally: Tally) -> None:
    """exposure-bounded: on each side 0 <= reserved total <= limit."""
    key = keys.named("exposure")
    limit = tally.integer(key, raw.exposure, "limit_units")
    agreed = tally.integer(keys.named("config"), raw.config, "limit_units")
    if limit is not None and agreed is not None:
        tally.expect(limit == agreed, f"{key} limit_units {limit}: the configuration says {agreed}")
    tally.optional(key, raw.exposure, "wait_seq")
    for side in SIDES:
        total = tally.integer(key, raw.exposure, f"{side}_units")
        tally.count("budgets")
        if total is not None and limit is not None:
            tally.expect(
                0 <= total <= limit, f"{key} {side}_units {total}: it must be from 0 to {limit}"
            )


def check_exact(
    keys: Keys, raw: Raw, tally: Tally, sound: set[str], executed: dict[str, Executed]
) -> None:
    """exposure-exact: totals, reservations, quotes and deadlines agree.

    ``sound`` are the symbols whose quote hash is what was placed; what was executed of their
    quotes is ``executed``.
    """
    mode = raw.config.get("exposure_mode")
    tally.expect(
        mode in ("lots", "notional"),
        f"{keys.named('config')} exposure_mode {mode!r}: it must be lots or notional",
    )
    sums = {"bid": 0, "ask": 0}
    readable = True
    for name, stored in raw.symbols.items():
        key = keys.member("reservation:*", name)
        held = tally.integers(key, stored.reservation, "bid_units", "ask_units", "expires_ms")
        tally.integer(keys.member("symbol:*", name), stored.state, "multiplier")
        tally.optional(key, stored.reservation, *_CLAIMS)
        tally.stream_ids(key, stored.reservation, "event_id")
        tally.count("reservations")
        if held is None:
            readable = False
            continue
        for side, units in zip(SIDES, held, strict=False):
            sums[side] += units
            tally.expect(units >= 0, f"{key} {side}_units {units}: it must not be negative")
        one = ReservationCheck(keys, raw, tally, name, stored, held[:2], held[2])
        if stored.quote and not one.expired_quote(name in sound):
            one.check_quote(mode == "notional", name in sound, executed.get(name))
        else:
            one.check_empty()
    for side in SIDES:
        total = integer(raw.exposure, f"{side}_units")
        if total is None or not readable:
            tally.note(f"{side} total not judged: it or a reservation cannot be read")
        else:
            tally.expect(
                total == sums[side],
                f"{keys.named('exposure')} {side}_units {total}: the reservations' sum is"
                f" {sums[side]}",
            )


@dataclass(frozen=True)
class ReservationCheck:
    """One symbol's reservation, its numbers read."""

    keys: Keys
    raw: Raw
    tally: Tally
    name: str
    stored: RawSymbol
    units: list[int]
    expires_ms: int

    @property
    def where(self) -> str:
        """The reservation's key."""
        return self.keys.member("reservation:*", self.name)

    def expired_quote(self, sound: bool) -> bool:
        """Whether the quote is known to have expired at the instant."""
        expires = integer(self.stored.quote, "expires_ms")
        return sound and expires is not None and expires <= self.raw.now_ms

    def check_empty(self) -> None:
        """Without an unexpired quote nothing stays reserved, for longer than the grace."""
        active = self.stored.reservation.get("state") == "active"
        if not active and not any(self.units):
            return
        late = self.raw.now_ms - self.expires_ms
        bid, ask = self.units
        if 0 <= late < GRACE_MS:
            self.tally.count("reservations of quotes just expired")
        else:
            quote = f"{self.keys.member('quote:*', self.name)} is not there"
            since = f"it expired {late} ms ago" if late > 0 else quote
            self.tally.violation(
                f"{self.where}: {bid} bid and {ask} ask units are reserved for"
                f" {self.stored.reservation.get('quote_id')}, but {since}"
            )

    def check_quote(self, notional: bool, sound: bool, executed: Executed | None) -> None:
        """An unexpired quote's reservation is its remaining quantity in units."""
        tally, quote = self.tally, self.stored.quote
        key = self.keys.member("quote:*", self.name)
        for side, units in zip(SIDES, self.units, strict=True):
            lots = tally.integer(key, quote, f"{side}_lots")
            unit = self._unit(side) if notional else 1
            if lots is None or unit is None:
                continue
            tally.count("sides of quotes")
            tally.expect(
                units == lots * unit,
                f"{self.where} {side}_units {units}: {key} has {lots} lots of {unit} units left",
            )
            size = integer(quote, f"{side}_size_lots")
            if sound and size is not None and executed is not None:
                current = executed.version == integer(quote, "quote_version")
                filled = getattr(executed, f"{side}_lots") if current else 0
                tally.expect(
                    lots == size - filled,
                    f"{key} {side}_lots {lots}: {filled} of {size} are filled in the ledger",
                )
        if sound:
            self._check_deadline(key)

    def _unit(self, side: str) -> int | None:
        multiplier = integer(self.stored.state, "multiplier")
        ticks = integer(self.stored.quote, f"{side}_ticks")
        return None if multiplier is None or ticks is None else multiplier * ticks

    def _check_deadline(self, key: str) -> None:
        quote, held = self.stored.quote, self.stored.reservation
        for name, expected in (
            ("quote_id", quote.get("quote_id")),
            ("state", "active"),
            ("expires_ms", quote.get("expires_ms")),
        ):
            self.tally.expect(
                held.get(name) == expected, f"{self.where} {name} {held.get(name)!r}: {expected!r}"
            )
        try:
            score = int(float(self.raw.expiry.get(self.name, "nan")))
        except (ValueError, OverflowError):
            score = 0
        self.tally.expect(
            score == integer(quote, "expires_ms"),
            f"{self.keys.named('expiry')}: {self.name} must be at {quote.get('expires_ms')},"
            f" else nothing ends {key}",
        )


def check_drained(keys: Keys, raw: Raw, tally: Tally, quiescent: bool) -> None:
    """drained: cursors stand at the ends of their streams; judged only when quiescent."""
    key = keys.named("cursors")
    tally.optional(key, raw.cursors, *_COUNTS)
    tally.stream_ids(key, raw.cursors, *_IDS)
    if raw.cursors.get("seen_bucket") != "-":  # no order yet that could be remembered
        tally.optional(key, raw.cursors, "seen_bucket")
    for consumer, stream in (("exchange", "orders"), ("state", "fills")):
        tally.count("cursors")
        cursor, last = raw.cursors.get(consumer, "0-0"), raw.streams[stream].last_id
        if consumer not in raw.cursors:
            tally.violation(f"{key} lacks {consumer}: it would process its stream again")
        elif last == "0-0" and cursor != "0-0":
            tally.violation(f"{keys.named(stream)} is empty although {consumer} has read {cursor}")
        elif is_stream_id(cursor) and stream_id_order(cursor) < stream_id_order(last):
            pending = raw.pending.get(consumer, 0)
            waits = f", the oldest for {raw.now_ms - pending} ms" if pending else ""
            said = f"{key} {consumer} {cursor}: entries up to {last} wait{waits}"
            if quiescent:
                tally.violation(said)
            else:
                tally.note(said)
    if not quiescent:
        tally.note("not judged: the system was not said to be at rest")
    halted = [name for name, stored in raw.symbols.items() if stored.state.get("halted")]
    if halted:
        tally.note(f"halted: {listed(halted)}")
