"""A restore makes a whole directory in a new place, or it makes nothing."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mm.backup import back_up, restore
from mm.errors import SystemRefused, UsageError
from mm.host import DataDir, read_manifest
from mm.host.bundle import _sum_of
from tests.kit import short_directory
from tests.kit.answers import assert_words, run
from tests.kit.archived_market import archived
from tests.kit.commands import signalled_at
from tests.kit.stopped import system_of

pytestmark = [pytest.mark.server, pytest.mark.slow]


@pytest.fixture
def place() -> Iterator[Path]:
    """Where backups and restored directories go."""
    with short_directory() as path:
        yield path


@pytest.fixture(scope="module")
def kept() -> Iterator[Path]:
    """A small backup, for those who only read it."""
    with short_directory() as path, archived("valkey") as (made, _, _):
        back_up(system_of(made.directory.path), path / "b")
        assert (path / "b" / "data" / "archive.db").is_file()
        yield path / "b"


def damaged(path: Path) -> dict[str, Callable[[], object]]:
    """What may happen to a file: how it is called, and what does it."""
    data = path.read_bytes()
    middle = len(data) // 2
    return {
        "altered": lambda: path.write_bytes(
            data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :] if data else b"x"
        ),
        "truncated": lambda: path.write_bytes(data[:-1] if data else b"\0"),
        "missing": path.unlink,
        "linked": lambda: linked(path),
    }


def linked(path: Path) -> None:
    """Put a link in the place of a file."""
    path.unlink()
    path.symlink_to("/dev/null")


def test_each_damaged_file_is_named(place: Path, kept: Path) -> None:
    """A file that is altered, shorter, missing or new is refused by name, and nothing is made."""
    files = sorted(path.relative_to(kept) for path in kept.rglob("*") if path.is_file())
    assert len(files) >= 7
    for file in files:
        for how in damaged(kept / file):
            backup = place / "b"
            shutil.copytree(kept, backup)
            damaged(backup / file)[how]()
            with pytest.raises((SystemRefused, UsageError), match=file.name):
                restore(backup, DataDir(place / "n"))
            assert [one.name for one in place.iterdir()] == ["b"], (file, how)
            shutil.rmtree(backup)
    shutil.copytree(kept, place / "b")
    (place / "b" / "data" / "appendonlydir" / "more").touch()
    with pytest.raises(SystemRefused, match="more: the backup did not have it"):
        restore(place / "b", DataDir(place / "n"))


def test_a_manifest_of_another_form_and_of_other_places(place: Path, kept: Path) -> None:
    """A later form of backup is refused with a way, and a path that leads out of it too."""
    manifest = read_manifest(kept)
    shutil.copytree(kept, place / "b")
    path = place / "b" / "backup.json"
    facts = json.loads(manifest.text()) | {"form": 2, "mm_version": "9.0"}
    facts.pop("sha256")
    path.write_text(json.dumps(facts | {"sha256": _sum_of(facts)}))
    with pytest.raises(SystemRefused, match=r"its form is 2.*Restore it with mm 9.0"):
        restore(place / "b", DataDir(place / "n"))
    path.write_text(replace(manifest, files={"../out": (0, "")}).text())
    with pytest.raises(SystemRefused, match="outside"):
        restore(place / "b", DataDir(place / "n"))


def test_what_is_there_is_not_overwritten(place: Path, kept: Path) -> None:
    """A backup goes to a new place, a restore to a new or an empty one; a parent must be there."""
    (place / "full").mkdir()
    (place / "full" / "mine").write_text("mine")
    (place / "empty").mkdir()
    (place / "file").touch()
    where = ["--data-dir", str(place / "full")]
    for name in ("full", "empty"):
        answer = run("backup", str(place / name), *where)
        assert_words(answer, 2)
        assert "is there already" in answer.text
    for name in ("full", "file", "no/where", "x" * 200):
        assert_words(run("restore", str(kept), "--data-dir", str(place / name)), 2)
    assert_words(run("restore", str(place / "full"), "--data-dir", str(place / "n")), 2)
    inside = run("restore", str(kept), "--data-dir", str(kept / "n"))
    assert_words(inside, 2)
    assert "in the backup" in inside.text
    assert sorted(one.name for one in place.iterdir()) == ["empty", "file", "full"]
    assert (place / "full" / "mine").read_text() == "mine"
    restore(kept, DataDir(place / "empty"))


def test_sigterm_leaves_nothing(place: Path, kept: Path) -> None:
    """A signal ends a restore with its server, and removes what it had made."""
    done = signalled_at(
        ["restore", str(kept), "--data-dir", str(place / "n")],
        (place / ".n.unfinished" / "logs").exists,
        signal.SIGTERM,
        lambda: shutil.rmtree(place / "n"),
    )
    assert done.returncode == 128 + signal.SIGTERM, done.stderr
    assert "Traceback" not in done.stderr
    assert not list(place.iterdir())
