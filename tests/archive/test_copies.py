"""Copies of archives: one instant, one file, and no more than the ledger that they belong to."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mm.archive import (
    Archive,
    ArchiveCopy,
    ArchivedFill,
    ArchiveWriter,
    Event,
    Mark,
    copy_archive,
)
from mm.errors import ArchiveBroken

SYSTEM = "0" * 16
#: Entries of the ledger: each has its fills, by symbol and number.
ENTRIES = [[("A", 1), ("B", 1)], [("A", 2)], [("A", 3), ("B", 2), ("A", 4)], [("B", 3)], [("A", 5)]]


def fills() -> list[ArchivedFill]:
    """The fills of the entries, which have the ids 1-0, 2-0 and so on."""
    return [
        ArchivedFill((ms, 0), symbol, number, f"line {number}")
        for ms, entry in enumerate(ENTRIES, 1)
        for symbol, number in entry
    ]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """An archive with the fills, ten orders, ten quote events and some marks; it is closed."""
    events = [
        Event(stream, (ms, seq), [b"k", b"v"], [(b"c/o", b"x")] if stream == "orders" else [])
        for stream in ("orders", "quotes")
        for ms in range(1, 6)
        for seq in (0, 1)
    ]
    marks = [Mark("A", number, number, {}) for number in (2, 4, 5)] + [Mark("B", 1, 9, {})]
    with ArchiveWriter(tmp_path / "archive.db", SYSTEM, may_create=True) as made:
        made.add(fills(), events, {"quotes": (0, 9)})
        made.add_marks(marks)
    return tmp_path / "archive.db"


def cut(path: Path, committed: dict[str, int], **ends: tuple[int, int]) -> Archive:
    """The archive, cut and settled."""
    with ArchiveCopy(path, SYSTEM, path) as made:
        made.cut(committed, ends)
        made.settle()
    return Archive(path)


@pytest.mark.parametrize(
    ("committed", "kept"),
    [
        ({"A": 5, "B": 3}, 5),
        ({"A": 9, "B": 9}, 5),
        ({"A": 4, "B": 3}, 4),
        ({"A": 5, "B": 2}, 3),
        ({"A": 3, "B": 3}, 2),
        ({"A": 4, "B": 1}, 2),
        ({"A": 1, "B": 3}, 1),
        ({"A": 5}, 0),
        ({}, 0),
    ],
)
def test_whole_entries_that_are_committed_are_kept(
    path: Path, committed: dict[str, int], kept: int
) -> None:
    """The first entry with a fill beyond goes, whole, and all behind it; marks of these go too."""
    with cut(path, committed) as archive:
        found = list(archive.fills((0, 0), (9, 0)))
        assert found == [one for one in fills() if one.entry_id[0] <= kept]
        newest = {name: archive.head(name).number for name in ("A", "B")}
        for symbol, marks in archive.marks().items():
            assert all(number <= newest[symbol] for number, _, _ in marks)
        due = [n for n in (2, 4, 5) if n <= newest["A"]]
        assert [number for number, _, _ in archive.marks().get("A", [])] == due
    # What was cut comes again, as it was.
    with ArchiveWriter(path, SYSTEM, may_create=False) as writer:
        writer.add(fills(), [], {})
        assert list(writer.fills((0, 0), (9, 0))) == fills()


def test_other_streams_end_where_they_are_to_end(path: Path) -> None:
    """Their entries behind the end go; what the archive says of them fits, down to the bytes."""
    with cut(path, {"A": 5, "B": 3}, orders=(3, 0), quotes=(0, 5)) as archive:
        ids = [entry_id for entry_id, _ in archive.entries("orders", (0, 0), (9, 0))]
        assert ids == [(1, 0), (1, 1), (2, 0), (2, 1), (3, 0)]
        assert archive.end("orders") == (3, 0) and archive.begin("orders") == (0, 0)
        assert not list(archive.entries("quotes", (0, 0), (9, 0)))
        assert archive.end("quotes") == (0, 5) == archive.begin("quotes")
        rows = archive._rows("SELECT stream, bytes FROM streams")
        sizes = archive._rows(
            "SELECT stream, sum(length(flat) + length(outcomes) + 80) FROM entries GROUP BY stream"
        )
        assert dict(rows) == {"quotes": 0} | dict(sizes)
        assert archive.size == 8


def test_one_compact_file(path: Path) -> None:
    """Nothing lies beside it, it is its owner's alone, and what was free is not in it."""
    with ArchiveWriter(path, SYSTEM, may_create=False) as writer:
        many = [Event("quotes", (9, seq), [b"x" * 500]) for seq in range(2_000)]
        writer.add([], many, {})
    before = path.stat().st_size
    with cut(path, {"A": 5, "B": 3}, quotes=(5, 1), orders=(5, 1)) as archive:
        assert archive.size == 8
        assert [one.name for one in path.parent.iterdir()] == ["archive.db"]
        assert path.stat().st_size * 5 < before
        assert path.stat().st_mode & 0o777 == 0o600


def test_a_copy_while_it_is_written(path: Path, tmp_path: Path) -> None:
    """It has all commits, those too that are not in the file yet, and is private."""
    with ArchiveWriter(path, SYSTEM, may_create=False) as writer:
        writer.add([ArchivedFill((9, 0), "A", 6, "newest")], [], {})
        copy_archive(path, tmp_path / "copy.db")
        assert (tmp_path / "copy.db").stat().st_mode & 0o777 == 0o600
        with ArchiveCopy(tmp_path / "copy.db", SYSTEM, path) as copy:
            assert list(copy.fills((0, 0), (9, 9))) == list(writer.fills((0, 0), (9, 9)))
            copy.settle()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["archive.db", "copy.db"]


def test_what_cannot_be_copied(path: Path, tmp_path: Path) -> None:
    """A file that is no archive is named, as is one of another system, by its original."""
    with pytest.raises(FileNotFoundError):
        copy_archive(tmp_path / "none.db", tmp_path / "copy.db")
    assert not (tmp_path / "copy.db").exists()
    with pytest.raises(ArchiveBroken, match=r"original\.db: the archive is of the system 0000"):
        ArchiveCopy(path, "1" * 16, tmp_path / "original.db")
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("DELETE FROM about WHERE name = 'system_id'")
    with pytest.raises(ArchiveBroken, match="is of the system"):
        ArchiveCopy(path, SYSTEM, path)
    path.write_bytes(b"rubbish " * 2000)
    with pytest.raises(ArchiveBroken, match=r"archive\.db: the archive: file is not a database"):
        copy_archive(path, tmp_path / "copy.db")
