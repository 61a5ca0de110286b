"""The audit of exposure: the totals, the reservations, and the quotes that they are for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Context, Decimal

from mm.audit.tally import Tally, integer_or_none
from mm.audit.track import QuoteFills
from mm.market import LIVE_MS
from mm.store import Keys, Raw, RawSymbol

#: A quote may stay reserved for this long after its expiry (R9).
GRACE_MS = 1_000

#: The processes that release what has expired.
RELEASING = ("exchange", "state", "maker")

SIDES = ("bid", "ask")

#: Enough digits for the exact money of a tick x lot.
_EXACT = Context(prec=120)

#: Fields that a reservation has once its symbol has been quoted: its place in the queues.
_CLAIMS = tuple(f"{side}_{suffix}" for side in SIDES for suffix in ("wanted_lots", "lot_units"))


def check_bounded(keys: Keys, raw: Raw, tally: Tally) -> None:
    """exposure-bounded: on each side 0 <= reserved total <= limit.

    After the limit was lowered, the total is at most what it was then, until the last quote of that
    time must have ended. From then on what unexpired quotes reserve is within the limit (R23).
    The limit of a partition is its lease (R27).
    """
    key = keys.named("exposure")
    configured = tally.integer(keys.named("config"), raw.config, "limit_units")
    if "partition" in raw.config:
        limit = _lease_units(keys.named("lease"), raw.lease, tally)
    else:
        limit = tally.integer(key, raw.exposure, "limit_units")
        if limit is not None and configured is not None:
            tally.expect(
                limit == configured,
                f"{key} limit_units {limit}: the configuration says {configured}",
            )
    over_fields = [f"over_{side}_units" for side in SIDES]
    tally.optional_integers(key, raw.exposure, "wait_seq", "over_until_ms", *over_fields)
    over_until_ms = integer_or_none(raw.exposure, "over_until_ms") or 0
    for side in SIDES:
        total = tally.integer(key, raw.exposure, f"{side}_units")
        tally.count("budgets")
        if total is None or limit is None:
            continue
        most, counted = limit, total
        if raw.now_ms <= over_until_ms:
            most = max(limit, integer_or_none(raw.exposure, f"over_{side}_units") or 0)
            if total > limit:
                tally.count("budgets above a lowered limit")
        elif over_until_ms:
            counted -= _expired_units(raw, side)
        tally.expect(
            0 <= counted <= most, f"{key} {side}_units {counted}: it must be from 0 to {most}"
        )


def _lease_units(key: str, lease: dict[str, str], tally: Tally) -> int | None:
    """What a partition has accepted and not returned."""
    numbers = tally.integers(key, lease, "accepted", "returned", "due", "seq")
    if numbers is None:
        return None
    accepted, returned, due, _ = numbers
    tally.expect(
        0 <= returned <= accepted, f"{key} returned {returned}: it has accepted {accepted}"
    )
    tally.expect(due >= 0, f"{key} due {due}: it must not be negative")
    return accepted - returned


def _expired_units(raw: Raw, side: str) -> int:
    """What is still reserved for quotes whose expiry has passed."""
    found = 0
    for stored in raw.symbols.values():
        expires_ms = integer_or_none(stored.reservation, "expires_ms") or 0
        if expires_ms <= raw.now_ms:
            found += integer_or_none(stored.reservation, f"{side}_units") or 0
    return found


def check_exact(
    keys: Keys, raw: Raw, tally: Tally, sound: set[str], executed: dict[str, QuoteFills]
) -> None:
    """exposure-exact: totals, reservations, quotes and deadlines agree.

    ``sound`` holds the symbols whose quote hash is what was placed, ``executed`` the fills of each
    symbol's newest executed quote.
    """
    mode = raw.config.get("exposure_mode")
    tally.expect(
        mode in ("lots", "notional"),
        f"{keys.named('config')} exposure_mode {mode!r}: it must be lots or notional",
    )
    _check_unit_of_config(keys.named("config"), raw.config, tally)
    sums = {"bid": 0, "ask": 0}
    readable = True
    for name, stored in raw.symbols.items():
        key = keys.member("reservation:*", name)
        numbers = tally.integers(key, stored.reservation, "bid_units", "ask_units", "expires_ms")
        _check_units(keys, raw, tally, name, stored.terms)
        tally.optional_integers(key, stored.reservation, *_CLAIMS)
        tally.optional_stream_ids(key, stored.reservation, "event_id")
        tally.count("reservations")
        if numbers is None:
            readable = False
            continue
        *units, expires_ms = numbers
        for side, reserved in zip(SIDES, units, strict=True):
            sums[side] += reserved
            tally.expect(reserved >= 0, f"{key} {side}_units {reserved}: it must not be negative")
        check = ReservationCheck(keys, raw, tally, name, stored, units, expires_ms)
        if stored.quote and not check.has_expired_quote(name in sound):
            check.check_quote(mode == "notional", name in sound, executed.get(name))
        else:
            check.check_empty()
    _check_totals(keys, raw, tally, sums if readable else None)


def _check_units(keys: Keys, raw: Raw, tally: Tally, name: str, terms: dict[str, str]) -> None:
    """notional_units is the money of a tick x lot in units; in lots mode it is 1."""
    key = keys.member("terms:*", name)
    found = tally.integers(key, terms, "multiplier", "notional_units")
    if found is None:
        return
    multiplier, units = found
    expected = Decimal(1)
    if raw.config.get("exposure_mode") == "notional":
        try:
            lot = _EXACT.multiply(Decimal(terms["tick"]), Decimal(terms["lot"]))
            money = _EXACT.multiply(lot, Decimal(multiplier))
            expected = _EXACT.divide(money, Decimal(raw.config["notional_unit"]))
        except (KeyError, ArithmeticError):
            tally.violation(f"{key}: its tick, its lot or the notional_unit is not a number")
            return
    tally.expect(
        units == expected, f"{key} notional_units {units}: a tick x lot is {expected:f} units"
    )


def _check_unit_of_config(key: str, config: dict[str, str], tally: Tally) -> None:
    """In notional mode a unit is a power of ten of a currency, at most 1; else it is a lot."""
    currency, unit = config.get("currency", ""), config.get("notional_unit", "")
    notional = config.get("exposure_mode") == "notional"
    tally.expect(
        re.fullmatch(r"[A-Z]{3,8}" if notional else "[A-Z]{3,8}|-", currency) is not None,
        f"{key} currency {currency!r}: it must be 3 to 8 letters, or - where exposure is no money",
    )
    tally.expect(
        re.fullmatch(r"1|0\.0*1" if notional else "1", unit) is not None,
        f"{key} notional_unit {unit!r}: it must be a power of ten, 1 at most, and 1 for lots",
    )


def _check_totals(keys: Keys, raw: Raw, tally: Tally, sums: dict[str, int] | None) -> None:
    for side in SIDES:
        total = integer_or_none(raw.exposure, f"{side}_units")
        if total is None or sums is None:
            tally.note(f"{side} total not judged: it or a reservation cannot be read")
        else:
            tally.expect(
                total == sums[side],
                f"{keys.named('exposure')} {side}_units {total}: the reservations' sum is"
                f" {sums[side]}",
            )


@dataclass(frozen=True)
class ReservationCheck:
    """The check of one symbol's reservation, whose numbers could be read."""

    keys: Keys
    raw: Raw
    tally: Tally
    name: str
    stored: RawSymbol
    units: list[int]
    expires_ms: int

    @property
    def key(self) -> str:
        """The reservation's key."""
        return self.keys.member("reservation:*", self.name)

    def has_expired_quote(self, sound: bool) -> bool:
        """Whether a sound quote hash is still there although the quote had expired."""
        expires = integer_or_none(self.stored.quote, "expires_ms")
        return sound and expires is not None and expires <= self.raw.now_ms

    def check_empty(self) -> None:
        """Nothing stays reserved without an unexpired quote, but for the grace."""
        active = self.stored.reservation.get("state") == "active"
        if not active and not any(self.units):
            return
        late = self.raw.now_ms - self.expires_ms
        bid, ask = self.units
        if 0 <= late < GRACE_MS:
            self.tally.count("reservations of quotes just expired")
        elif late > 0 and self._nobody_could_release():
            self.tally.count("reservations expired at rest")
            self.tally.note(
                "system at rest: reservations have expired since the last process was heard; the"
                " next start releases them"
            )
        else:
            no_quote = f"{self.keys.member('quote:*', self.name)} is not there"
            fault = f"it expired {late} ms ago" if late > 0 else no_quote
            self.tally.violation(
                f"{self.key}: {bid} bid and {ask} ask units are reserved for"
                f" {self.stored.reservation.get('quote_id')}, but {fault}"
            )

    def _nobody_could_release(self) -> bool:
        """Whether no process lives that releases, and none was heard after the grace (R9).

        A symbol without a deadline is released by nobody, at rest or not.
        """
        if self.name not in self.raw.expiry:
            return False
        now_ms = self.raw.now_ms
        heard_ms = 0
        for fields in self.raw.processes.values():
            if fields.get("kind") in RELEASING:
                heartbeat_ms = integer_or_none(fields, "heartbeat_ms")
                heard_ms = max(heard_ms, now_ms if heartbeat_ms is None else heartbeat_ms)
        return heard_ms < min(now_ms - LIVE_MS, self.expires_ms + GRACE_MS)

    def check_quote(self, notional: bool, sound: bool, executed: QuoteFills | None) -> None:
        """The reservation of an unexpired quote is the quote's remaining quantity in units."""
        tally, quote = self.tally, self.stored.quote
        key = self.keys.member("quote:*", self.name)
        for side, units in zip(SIDES, self.units, strict=True):
            lots = tally.integer(key, quote, f"{side}_lots")
            lot_units = self._lot_units(side) if notional else 1
            if lots is None or lot_units is None:
                continue
            tally.count("sides of quotes")
            tally.expect(
                units == lots * lot_units,
                f"{self.key} {side}_units {units}: {key} has {lots} lots of {lot_units} units left",
            )
            size = integer_or_none(quote, f"{side}_size_lots")
            if sound and size is not None and executed is not None:
                newest = executed.version == integer_or_none(quote, "quote_version")
                filled = executed.lots(side) if newest else 0
                tally.expect(
                    lots == size - filled,
                    f"{key} {side}_lots {lots}: {filled} of {size} are filled in the ledger",
                )
        if sound:
            self._check_deadline(key)

    def _lot_units(self, side: str) -> int | None:
        units = integer_or_none(self.stored.terms, "notional_units")
        ticks = integer_or_none(self.stored.quote, f"{side}_ticks")
        return None if units is None or ticks is None else units * ticks

    def _check_deadline(self, key: str) -> None:
        quote, reservation = self.stored.quote, self.stored.reservation
        for name, expected in (
            ("quote_id", quote.get("quote_id")),
            ("state", "active"),
            ("expires_ms", quote.get("expires_ms")),
        ):
            self.tally.expect(
                reservation.get(name) == expected,
                f"{self.key} {name} {reservation.get(name)!r}: it must be {expected!r}",
            )
        try:
            score = int(float(self.raw.expiry.get(self.name, "nan")))
        except (ValueError, OverflowError):
            score = 0
        self.tally.expect(
            score == integer_or_none(quote, "expires_ms"),
            f"{self.keys.named('expiry')}: {self.name} must be at {quote.get('expires_ms')},"
            f" else nothing ends {key}",
        )
