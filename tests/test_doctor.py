"""`mm doctor` finds what would trouble a system, says what to do, and changes nothing."""

from __future__ import annotations

import json
import os
import resource
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mm.archive import ArchiveWriter
from mm.doctor import Finding, archives, directory, examine, machine
from mm.errors import ArchiveBroken
from mm.host import DataDir, ManagedServer, System, ThrowawaySystem, stopped
from mm.market import default_config
from mm.store import Keys, StreamReader
from tests.kit import wait_for
from tests.kit.answers import assert_words, run
from tests.kit.archived_market import archived, moved
from tests.kit.backends import binary_or_skip
from tests.kit.crash import killable_server
from tests.kit.stopped import own_copies, system_of, unchanged
from tests.kit.threads import RunningProcesses

#: Clean of what the machine of a test may be: only these are judged.
MACHINE = ("cores", "memory", "open files", "overcommit", "huge pages", "disk")


@pytest.fixture
def resting() -> Iterator[ThrowawaySystem[ManagedServer]]:
    """A system whose server runs, and no process."""
    with ThrowawaySystem(ManagedServer) as system:
        system.start(default_config())
        yield system


def bad(found: list[Finding]) -> dict[str, Finding]:
    """What is not ok, apart from the machine, which is not the test's."""
    return {one.about: one for one in found if one.verdict != "ok" and one.about not in MACHINE}


@pytest.mark.server
def test_a_sound_system(resting: ThrowawaySystem[ManagedServer]) -> None:
    """Nothing of a system that runs is wrong; every line has words, in JSON and for people."""
    place = resting.data_dir.path
    before = sorted(path.relative_to(place) for path in place.rglob("*"))
    found = examine(resting_system(resting))
    assert not bad(found)
    assert {"server", "clock of the server", "clock steps", "fsync", "permissions"} <= {
        one.about for one in found
    }
    assert sorted(path.relative_to(place) for path in place.rglob("*")) == before
    answer = run("doctor", "--data-dir", str(place))
    assert_words(answer, 0)
    lines = answer.out.decode().splitlines()
    assert sum(line.startswith(("ok ", "look ")) for line in lines) == len(found)
    answer = run("doctor", "--json", "--data-dir", str(place))
    assert {one["verdict"] for one in json.loads(answer.out)} <= {"ok", "look"}


def resting_system(resting: ThrowawaySystem[ManagedServer]) -> System:
    """Where it is."""
    return system_of(resting.data_dir.path)


@pytest.mark.server
def test_what_is_wrong_of_a_server(resting: ThrowawaySystem[ManagedServer]) -> None:
    """Settings that lose writes, and a server that refuses them: wrong, with what to do."""
    client = resting.scripts.client
    client.config_set("appendfsync", "everysec")
    wrong = bad(examine(resting_system(resting)))["server"]
    assert wrong.verdict == "wrong" and "appendfsync everysec" in wrong.found and wrong.todo
    assert_words(run("doctor", "--data-dir", str(resting.data_dir.path)), 1)
    client.config_set("appendfsync", "always")
    client.config_set("maxmemory", 1)
    assert "memory limit" in bad(examine(resting_system(resting)))["server"].found
    client.config_set("maxmemory", 0)
    # A record from the future: the clock was set back.
    client.xadd("{mm}:positions", {"x": "1"}, id="9000000000000-0")
    late = bad(examine(resting_system(resting)))["clock steps"]
    assert late.verdict == "look" and "set back" in late.todo


@pytest.mark.server
def test_what_is_wrong_of_a_directory(resting: ThrowawaySystem[ManagedServer]) -> None:
    """Files that others may read, and a directory of another system: wrong, by name."""
    place = resting.data_dir.path
    (place / "secrets" / "admin").chmod(0o644)
    wrong = bad(examine(resting_system(resting)))["permissions"]
    assert wrong.verdict == "wrong" and str(place / "secrets" / "admin") in wrong.found
    assert wrong.todo.startswith("chmod go= ")
    (place / "secrets" / "admin").chmod(0o600)
    (place / "system-id").write_text("{mm} 0123456789abcdef\n")
    assert "0123456789abcdef" in bad(examine(resting_system(resting)))["server"].found
    (place / "system-id").write_text("rubbish\n")
    assert {"data", "server"} <= bad(examine(resting_system(resting))).keys()


def test_without_a_system(tmp_path: Path) -> None:
    """Before the first start nothing is wrong, and a server that is not there is."""
    assert not bad(examine(system_of(tmp_path / "new")))
    assert not (tmp_path / "new").exists()
    url = f"unix://{tmp_path}/none.sock"
    assert bad(examine(System(DataDir(tmp_path), url, Keys(), None)))["server"].verdict == "wrong"
    assert bad(examine(system_of(tmp_path / "new"), "/dev/null"))["server program"].todo


