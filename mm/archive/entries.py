"""The entries of the streams of orders, quote events and operations, in the file of an archive.

Each stream has a chain: every entry has a number and a link, which covers its words and outcomes
and the link before. Retention removes the oldest entries, and keeps the link of the last removed
one. So each entry that is read is compared with its link, and with the entry before it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from mm.archive.chain import Head, link
from mm.archive.opened import Broken, EntryId, OpenArchive, id_text

#: The streams that are archived beside the ledger.
STREAMS = ("orders", "quotes", "operations")
#: As large as a number can be, and behind the ids of all entries.
MAX_NUMBER = 2**62
MAX_ID = (MAX_NUMBER, 0)


class _Row(NamedTuple):
    """An entry as it is stored: ``number`` and ``link`` are those in the chain of its stream."""

    ms: int
    seq: int
    number: int
    flat: str
    outcomes: str
    link: bytes

    @property
    def entry_id(self) -> EntryId:
        return self.ms, self.seq

    @property
    def head(self) -> Head:
        return Head(self.number, self.link)

    def due_link(self, stream: str, before: bytes) -> bytes:
        return entry_link(before, stream, self.number, self.entry_id, self.flat, self.outcomes)


_TYPES = (int, int, int, str, str, bytes)


def entry_link(
    before: bytes, stream: str, number: int, entry_id: EntryId, flat: str, outcomes: str
) -> bytes:
    """The link of an entry: that of a fill whose line is all that is kept of the entry."""
    return link(before, stream, number, *entry_id, f"{flat}\n{outcomes}")


class ArchivedEntries(OpenArchive):
    """The entries of an archive: see :class:`~mm.archive.Archive`."""

    def begin(self, stream: str) -> EntryId | None:
        """The entry after which the archive has all of a stream; None when it has none of it."""
        return self._bounds(stream)[0]

    def end(self, stream: str) -> EntryId | None:
        """The entry up to which the archive has all of a stream; None when it has none of it."""
        with self._one_instant():
            begin, last = self.begin(stream), self._newest(stream, MAX_ID)
        return max(begin, last.entry_id) if begin and last else begin

    def entry_head(self, stream: str, number: int = MAX_NUMBER) -> Head:
        """The newest entry of a stream with at most that number; an empty head without one.

        When all of these were removed, it is the last removed one.
        """
        with self._one_instant():
            # Backwards by the ids: the number asked for is one of the newest.
            rows = self._entry_rows(stream, "number <= ? ORDER BY ms DESC, seq DESC", number, 1)
            return rows[0].head if rows else self._removed(stream)

    def has_entry(self, stream: str, head: Head) -> bool:
        """Whether the archive has that entry of a stream, or has removed it."""
        with self._one_instant():
            if head.number < self._removed(stream).number:
                return True
            return self.entry_head(stream, head.number) == head

    def entries(
        self, stream: str, after: EntryId, last: EntryId
    ) -> Iterator[tuple[EntryId, list[bytes]]]:
        """The entries of a stream after one up to another, oldest first.

        Each is compared with its link. So is the first one behind ``last``, which tells whether one
        before it is missing.
        """
        for row in self._judged(stream, after, None):
            if row.entry_id > last:
                return
            yield row.entry_id, _words(row.flat)

    def check_entries(self, stream: str, after: EntryId, broken: Broken) -> int:
        """Compare the entries of a stream after one with their links; how many there are.

        What is wrong is given to ``broken``.
        """
        return sum(1 for _ in self._judged(stream, after, broken))

    def _judged(self, stream: str, after: EntryId, broken: Broken | None) -> Iterator[_Row]:
        before: Head | None = None
        while True:
            with self._one_instant():
                removed = self._removed(stream)
                if before is None:
                    newest = self._newest(stream, after)
                    before = newest.head if newest else removed
                rows = self._entry_rows(
                    stream, "(ms, seq) > (?, ?) ORDER BY ms, seq", *after, self.page
                )
            if removed.number > before.number:
                # Retention has removed what came between, since the page before was read.
                before = removed
            for row in rows:
                self._judge_entry(stream, row, before, broken)
                before, after = row.head, row.entry_id
                yield row
            if len(rows) < self.page:
                return

    def entries_back(self, stream: str, before: EntryId) -> Iterator[tuple[EntryId, list[bytes]]]:
        """The entries of a stream before one, newest first.

        Each is compared with its link. So is the first one that is not before it, which tells
        whether a newer one is missing.
        """
        later: _Row | None = None
        for row in self._rows_back(stream, before):
            if later is not None:
                self._judge_entry(stream, later, row.head, None)
                if later.entry_id < before:
                    yield later.entry_id, _words(later.flat)
            later = row
        if later is not None:
            removed = self._removed(stream)
            # Retention may have removed it since it was read.
            if removed.number < later.number:
                self._judge_entry(stream, later, removed, None)
            if later.entry_id < before:
                yield later.entry_id, _words(later.flat)

    def _rows_back(self, stream: str, before: EntryId) -> Iterator[_Row]:
        """The first entry that is not before ``before``, and those before it, newest first."""
        yield from self._entry_rows(stream, "(ms, seq) >= (?, ?) ORDER BY ms, seq", *before, 1)
        while True:
            with self._one_instant():
                removed = self._removed(stream)
                rows = self._entry_rows(
                    stream, "(ms, seq) < (?, ?) ORDER BY ms DESC, seq DESC", *before, self.page
                )
            if not rows:
                return
            if rows[-1].number <= removed.number:
                self._judge_entry(stream, rows[-1], removed)
            yield from rows
            before = rows[-1].entry_id

    def outcomes(self, entry_id: EntryId) -> dict[tuple[str, str], str]:
        """What the exchange remembered of the orders of an entry, by client_id and order_id.

        Each is the content of the first order of that name and its outcome, as ``seen:*`` has them.
        """
        with self._one_instant():
            row = self._newest("orders", entry_id)
            if row is None or row.entry_id != entry_id:
                return {}
            before = self._newest("orders", (entry_id[0], entry_id[1] - 1))
            self._judge_entry("orders", row, before.head if before else self._removed("orders"))
        flat = _words(row.outcomes)
        found: dict[tuple[str, str], str] = {}
        for name, value in zip(flat[::2], flat[1::2], strict=False):
            client_id, _, order_id = (name or b"").decode().partition("/")
            if value is not None:
                found[client_id, order_id] = value.decode("utf-8", "replace")
        return found

    # --- rows

    def _newest(self, stream: str, until: EntryId) -> _Row | None:
        rows = self._entry_rows(stream, "(ms, seq) <= (?, ?) ORDER BY ms DESC, seq DESC", *until, 1)
        return rows[0] if rows else None

    def _entry_rows(self, stream: str, condition: str, *values: int) -> list[_Row]:
        """The rows of a stream that fulfil a condition, the last of ``values`` at most."""
        query = (
            "SELECT ms, seq, number, flat, outcomes, link FROM entries"
            f" WHERE stream = ? AND {condition} LIMIT ?"
        )
        found = list(map(_Row._make, self._rows(query, stream, *values)))
        for row in found:
            if tuple(map(type, row)) != _TYPES:
                self._damaged(stream, f"an entry of {stream} was altered")
        return found

    def _bounds(self, stream: str) -> tuple[EntryId | None, Head]:
        """After which entry the archive has all of a stream, and the last one that was removed."""
        rows = self._rows(
            "SELECT begin_ms, begin_seq, number, link FROM streams WHERE stream = ?", stream
        )
        if not rows:
            return None, Head()
        ms, seq, number, stored = rows[0]
        if tuple(map(type, rows[0])) != (int, int, int, bytes):
            self._damaged(stream, f"the beginning of {stream} was altered")
        return (ms, seq), Head(number, stored)

    def _removed(self, stream: str) -> Head:
        return self._bounds(stream)[1]

    def _judge_entry(
        self, stream: str, row: _Row, before: Head, broken: Broken | None = None
    ) -> None:
        which = f"the entry {id_text(row.entry_id)} of {stream}"
        if row.number != before.number + 1:
            due = before.number + 1
            self._damaged(stream, f"{which} is its number {row.number}: {due} is missing", broken)
        elif row.due_link(stream, before.link) != row.link:
            self._damaged(stream, f"{which} or one before it was altered", broken)


def _words(text: str) -> list[Any]:
    return [word and word.encode("latin-1") for word in json.loads(text)]
