"""The file of an archive, for the archivist: each call of :meth:`ArchiveWriter.add` is one commit.

A commit is on disk when the call returns (``synchronous = FULL``). Adding again what is there
changes nothing, so an archivist that was killed adds what it is not sure of.
"""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from mm.archive.chain import Head, link
from mm.archive.entries import MAX_ID, STREAMS, entry_link
from mm.archive.file import Archive, ArchivedFill
from mm.archive.opened import FORM, ROW_BYTES, ROW_SIZE, TABLES, EntryId, id_text
from mm.errors import ArchiveBroken

#: Entries that one commit removes at most: it must not hold up the archiving.
REMOVED = 5_000


class Event(NamedTuple):
    """An entry of the streams of orders, quotes or operations.

    ``flat`` are its names and values, ``outcomes`` what ``seen:*`` holds of the orders in it, by
    ``client_id/order_id``; None of a forgotten one.
    """

    stream: str
    entry_id: EntryId
    flat: Sequence[bytes]
    outcomes: Sequence[tuple[bytes, bytes | None]] = ()


class Mark(NamedTuple):
    """The committed position of a symbol after a fill of that number: its fields, at ``ms``."""

    symbol: str
    number: int
    ms: int
    position: Mapping[str, str]


class ArchiveWriter(Archive):
    """An archive that is written; made when there is no file and ``may_create`` is set.

    Raises ArchiveBroken as :class:`Archive` does, and for the file of another system.
    """

    def __init__(
        self, path: Path, system_id: str, may_create: bool, shown: Path | None = None
    ) -> None:
        if may_create and not path.exists():
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
        self._may_create, self._for_system = may_create, system_id
        super().__init__(path, shown)
        if self.system_id != system_id:
            self.close()
            raise ArchiveBroken(
                f"{self.where}: the archive is of the system {self.system_id}, not of {system_id}"
            )
        self._inode = path.stat().st_ino

    def _connect(self, uri: str) -> sqlite3.Connection:
        db = super()._connect(uri.replace("mode=ro", "mode=rw"))
        # A reader never waits for the writer, nor the writer for a reader.
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        return db

    def _read_meta(self) -> None:
        if self._may_create:
            with self._transaction():
                if not self._db.execute("SELECT 1 FROM sqlite_master").fetchone():
                    self._create()
        super()._read_meta()

    def _create(self) -> None:
        for statement in TABLES.split(";")[:-1]:
            self._db.execute(statement)
        about = {
            "form": FORM,
            "archive_id": secrets.token_hex(8),
            "system_id": self._for_system,
        }
        self._db.executemany("INSERT INTO about VALUES (?, ?)", about.items())

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    @property
    def in_place(self) -> bool:
        """Whether the open file is still the one of that name: nobody has put another there."""
        try:
            return self.path.stat().st_ino == self._inode
        except FileNotFoundError:
            return False

    def add(
        self,
        fills: Sequence[ArchivedFill],
        events: Sequence[Event],
        begins: Mapping[str, EntryId],
    ) -> dict[str, Head]:
        """Add what is not there yet, in one commit; the new heads of symbols and streams.

        ``events`` are in the order of their streams. ``begins`` says after which entry the archive
        has all of a stream of which entries were lost before they could be added, or that is new
        here. ArchiveBroken, and nothing is added, when a fill does not continue its symbol, or when
        another fill or entry stands in the place of one.
        """
        with self.reading(), self._transaction():
            return self._add_fills(fills) | self._add_events(events, begins)

    def add_marks(self, marks: Sequence[Mark]) -> None:
        """Add marks, whose fills are in the archive, in one commit."""
        rows = [(one.symbol, one.number, one.ms, json.dumps(one.position)) for one in marks]
        with self.reading(), self._transaction():
            self._db.executemany(
                "INSERT INTO marks VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", rows
            )

    def _add_fills(self, fills: Sequence[ArchivedFill]) -> dict[str, Head]:
        heads: dict[str, Head] = {}
        rows = []
        for fill in fills:
            symbol, number = fill.symbol, fill.number
            before = heads.get(symbol) or self.head(symbol)
            found = link(before.link, symbol, number, *fill.entry_id, fill.line)
            if number <= before.number:
                self._check_same(fill)
                continue
            if number != before.number + 1:
                raise ArchiveBroken(
                    f"{self.where}: fill {fill.fill_id} cannot be archived: the archive"
                    f" of {symbol} ends with {symbol}-{before.number}"
                )
            rows.append((symbol, number, *fill.entry_id, fill.line, found))
            heads[symbol] = Head(number, found)
        self._db.executemany("INSERT INTO fills VALUES (NULL, ?, ?, ?, ?, ?, ?)", rows)
        return heads

    def _check_same(self, fill: ArchivedFill) -> None:
        rows = self._rows(
            "SELECT ms, seq, line FROM fills WHERE symbol = ? AND number = ?",
            *(fill.symbol, fill.number),
        )
        if rows != [(*fill.entry_id, fill.line)]:
            raise ArchiveBroken(
                f"{self.where}: fill {fill.fill_id} is another one in the archive than"
                " in the ledger"
            )

    def _add_events(
        self, events: Sequence[Event], begins: Mapping[str, EntryId]
    ) -> dict[str, Head]:
        for stream in {event.stream for event in events}:
            self._db.execute(
                "INSERT INTO streams VALUES (?, 0, 0, 0, x'', 0) ON CONFLICT DO NOTHING", (stream,)
            )
        for stream, begin in begins.items():
            self._begin_after(stream, begin)
        heads: dict[str, Head] = {}
        ends = {stream: self._newest(stream, MAX_ID) for stream in STREAMS}
        rows, more = [], Counter[str]()
        for stream, entry_id, words, known in events:
            flat, outcomes = json_text(words), json_text([word for one in known for word in one])
            end = ends[stream]
            if end is not None and entry_id <= end.entry_id:
                self._check_same_entry(stream, entry_id, flat)
                continue
            before = heads.get(stream) or self.entry_head(stream)
            number = before.number + 1
            found = entry_link(before.link, stream, number, entry_id, flat, outcomes)
            rows.append((stream, *entry_id, number, flat, outcomes, found))
            heads[stream] = Head(number, found)
            more[stream] += len(flat) + len(outcomes) + ROW_BYTES
        self._db.executemany("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
        self._db.executemany(
            "UPDATE streams SET bytes = bytes + ? WHERE stream = ?",
            [(count, stream) for stream, count in more.items()],
        )
        return heads

    def _begin_after(self, stream: str, begin: EntryId) -> None:
        self._db.execute(
            "UPDATE streams SET begin_ms = ?2, begin_seq = ?3"
            " WHERE stream = ?1 AND (begin_ms, begin_seq) < (?2, ?3)",
            (stream, *begin),
        )

    def _check_same_entry(self, stream: str, entry_id: EntryId, flat: str) -> None:
        # What the exchange remembered of an order may be forgotten by now.
        there = self._newest(stream, entry_id)
        if there is not None and there.entry_id == entry_id and there.flat != flat:
            raise ArchiveBroken(
                f"{self.where}: the entry {id_text(entry_id)} of {stream} is another one in the"
                " archive than in the stream"
            )

    def before_newest(self, keep: int) -> EntryId | None:
        """The last entry all of whose fills have ``keep`` newer ones; None when there is none."""
        rows = self._rows(
            "SELECT ms, seq FROM fills WHERE place = (SELECT max(place) FROM fills) - ?", keep - 1
        )
        if not rows:
            return None
        kept = tuple(rows[0])
        place = self._first_place((kept[0], kept[1] - 1)) - 1
        rows = self._rows("SELECT ms, seq FROM fills WHERE place = ?", place)
        return tuple(rows[0]) if rows else None

    def retain(self, oldest_ms: int, most_bytes: int | None) -> int:
        """Remove the entries before ``oldest_ms``; the number removed, at most a few thousand.

        While orders and quotes have more than ``most_bytes``, the oldest ones of the larger stream
        are removed too. Fills stay for ever.
        """
        removed = 0
        with self.reading(), self._transaction():
            for stream in STREAMS:
                removed += self._remove(stream, "ms < ?", oldest_ms)
            total = self._db.execute(
                "SELECT coalesce(sum(bytes), 0) FROM streams WHERE stream IN ('orders', 'quotes')"
            ).fetchone()[0]
            if most_bytes is not None and total > most_bytes:
                larger = self._db.execute(
                    "SELECT stream FROM streams WHERE stream IN ('orders', 'quotes')"
                    " ORDER BY bytes DESC LIMIT 1"
                ).fetchone()[0]
                removed += self._remove(larger, "ms < ?", 2**62)
        return removed

    def _remove(self, stream: str, condition: str, value: int) -> int:
        rows = self._db.execute(
            f"SELECT ms, seq, number, link, {ROW_SIZE} FROM entries"
            f" WHERE stream = ? AND {condition} ORDER BY ms, seq LIMIT ?",
            (stream, value, REMOVED),
        ).fetchall()
        if not rows:
            return 0
        ms, seq, number, last_link, _ = rows[-1]
        self._db.execute(
            "DELETE FROM entries WHERE stream = ? AND (ms, seq) <= (?, ?)", (stream, ms, seq)
        )
        self._begin_after(stream, (ms, seq))
        # The chain of what is left goes on from the last removed entry.
        self._db.execute(
            "UPDATE streams SET number = ?, link = ?, bytes = bytes - ? WHERE stream = ?",
            (number, last_link, sum(row[-1] for row in rows), stream),
        )
        return len(rows)


def json_text(words: Sequence[bytes | None]) -> str:
    """Words as JSON: each byte is one character, so that every word can be read back as it was."""
    return json.dumps([word and word.decode("latin-1") for word in words])
