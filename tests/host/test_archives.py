"""Copies of archives: each is one instant of its original, while that is written."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from mm.archive import Archive, ArchivedFill, ArchiveWriter
from mm.errors import Unavailable
from mm.host import DataDir
from mm.host.archives import archive_bytes, archives_of, commits_of, copy_archives
from mm.host.private_copy import copy_file

LINE = "buy 1 100 c1 o{0} AAA-1 1"


def add(writer: ArchiveWriter, count: int) -> None:
    """Add as many fills to an archive, one commit each."""
    for number in range(writer.size + 1, writer.size + 1 + count):
        writer.add([ArchivedFill((number, 0), "AAA", number, LINE.format(number))], [], {})


def made_in(place: Path) -> ArchiveWriter:
    """A new archive in the directory, open."""
    return ArchiveWriter(place / "archive.db", "0" * 16, may_create=True)


def fills_in(path: Path) -> int:
    """The number of its fills, each of which is compared with its link."""
    with Archive(path) as archive:
        return len(list(archive.fills((0, 0), (2**62, 0))))


def test_the_newest_commits_are_copied(tmp_path: Path) -> None:
    """What an archivist left that was killed is in the copy, and the original stays as it is."""
    (tmp_path / "copy").mkdir()
    writer = made_in(tmp_path)
    add(writer, 10)
    assert commits_of(tmp_path / "archive.db").stat().st_size
    before = {path.name: path.read_bytes() for path in tmp_path.glob("archive*")}
    size = sum(len(before[name]) for name in ("archive.db", "archive.db-wal"))
    assert archive_bytes(DataDir(tmp_path)) == size
    (tmp_path / "archive-7.db").touch()
    (tmp_path / "archive-x.db").touch()
    copy_archives(DataDir(tmp_path), DataDir(tmp_path / "copy"))
    found = archives_of(DataDir(tmp_path / "copy"))
    assert [path.name for path in found] == ["archive-7.db", "archive.db"]
    assert fills_in(tmp_path / "copy" / "archive.db") == 10
    assert {name: (tmp_path / name).read_bytes() for name in before} == before
    writer.close()


def meanwhile(monkeypatch: pytest.MonkeyPatch, writes: Callable[[], None]) -> None:
    """Let somebody write whenever one file of an archive has been copied."""
    monkeypatch.setattr("mm.host.archives.PAUSE_S", 0.0)

    def copy_and_write(path: Path, copy: Path) -> None:
        copy_file(path, copy)
        writes()

    monkeypatch.setattr("mm.host.archives.copy_file", copy_and_write)


@pytest.mark.parametrize("turns", [1, 2, 3, 4])
def test_an_archive_that_is_written_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, turns: int
) -> None:
    """Commits come, and move to the file, between the copies of the two: all is copied again."""
    (tmp_path / "copy").mkdir()
    with closing(made_in(tmp_path)) as writer:
        add(writer, 100)
        left = [turns]

        def write() -> None:
            if left[0]:
                left[0] -= 1
                add(writer, 300)
                writer._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                add(writer, 3)

        meanwhile(monkeypatch, write)
        copy_archives(DataDir(tmp_path), DataDir(tmp_path / "copy"))
        assert left == [0]
        assert fills_in(tmp_path / "copy" / "archive.db") == writer.size


def test_an_archive_that_never_holds_still(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said that somebody writes it."""
    (tmp_path / "copy").mkdir()
    with closing(made_in(tmp_path)) as writer:
        meanwhile(monkeypatch, lambda: add(writer, 1))
        with pytest.raises(Unavailable, match=r"archive\.db: an archivist writes it"):
            copy_archives(DataDir(tmp_path), DataDir(tmp_path / "copy"))