def test_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that lacks something: each is worth a look, with what to do, and none is wrong."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    monkeypatch.setattr(resource, "getrlimit", lambda _: (100, 100))
    monkeypatch.setattr(machine, "LITTLE_MEMORY", 2**63)
    monkeypatch.setattr(directory, "LITTLE_DISK", 2**63)
    found = {one.about: one for one in examine(system_of(tmp_path))}
    for about in ("cores", "memory", "open files", "disk"):
        assert found[about].verdict == "look" and found[about].todo, about
    assert "of the fills keep_fills" in found["memory"].todo


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk without room is wrong."""
    monkeypatch.setattr(directory, "full_disk", lambda _: "the disk is full")
    found = {one.about: one for one in examine(system_of(tmp_path))}
    assert found["disk"].verdict == "wrong"


@pytest.mark.server
@pytest.mark.slow
def test_the_archive(monkeypatch: pytest.MonkeyPatch) -> None:
    """How large it is and how far behind; missing, open to others, behind, a disk too small."""
    with archived("valkey") as (made, world, trader):
        system = system_of(made.directory.path)
        path = made.directory.path / "archive.db"
        size, fills = path.stat().st_size, len(list(StreamReader(world.scripts).ledger()))

        def found() -> Finding:
            return next(one for one in examine(system) if one.about == "archive")

        assert found().verdict == "ok"
        assert found().found.startswith(f"{size:,} bytes with {fills:,} fills, 0 behind, room for")
        trader.trade(100)
        trader.settle()
        monkeypatch.setattr(archives, "BEHIND", 2)
        more = len(list(StreamReader(world.scripts).ledger())) - fills
        late = found()
        assert late.verdict == "look" and f", {more} behind" in late.found and late.todo
        monkeypatch.undo()
        monkeypatch.setattr(archives, "LITTLE_DAYS", 10**15)
        assert "more room" in found().todo
        monkeypatch.undo()
        path.chmod(0o640)
        loose = bad(examine(system))["permissions"]
        assert loose.verdict == "wrong" and str(path) in loose.todo
        path.unlink()
        gone = found()
        assert gone.verdict == "wrong" and f"{path}: the archive is missing" in gone.found
        assert_words(run("doctor", "--data-dir", str(made.directory.path)), 1)


@pytest.mark.server
@pytest.mark.slow
def test_an_archivist_in_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    """What hinders it is wrong, although the file can be read; it is ok again afterwards."""

    def damaged(self: ArchiveWriter, *_: object) -> None:
        raise ArchiveBroken(f"{self.where}: the archive: database disk image is malformed")

    with archived("valkey") as (made, world, trader):
        system = system_of(made.directory.path)
        trader.trade(100)
        trader.settle()

        def wrong() -> Finding | None:
            return bad(examine(system)).get("archive")

        with RunningProcesses(world.archivist(made.directory.path)):
            with monkeypatch.context() as patched:
                patched.setattr(ArchiveWriter, "add", damaged)
                wait_for("what the archivist says", wrong, 30)
                found = wrong()
                assert found is not None and found.verdict == "wrong" and found.todo
                assert "archivist-1: " in found.found and "image is malformed" in found.found
                assert_words(run("doctor", "--data-dir", str(made.directory.path)), 1)
            wait_for("the archive to be sound", lambda: wrong() is None, 30)


def _wrong_archive(path: Path, how: str) -> str:
    """Make the archive of a stopped system wrong; what is said of it."""
    if how == "gone":
        path.unlink()
        return f"{path}: the archive is missing"
    if how == "rubbish":
        path.write_text("hi")
        return f"{path}: the archive: file is not a database"
    with sqlite3.connect(path) as db:
        if how == "old":
            db.execute("DELETE FROM fills WHERE place = (SELECT max(place) FROM fills)")
            said = "the archive is older than the ledger"
        elif how == "form":
            db.execute("UPDATE about SET value = '999' WHERE name = 'form'")
            said = "its form is 999"
        elif how == "another":
            db.execute("UPDATE about SET value = 'ffff' WHERE name = 'archive_id'")
            said = "the archive is ffff, the ledger was archived in"
        else:
            db.execute("UPDATE about SET value = 'ffff' WHERE name = 'system_id'")
            said = "it is of the system ffff, not of"
    db.close()
    return f"{path}: {said}"


@contextmanager
def stopped_market() -> Iterator[tuple[Path, int]]:
    """A stopped directory with an archive, and how many fills it has."""
    with archived("valkey") as (made, world, _):
        fills = len(list(StreamReader(world.scripts).ledger()))
        with moved(made) as place:
            yield place, fills


@pytest.mark.server
@pytest.mark.slow
def test_the_archive_of_a_stopped_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is compared with a private copy of the ledger, and nothing is changed."""
    with stopped_market() as (place, fills), own_copies(monkeypatch) as copies:
        path = place / "archive.db"
        with unchanged(place, copies):
            found = examine(system_of(place))
        assert not bad(found)
        (line,) = [one.found for one in found if one.about == "archive"]
        assert f" with {fills:,} fills, 0 behind, room for" in line
        whole = path.read_bytes()
        for how in ("gone", "rubbish", "old", "form", "another", "system"):
            said = _wrong_archive(path, how)
            with unchanged(place, copies):
                wrong = bad(examine(system_of(place)))["archive"]
            assert (wrong.verdict, said in wrong.found, bool(wrong.todo)) == ("wrong", True, True)
            path.write_bytes(whole)
        path.unlink()
        assert_words(run("doctor", "--data-dir", str(place)), 1)
        for command in ("status", "positions"):
            answer = run(command, "--data-dir", str(place))
            assert f"TROUBLE: {path}: the archive is missing" in answer.out.decode()
        monkeypatch.setattr(stopped, "LEAST_ROOM", 2**62)
        small = bad(examine(system_of(place)))["archive"]
        assert small.verdict == "look" and "TMPDIR" in small.found
        monkeypatch.undo()
        next(place.glob("appendonlydir/*.incr.aof")).write_bytes(b"rubbish\n")
        assert bad(examine(system_of(place)))["log"].verdict == "wrong"


@pytest.mark.server
def test_a_stopped_server_without_a_system() -> None:
    """A directory whose server ran, and where no system was made: there is no archive to miss."""
    with killable_server(binary_or_skip("valkey")) as made:
        made.start()
        with moved(made) as place:
            found = examine(system_of(place))
            answer = run("status", "--data-dir", str(place))
        assert not bad(found) and "archive" not in {one.about for one in found}
        assert_words(answer, 1)
        assert b"{mm}:config does not exist" in answer.err
