"""The audit's own reading of outcomes: of fills in the ledger, of reports, of remembered orders."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple

from mm.audit.fingerprints import Fingerprints, fingerprint
from mm.audit.tally import is_digits
from mm.market import CANCELED, REJECTED

#: The most bytes of an order's content that are remembered.
MAX_CONTENT = 200
_FILLED = re.compile(
    rb"(filled -|partially_filled exhausted) "
    rb"(([1-9][0-9]{0,15}) ([0-9]{1,16}) ([A-Z0-9._-]{1,16})-([0-9]{1,16}) \S+)"
)
_EMPTY = re.compile(
    f"(?:canceled (?:{'|'.join(CANCELED)})|rejected (?:{'|'.join(REJECTED)})) 0 - - \\S+".encode()
)


@dataclass
class Executions:
    """The ledger's fills, for comparison with what is remembered of their orders.

    ``window`` is the deduplication window in ms. ``orders`` holds the order of each fill, ``fills``
    each fill. ``remembered`` holds, by window, the fills whose outcomes the system may still
    remember at ``now_ms``.
    """

    window: int
    now_ms: int
    orders: Fingerprints = field(default_factory=Fingerprints)
    fills: Fingerprints = field(default_factory=Fingerprints)
    remembered: defaultdict[int, Fingerprints] = field(
        default_factory=lambda: defaultdict(Fingerprints)
    )

    def add(
        self, order: bytes, fill_id: bytes, lots: bytes, price: bytes, quote: bytes, ts_ms: int
    ) -> None:
        """Add one fill; ``order`` is client_id/order_id."""
        self.orders.add(order)
        mark = fingerprint(order, lots, price, fill_id, quote)
        self.fills.add_mark(mark)
        bucket = ts_ms // self.window
        if (bucket + 2) * self.window > self.now_ms:
            self.remembered[bucket].add_mark(mark)


class Outcome(NamedTuple):
    """An order's outcome; the fields after ``filled`` are set only if it filled at all.

    ``complete`` says that it filled in full. ``symbol`` and ``seq`` name the fill, ``execution``
    is the part of ``line`` that describes it.
    """

    line: bytes
    filled: bool = False
    complete: bool = False
    lots: int = 0
    price: int = 0
    symbol: bytes = b""
    seq: int = 0
    execution: bytes = b""

    @property
    def reason(self) -> bytes:
        """Why the order did not fill in full, or ``-``."""
        return self.line.split(b" ", 2)[1]

    def mark(self, order: bytes) -> int:
        """The fingerprint of the order's fill, as in :attr:`Executions.fills`."""
        return fingerprint(order, self.execution)


def parse_outcome(line: bytes) -> Outcome | None:
    """The outcome in six words, or None when they are not an outcome or contradict each other."""
    if match := _FILLED.fullmatch(line):
        words, execution, lots, price, symbol, seq = match.groups()
        complete = words == b"filled -"
        return Outcome(line, True, complete, int(lots), int(price), symbol, int(seq), execution)
    return Outcome(line) if _EMPTY.fullmatch(line) else None


class Memory(NamedTuple):
    """What is remembered of an order.

    ``content`` is its line without its client id; None in memory of schema 1, which has none.
    ``outcome`` is None when it is not an outcome.
    """

    content: bytes | None
    outcome: Outcome | None


def parse_memory(value: bytes) -> Memory:
    """The content and the outcome in a value of a ``seen:*`` hash."""
    content, *words = value.rsplit(b" ", 6)
    if len(words) < 6:
        return Memory(None, parse_outcome(value))
    return Memory(content, parse_outcome(b" ".join(words)))


def has_content(line: bytes, content: bytes) -> bool:
    """Whether a line of the orders stream is the order of this content, not another of its id."""
    return line.partition(b" ")[2][:MAX_CONTENT] == content


class ParsedReport(NamedTuple):
    """A report: its outcome, whether it is marked duplicate, and its time."""

    outcome: Outcome
    duplicate: bool
    ts_ms: int


def parse_report(line: bytes) -> ParsedReport | None:
    """The record of a reports stream, or None when it is not one."""
    words = line.rsplit(b" ", 2)
    if len(words) != 3 or words[1] not in (b"0", b"1") or not is_digits(words[2]):
        return None
    outcome = parse_outcome(words[0])
    return ParsedReport(outcome, words[1] == b"1", int(words[2])) if outcome else None


def fits(line: bytes, outcome: Outcome) -> bool:
    """Whether the order of this line can have had this outcome."""
    if not outcome.filled:
        return True
    words = line.split(b" ")
    if len(words) != 5 or not (is_digits(words[3]) and is_digits(words[4])):
        return False
    _, symbol, side, lots, limit = words
    wanted, worst = int(lots), int(limit)
    crosses = outcome.price <= worst if side == b"buy" else outcome.price >= worst
    return (
        symbol == outcome.symbol
        and outcome.lots <= wanted
        and outcome.complete == (outcome.lots == wanted)
        and crosses
    )
