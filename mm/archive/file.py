"""The file of an archive, for reading.

Every fill that is read is compared with its link in the chain of its symbol, and every entry with
that in the chain of its stream. What is missing or altered is named, and never passed over.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from mm.archive.chain import Head, link
from mm.archive.entries import MAX_NUMBER, STREAMS, ArchivedEntries
from mm.archive.opened import Broken, EntryId


class ArchivedFill(NamedTuple):
    """A fill as it stands in the archive: its entry, symbol, number and line of the ledger."""

    entry_id: EntryId
    symbol: str
    number: int
    line: str

    @property
    def fill_id(self) -> str:
        """The name of its record in the ledger."""
        return f"{self.symbol}-{self.number}"


class Archive(ArchivedEntries):
    """An archive that is read; :class:`~mm.archive.ArchiveWriter` writes one.

    Raises ArchiveBroken, naming the file, when it is missing, is none, or cannot be read. Messages
    name it ``where``: by the path ``shown``, which is that of the original of a private copy.
    """

    # --- fills

    @property
    def size(self) -> int:
        """The number of fills."""
        return int(self._rows("SELECT coalesce(max(place), 0) FROM fills")[0][0])

    @property
    def last_id(self) -> EntryId:
        """The entry of the last fill; (0, 0) without one."""
        rows = self._rows("SELECT ms, seq FROM fills ORDER BY place DESC LIMIT 1")
        return tuple(rows[0]) if rows else (0, 0)

    def head(self, name: str, number: int | None = None) -> Head:
        """The newest fill of a symbol, or the one of that number; an empty head without it.

        By the name of a stream, what :meth:`entry_head` gives.
        """
        if name in STREAMS:
            return self.entry_head(name, MAX_NUMBER if number is None else number)
        query = "SELECT number, CAST(link AS BLOB) FROM fills WHERE symbol = ?"
        if number is None:
            rows = self._rows(f"{query} ORDER BY number DESC LIMIT 1", name)
        else:
            rows = self._rows(f"{query} AND number = ?", name, number)
        return Head(*rows[0]) if rows else Head()

    def has(self, name: str, head: Head) -> bool:
        """Whether the archive has that fill of a symbol, or that entry of a stream."""
        return (
            self.has_entry(name, head) if name in STREAMS else self.head(name, head.number) == head
        )

    def symbols(self) -> list[str]:
        """The symbols that have fills."""
        found, name = [], ""
        # One step of the index a symbol; DISTINCT would read every fill.
        while rows := self._rows("SELECT min(symbol) FROM fills WHERE symbol > ?", name):
            if rows[0][0] is None:
                break
            name = rows[0][0]
            found.append(name)
        return found

    def fills(
        self, after: EntryId, last: EntryId, broken: Broken | None = None
    ) -> Iterator[ArchivedFill]:
        """The fills of the entries after ``after`` up to ``last``, in the order of the ledger.

        Each is compared with its link. What is wrong is given to ``broken``, as a sentence; without
        it ArchiveBroken is raised.
        """
        place, heads = self._first_place(after), dict[str, Head]()
        query = (
            "SELECT place, symbol, number, ms, seq, line, CAST(link AS BLOB) FROM fills"
            " WHERE place >= ? ORDER BY place LIMIT ?"
        )
        while rows := self._rows(query, place, self.page):
            for _, symbol, number, ms, seq, line, stored in rows:
                if (ms, seq) > last:
                    return
                before = heads.get(symbol)
                if before is None:
                    before = self.head(symbol, number - 1) if number > 1 else Head()
                fill = ArchivedFill((ms, seq), symbol, number, line)
                self._judge(fill, before, stored, broken)
                heads[symbol] = Head(number, stored)
                yield fill
            place = rows[-1][0] + 1

    def fills_of(
        self, symbol: str, first: int, last: int, broken: Broken | None = None
    ) -> Iterator[ArchivedFill]:
        """The fills of a symbol from one number to another, each compared with its link."""
        before = self.head(symbol, first - 1) if first > 1 else Head()
        query = (
            "SELECT number, ms, seq, line, CAST(link AS BLOB) FROM fills WHERE symbol = ?"
            " AND number >= ? AND number <= ? ORDER BY number LIMIT ?"
        )
        while rows := self._rows(query, symbol, first, last, self.page):
            for number, ms, seq, line, stored in rows:
                fill = ArchivedFill((ms, seq), symbol, number, line)
                self._judge(fill, before, stored, broken)
                before = Head(number, stored)
                yield fill
            first = number + 1

    def fill_of_order(self, client_id: str, order_id: str) -> str | None:
        """The id of the last fill of an order, or None; every fill is looked at."""
        query = "SELECT symbol, number FROM fills WHERE instr(line, ?) ORDER BY place DESC LIMIT 1"
        rows = self._rows(query, f" {client_id} {order_id} ")
        return f"{rows[0][0]}-{rows[0][1]}" if rows else None

    def outcome_of_order(self, client_id: str, order_id: str) -> str | None:
        """What :meth:`outcomes` has of an order, or None; every entry of orders is looked at."""
        query = "SELECT ms, seq FROM entries WHERE stream = 'orders' AND instr(outcomes, ?) LIMIT 1"
        rows = self._rows(query, f'"{client_id}/{order_id}"')
        return self.outcomes(rows[0]).get((client_id, order_id)) if rows else None

    def _judge(
        self, fill: ArchivedFill, before: Head, stored: bytes, broken: Broken | None
    ) -> None:
        symbol, number = fill.symbol, fill.number
        if number != before.number + 1:
            why = f"fill {fill.fill_id} stands where {symbol}-{before.number + 1} must be"
        elif link(before.link, symbol, number, *fill.entry_id, fill.line) != stored:
            why = f"fill {fill.fill_id} or one before it was altered"
        else:
            return
        self._damaged(symbol, why, broken)

    def _first_place(self, after: EntryId) -> int:
        """The place of the first fill of an entry after that one: places go with the entries."""
        low, high = 1, self.size + 1
        while low < high:
            middle = (low + high) // 2
            query = "SELECT ms, seq FROM fills WHERE place >= ? ORDER BY place LIMIT 1"
            rows = self._rows(query, middle)
            if rows and tuple(rows[0]) > after:
                high = middle
            else:
                low = middle + 1
        return low

    # --- marks

    @property
    def newest_mark_ms(self) -> int:
        """When the newest mark was made; 0 without one."""
        return int(self._rows("SELECT coalesce(max(ms), 0) FROM marks")[0][0])

    def marks(self, until_ms: int | None = None) -> dict[str, list[Any]]:
        """Of each symbol its marks up to an instant, oldest first: number, ms, position as text."""
        found: dict[str, list[Any]] = {}
        bound = 2**62 if until_ms is None else until_ms
        query = "SELECT symbol, number, ms, position FROM marks WHERE ms <= ? ORDER BY number"
        for symbol, number, ms, position in self._rows(query, bound):
            found.setdefault(symbol, []).append((number, ms, position))
        return found
