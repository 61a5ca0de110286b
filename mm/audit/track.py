"""One symbol on the way of the audit through the ledger."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field

from mm.audit.marks import Start
from mm.audit.quotes import Book
from mm.market import Position


@dataclass(frozen=True)
class QuoteFills:
    """The lots that the ledger has filled on each side of one quote."""

    version: int
    bid_lots: int
    ask_lots: int

    def lots(self, side: str) -> int:
        """The lots filled on a side, ``bid`` or ``ask``."""
        return self.bid_lots if side == "bid" else self.ask_lots


@dataclass
class Track:
    """One symbol on the way through the ledger.

    ``version`` is the stored position version. ``committed`` is the position that the fills up to
    it make, with the id of its last fill. ``seq`` is the last fill read, ``passed`` the last one
    before the state service's cursor. ``broken`` is set when the sequence has a fault: sums of the
    fills then mean nothing. ``quote`` is the version of the quote that the last fill executed,
    ``row`` its row in ``book``, ``bid_lots`` and ``ask_lots`` what has been filled of it.
    ``next_row`` is the first placement that the gate has not been checked for. ``start`` is the
    number of the fill before the first one that is read.
    """

    name: str
    book: Book
    version: int | None
    limit: int | None
    fair_weight: int
    start: int = 0
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

    def begin(self, start: Start) -> None:
        """Go to where the symbol's fills are read from."""
        self.start = self.seq = self.passed = start.number
        self.position, self.quote = start.position, start.quote
        self.bid_lots, self.ask_lots = start.bid_lots, start.ask_lots
        self.row = self.book.find(start.quote)
        # The gate of earlier placements is judged by fills that are not read.
        self.next_row = bisect_left(self.book.columns["fill_seq"], start.number)
        if self.version == start.number:
            last = f"{self.name}-{start.number}" if start.number else "-"
            self.committed = (start.position, last)


def made(position: Position, name: str) -> str:
    """A field of a position as its hash holds it."""
    return position.trades_text if name == "trades" else str(getattr(position, name))
