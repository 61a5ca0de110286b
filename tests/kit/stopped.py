"""What tests of stopped directories share: that they stay as they are, and how they are found."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mm.host import DataDir, System
from mm.store import Keys
from tests.kit.backends import short_directory
from tests.kit.commands import alive

#: Files that may stay in a data directory after an end at any stage.
KEPT = {
    "lock",
    "logs",
    "server.conf",
    "made-by",
    "appendonlydir",
    "stopped-cleanly",
    "system-id",
} | {
    "secrets",
    "users.acl",
    # Who reads an archive when nobody writes it leaves the two beside it.
    "archive.db",
    "archive.db-shm",
    "archive.db-wal",
}
#: Commands that read.
READERS = [
    *[["status"], ["positions"], ["quotes"], ["exposure"], ["audit"], ["config", "show"]],
    *[["fills"], ["orders"], ["pnl", "--by", "hour"], ["quotes", "--events", "--json"]],
    *[["explain", "AAA"], ["explain", "AAA", "--short", "--since", "1h"]],
]


def contents(place: Path) -> dict[str, tuple[int, int, bytes]]:
    """Mode, time of change and bytes of each file and directory."""
    found = {}
    for path in sorted(place.rglob("*")):
        if path.is_socket():
            continue
        stat = path.stat()
        data = path.read_bytes() if path.is_file() else b""
        found[str(path.relative_to(place))] = (stat.st_mode, stat.st_mtime_ns, data)
    return found


@contextmanager
def own_copies(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The place of private copies, for one test alone."""
    with short_directory() as place:
        monkeypatch.setenv("TMPDIR", str(place))
        monkeypatch.setattr(tempfile, "tempdir", str(place))
        yield place


def left(copies: Path) -> list[Path]:
    """The private copies that are there."""
    return list(copies.glob("mm-read-*"))


@contextmanager
def unchanged(place: Path, copies: Path) -> Iterator[None]:
    """The directory is the same afterwards, and no private copy is left."""
    before = contents(place)
    yield
    assert contents(place) == before
    assert not left(copies)


def system_of(place: Path, said: list[str] | None = None) -> System:
    """The system of a data directory."""
    lines = [] if said is None else said
    return System(DataDir(place), None, Keys(), None, lines.append)


def servers_in(place: Path) -> list[int]:
    """The servers that live and whose socket or configuration lies under the directory."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes()
        except OSError:
            continue
        pid = int(path.parent.name)
        if b"-server" in line and bytes(place) in line and alive(pid):
            found.append(pid)
    return found


def left_over(data_dir: Path) -> set[str]:
    """What lies in a data directory that should not."""
    return {path.name for path in data_dir.iterdir()} - KEPT if data_dir.exists() else set()
