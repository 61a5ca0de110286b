"""The file of an archive, opened: of which system and form it is, and what its errors say."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Self, TypeAlias

from mm.errors import ArchiveBroken, shown_path

#: The form of the file. A file of another form is refused.
FORM = "2"
TABLES = """
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE fills (
  place INTEGER PRIMARY KEY,
  symbol TEXT NOT NULL,
  number INTEGER NOT NULL,
  ms INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  line TEXT NOT NULL,
  link BLOB NOT NULL,
  UNIQUE (symbol, number)
);
CREATE TABLE entries (
  stream TEXT NOT NULL,
  ms INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  number INTEGER NOT NULL,
  flat TEXT NOT NULL,
  outcomes TEXT NOT NULL,
  link BLOB NOT NULL,
  PRIMARY KEY (stream, ms, seq)
) WITHOUT ROWID;
CREATE TABLE streams (
  stream TEXT PRIMARY KEY,
  begin_ms INTEGER NOT NULL,
  begin_seq INTEGER NOT NULL,
  number INTEGER NOT NULL,
  link BLOB NOT NULL,
  bytes INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE marks (
  symbol TEXT NOT NULL,
  number INTEGER NOT NULL,
  ms INTEGER NOT NULL,
  position TEXT NOT NULL,
  PRIMARY KEY (symbol, number)
) WITHOUT ROWID;
"""
#: Bytes of the file that a row of ``entries`` needs beside its texts: ids, link, its part of pages.
ROW_BYTES = 80
#: What a row of ``entries`` counts of the most bytes.
ROW_SIZE = f"length(flat) + length(outcomes) + {ROW_BYTES}"
#: How long a reader waits for a writer, in seconds.
BUSY_S = 10.0

#: The id of a stream entry: its time in ms, and its number among those of that time.
EntryId: TypeAlias = tuple[int, int]
_ENTRY_ID = re.compile(r"([0-9]{1,16})-([0-9]{1,16})")
#: Gets what is damaged: the name of a symbol or a stream, and a sentence.
Broken: TypeAlias = Callable[[str, str], None]


def archive_name(partition: int | None) -> str:
    """The name of the file of a partition, or of a system without partitions."""
    return "archive.db" if partition is None else f"archive-{partition}.db"


def entry_id_of(text: str) -> EntryId:
    """The id as numbers; ValueError for one that no server of ours gives."""
    found = _ENTRY_ID.fullmatch(text)
    if not found:
        raise ValueError(f"{text!r} is no id of an entry")
    return int(found[1]), int(found[2])


def id_text(entry_id: EntryId) -> str:
    """The id as Redis writes it."""
    return f"{entry_id[0]}-{entry_id[1]}"


class OpenArchive:
    """An archive that is open, without what is in it: see :class:`~mm.archive.Archive`."""

    #: Rows that one read takes: a read of a page holds up no writer for long.
    page: ClassVar[int] = 5_000

    def __init__(self, path: Path, shown: Path | None = None) -> None:
        self.path, self.where = path, shown_path(shown or path)
        if not path.is_file():
            raise ArchiveBroken(f"{self.where}: the archive is missing")
        with self.reading():
            self._db = self._connect(f"{path.absolute().as_uri()}?mode=ro")
            self._read_meta()

    def _connect(self, uri: str) -> sqlite3.Connection:
        return sqlite3.connect(uri, uri=True, timeout=BUSY_S, isolation_level=None)

    def _read_meta(self) -> None:
        found = dict(self._db.execute("SELECT name, value FROM about"))
        if found.get("form") != FORM:
            raise ArchiveBroken(
                f"{self.where}: its form is {found.get('form')}, this version of mm reads {FORM}"
            )
        # Without one it is that of no ledger, and of no system.
        self.archive_id, self.system_id = found.get("archive_id", ""), found.get("system_id", "")

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Name the file in an error of SQLite."""
        try:
            yield
        except (sqlite3.Error, OverflowError) as error:
            raise ArchiveBroken(f"{self.where}: the archive: {error}") from error

    @contextmanager
    def _one_instant(self) -> Iterator[None]:
        """Let several reads see the same commits."""
        if self._db.in_transaction:
            yield
            return
        with self.reading():
            self._db.execute("BEGIN")
            try:
                yield
            finally:
                self._db.execute("COMMIT")

    def _rows(self, query: str, *values: Any) -> list[Any]:
        with self.reading():
            return self._db.execute(query, values).fetchall()

    def _damaged(self, name: str, why: str, broken: Broken | None = None) -> None:
        words = f"{self.where}: the archive is damaged: {why}"
        if broken is None:
            raise ArchiveBroken(words)
        broken(name, words)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
