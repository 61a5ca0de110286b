"""The archivist: killed, on a full disk, with a wrong file: no fill is lost, doubled or altered."""

from __future__ import annotations

import resource
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mm.archive import ArchiveWriter
from mm.market import Durability
from mm.store import Scripts, hash_of
from mm.unarchived import Unarchived
from tests.kit import Fake, MakeWorld, World, small_config, wait_for
from tests.kit.archivist import archived, assert_whole, kept, run, trade, trouble
from tests.kit.running import RunningSystem


def test_committed_fills_move(make_world: MakeWorld, tmp_path: Path) -> None:
    """Into the archive, in the ledger's order; the stream keeps the newest, in whole entries."""
    world = make_world(limit=100, keep_fills=5)
    trade(world, 6)
    fills = world.fills()
    world.archive(tmp_path)
    ids = [fill.fill_id for fill in fills]
    assert archived(tmp_path) == ids
    assert kept(world) == ids[-6:]
    assert_whole(world, fills)
    trade(world, 3)
    fills = world.fills()
    world.archive(tmp_path)
    assert len(fills) == 18
    assert kept(world) == [fill.fill_id for fill in fills[-6:]]
    assert_whole(world, fills)
    assert (tmp_path / "archive.db").stat().st_mode & 0o777 == 0o600


def test_again_changes_nothing(traded: World, tmp_path: Path) -> None:
    """A restarted archivist, and one that runs on, find nothing to do."""
    archivist = traded.archivist(tmp_path)
    run(archivist)
    before, ids = traded.dump(), archived(tmp_path)
    run(archivist)
    archivist.close()
    traded.archive(tmp_path)
    assert traded.dump() == before
    assert archived(tmp_path) == ids


class Killed(BaseException):
    """Nothing of the process runs after it."""


#: The calls of a round that have an effect or read what it depends on.
CALLS = [
    *[(Unarchived, "fills"), (Unarchived, "news"), (ArchiveWriter, "add")],
    *[(ArchiveWriter, "add_marks"), (ArchiveWriter, "before_newest")],
    *[(Scripts, "trim"), (Scripts, "archive_state"), (ArchiveWriter, "retain")],
]


def kill_at(monkeypatch: pytest.MonkeyPatch, boundary: int) -> None:
    """Kill the process at the boundary of that number: before or after one of the calls."""
    passed = [0]

    def pass_one() -> None:
        passed[0] += 1
        if passed[0] == boundary:
            raise Killed

    def around(plain: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any) -> Any:
            pass_one()
            found = plain(*args)
            pass_one()
            return found

        return wrapped

    for owner, name in CALLS:
        monkeypatch.setattr(owner, name, around(getattr(owner, name)))


