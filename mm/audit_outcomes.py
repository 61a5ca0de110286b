"""The audit's view of outcomes: what the ledger, a report and the memory say of an order."""

from __future__ import annotations

from dataclasses import dataclass, field

from mm.audit_parts import Fingerprints, digits, fingerprint
from mm.model import REASONS

_CANCELED = (b"no_quote", b"expired", b"not_crossing", b"exhausted", b"halted")
_REJECTED = tuple(reason.encode() for reason in REASONS if reason.encode() not in _CANCELED)
#: Status -> the reasons it goes with, and whether something was filled.
_STATUSES: dict[bytes, tuple[tuple[bytes, ...], bool]] = {
    b"filled": ((b"-",), True),
    b"partially_filled": ((b"exhausted",), True),
    b"canceled": (_CANCELED, False),
    b"rejected": (_REJECTED, False),
}


@dataclass
class Executions:
    """The ledger's fills as the orders see them.

    ``window`` is the deduplication window in ms. ``remembered`` holds by window the fills whose
    outcomes may still be remembered at ``now_ms``, ``fills`` all, ``orders`` their names.
    """

    window: int
    now_ms: int
    orders: Fingerprints = field(default_factory=Fingerprints)
    fills: Fingerprints = field(default_factory=Fingerprints)
    remembered: dict[int, Fingerprints] = field(default_factory=dict)

    def add(
        self, order: bytes, fill_id: bytes, lots: bytes, price: bytes, quote: bytes, ts_ms: int
    ) -> None:
        """One fill of the ledger; ``order`` is client_id/order_id."""
        self.orders.add(order)
        mark = fingerprint(order, lots, price, fill_id, quote)
        self.fills.put(mark)
        bucket = ts_ms // self.window
        if (bucket + 2) * self.window > self.now_ms:
            self.remembered.setdefault(bucket, Fingerprints()).put(mark)


@dataclass(frozen=True)
class Outcome:
    """What is remembered or reported of an order: its six words."""

    status: bytes
    lots: bytes
    price: bytes
    fill_id: bytes
    quote_id: bytes

    def mark(self, order: bytes) -> int:
        """The fingerprint of the order's fill, as :class:`Executions` takes it."""
        return fingerprint(order, self.lots, self.price, self.fill_id, self.quote_id)

    @property
    def filled(self) -> bool:
        """Whether something was executed."""
        return self.fill_id != b"-"

    @property
    def symbol_seq(self) -> tuple[bytes, int]:
        """The fill's symbol and sequence number; only of an outcome that is filled."""
        symbol, _, seq = self.fill_id.rpartition(b"-")
        return symbol, int(seq)


def parse_outcome(words: list[bytes]) -> Outcome | None:
    """The outcome that six words say, or None when they contradict each other."""
    if len(words) != 6 or words[0] not in _STATUSES:
        return None
    status, reason, lots, price, fill_id, quote = words
    reasons, filled = _STATUSES[status]
    if reason not in reasons or not digits(lots) or (int(lots) > 0) != filled:
        return None
    number = fill_id.rpartition(b"-")[2]
    good = digits(price) and digits(number) if filled else price == fill_id == b"-"
    return Outcome(status, lots, price, fill_id, quote) if good else None


@dataclass(frozen=True)
class Told:
    """A report's outcome, its six words, whether it is marked duplicate, and when it was."""

    outcome: Outcome
    words: list[bytes]
    again: bool
    ts_ms: int


def parse_report(line: bytes) -> Told | None:
    """The record of a reports stream, or None when it is not one."""
    words = line.split(b" ")
    outcome = parse_outcome(words[:-2])
    if outcome is None or words[-2] not in (b"0", b"1") or not digits(words[-1]):
        return None
    return Told(outcome, words[:-2], words[-2] == b"1", int(words[-1]))


def fits(line: bytes, outcome: Outcome) -> bool:
    """Whether an order can have had this outcome."""
    if not outcome.filled:
        return True
    words = line.split(b" ")
    if len(words) != 5 or not (digits(words[3]) and digits(words[4])):
        return False
    _, symbol, side, lots, limit = words
    filled, wanted, price = int(outcome.lots), int(lots), int(outcome.price)
    crosses = price <= int(limit) if side == b"buy" else price >= int(limit)
    return (
        symbol == outcome.symbol_seq[0]
        and filled <= wanted
        and (outcome.status == b"filled") == (filled == wanted)
        and crosses
    )
