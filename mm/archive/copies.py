"""Copies of archives: made while an archivist writes, and cut to what the copy of a ledger has."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from mm.archive.opened import BUSY_S, ROW_SIZE, EntryId
from mm.archive.writer import ArchiveWriter
from mm.errors import ArchiveBroken, shown_path

#: Pages that are copied at a time: a signal is heard in between.
PAGES = 2_000
#: A copy is written anew when so large a part of it is free pages.
FREE_PART = 1 / 8


def copy_archive(path: Path, copy: Path) -> None:
    """Copy an archive as of one instant into one new file, while somebody may write it.

    ArchiveBroken, naming the archive, when it cannot be read. FileNotFoundError when it is missing.
    """
    uri = f"{path.absolute().as_uri()}?mode=ro"
    os.close(os.open(path, os.O_RDONLY))
    os.close(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        with (
            closing(sqlite3.connect(uri, uri=True, timeout=BUSY_S, isolation_level=None)) as source,
            closing(sqlite3.connect(copy)) as target,
        ):
            # One transaction around all steps: every page is of the same instant.
            source.execute("BEGIN")
            source.execute("SELECT count(*) FROM sqlite_master").fetchone()
            source.backup(target, pages=PAGES, progress=lambda *_: None)
    except sqlite3.Error as error:
        raise ArchiveBroken(f"{shown_path(path)}: the archive: {error}") from error


class ArchiveCopy(ArchiveWriter):
    """A copy of an archive, which is made to fit the copy of a ledger; ``shown`` is its original.

    Raises ArchiveBroken as :class:`ArchiveWriter` does.
    """

    def __init__(self, path: Path, system_id: str, shown: Path) -> None:
        super().__init__(path, system_id, may_create=False, shown=shown)

    def cut(self, committed: Mapping[str, int], ends: Mapping[str, EntryId]) -> None:
        """Remove what is newer than the ledger.

        ``committed`` is by symbol how many of its fills are committed there: the first entry with a
        fill beyond goes, and all behind it. ``ends`` is of each other stream the last entry that is
        kept.
        """
        with self.reading(), self._transaction():
            beyond = [
                row
                for symbol in self.symbols()
                for row in self._rows(
                    "SELECT place, ms, seq FROM fills WHERE symbol = ? AND number > ?"
                    " ORDER BY number LIMIT 1",
                    *(symbol, committed.get(symbol, 0)),
                )
            ]
            if beyond:
                _, ms, seq = min(beyond)
                place = self._first_place((ms, seq - 1))
                self._db.execute("DELETE FROM fills WHERE place >= ?", (place,))
            for (stream,) in self._rows("SELECT stream FROM streams"):
                self._cut_stream(stream, ends.get(stream, (0, 0)))
            self._db.execute(
                "DELETE FROM marks WHERE number > (SELECT coalesce(max(number), 0) FROM fills"
                " WHERE fills.symbol = marks.symbol)"
            )

    def _cut_stream(self, stream: str, end: EntryId) -> None:
        newer = "FROM entries WHERE stream = ? AND (ms, seq) > (?, ?)"
        size = f"SELECT coalesce(sum({ROW_SIZE}), 0) {newer}"
        removed = self._rows(size, stream, *end)[0][0]
        self._db.execute(f"DELETE {newer}", (stream, *end))
        self._db.execute("UPDATE streams SET bytes = bytes - ? WHERE stream = ?", (removed, stream))
        self._db.execute(
            "UPDATE streams SET begin_ms = ?2, begin_seq = ?3"
            " WHERE stream = ?1 AND (begin_ms, begin_seq) > (?2, ?3)",
            (stream, *end),
        )

    def settle(self) -> None:
        """Put everything into the one file, without large parts that are free, and close it."""
        compact = self.path.with_name(f"{self.path.name}.compact")
        with self.reading():
            self._db.execute("PRAGMA journal_mode = DELETE")
            free, pages = (
                self._rows(f"PRAGMA {name}")[0][0] for name in ("freelist_count", "page_count")
            )
            if is_loose := free > pages * FREE_PART:
                self._db.execute("VACUUM INTO ?", (str(compact),))
        self.close()
        if is_loose:
            compact.chmod(0o600)
            compact.replace(self.path)