def test_killed_at_each_step(fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before and after each call; the next one goes on, and nothing is lost or doubled."""
    monkeypatch.setattr("mm.archivist.REMOVED", 4)
    monkeypatch.setattr("mm.unarchived.FEW", 2)
    boundary = deaths = 0
    while True:
        boundary += 1
        fake.server = type(fake.server)()
        world = World(fake, small_config(limit=100, keep_fills=5))
        directory = tmp_path / str(boundary)
        trade(world, 4)
        with monkeypatch.context() as patched:
            kill_at(patched, boundary)
            archivist = world.archivist(directory)
            try:
                run(archivist)
            except Killed:
                deaths += 1
            else:
                break
        fills = world.fills()
        trade(world, 2)
        later = world.fills()
        assert later[: len(fills)] == fills
        world.archive(directory)
        assert archived(directory) == [fill.fill_id for fill in later]
        assert len(kept(world)) == 6
        assert_whole(world, later)
    assert deaths > 20


def test_two_at_once(traded: World, tmp_path: Path) -> None:
    """Two that take turns have one archive, and neither hinders the other."""
    first, second = traded.archivist(tmp_path), traded.archivist(tmp_path, "2")
    for _ in range(6):
        trade(traded, 2)
        first.step()
        trade(traded, 1)
        second.step()
        first.step()
        assert (trouble(first), trouble(second)) == ("-", "-")
    run(first)
    fills = traded.fills()
    assert archived(tmp_path) == [fill.fill_id for fill in fills]
    assert_whole(traded, fills)


@pytest.mark.parametrize("name", ["add", "before_newest"])
def test_overtaken(
    traded: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """One that stood still while another one went on is no older archive for it."""
    slow, fast = traded.archivist(tmp_path), traded.archivist(tmp_path, "2")
    run(slow)
    trade(traded, 2)
    plain = getattr(ArchiveWriter, name)
    stood: list[ArchiveWriter] = []

    def overtaken(self: ArchiveWriter, *args: Any) -> Any:
        found = plain(self, *args)
        if not stood:
            stood.append(self)
            trade(traded, 3)
            run(fast)
        return found

    monkeypatch.setattr(ArchiveWriter, name, overtaken)
    slow.step()
    assert stood
    assert (trouble(slow), trouble(fast)) == ("-", "-")
    fills = traded.fills()
    assert archived(tmp_path) == [fill.fill_id for fill in fills]
    assert_whole(traded, fills)


class TestDisk:
    def test_a_full_one(
        self, traded: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nothing is trimmed, it is said once and with each heartbeat, and ends by itself."""
        archivist, said = traded.archivist(tmp_path), list[str]()
        archivist.say = said.append
        run(archivist)
        plain = ArchiveWriter._connect

        def full(self: ArchiveWriter, uri: str) -> sqlite3.Connection:
            db = plain(self, uri)
            db.execute("PRAGMA max_page_count = 1")
            return db

        with monkeypatch.context() as patched:
            patched.setattr(ArchiveWriter, "_connect", full)
            archivist._close()
            trade(traded, 300)
            before = kept(traded)
            for _ in range(3):
                assert not archivist.step()
            assert kept(traded) == before
            assert "database or disk is full" in trouble(archivist)
            assert str(tmp_path) in trouble(archivist)
            assert len(said) == 1
            assert said[0].startswith("nothing is archived until this ends: ")
        run(archivist)
        assert said[1:] == ["archiving again"]
        assert trouble(archivist) == "-"
        assert len(kept(traded)) == 6
        assert_whole(traded, traded.fills())

    @pytest.mark.parametrize("kind", ["file", "read-only"])
    def test_no_directory_to_write_to(self, traded: World, tmp_path: Path, kind: str) -> None:
        """It is named; when it is mended archiving begins."""
        directory = tmp_path / "data"
        if kind == "file":
            directory.write_text("x")
        else:
            directory.mkdir()
            (directory / "archive.db").mkdir()
        archivist = traded.archivist(directory)
        assert not archivist.step()
        assert str(directory) in trouble(archivist)
        assert len(kept(traded)) == 12
        directory.unlink() if kind == "file" else (directory / "archive.db").rmdir()
        run(archivist)
        assert trouble(archivist) == "-"
        assert_whole(traded, traded.fills())


@pytest.mark.parametrize("durability", ["always", "declared", "relaxed"])
def test_what_a_restart_may_lose_is_not_archived(
    fake: Fake, tmp_path: Path, durability: Durability
) -> None:
    """Where acknowledged writes may be lost, fills are archived when they are 10 s old."""
    world = World(fake, small_config(durability=durability))
    trade(world, 2)
    archivist = world.archivist(tmp_path)
    run(archivist)
    assert len(archived(tmp_path)) == (0 if durability == "relaxed" else 4)
    world.advance(10_000)
    run(archivist)
    assert len(archived(tmp_path)) == 4


@pytest.mark.server
def test_a_disk_that_fills_up(system: RunningSystem) -> None:
    """The archivist of a running market may not write: trading goes on, and later archiving."""
    system.start(rate=300)
    file = system.data_dir / "archive.db"
    wait_for("an archive", file.exists)

    scripts = system.scripts()

    def said() -> str:
        key = scripts.keys.member("process:*", "archivist-1")
        return hash_of(scripts.client, key)["trouble"]

    pid = system.pids()["archivist-1"]
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (4_096, hard))
    wait_for("the trouble", lambda: "archive" in said(), 30)
    system.trades_on()
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))
    wait_for("its end", lambda: said() == "-", 30)
    assert system.pids()["archivist-1"] == pid, "it was restarted"
    code, output = system.stop()
    assert code == 0, output
