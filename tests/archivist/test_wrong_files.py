"""The archivist before a file that is missing, moved, old, altered or of another system."""

from __future__ import annotations

import shutil
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import mm.archivist
from mm.archive import Archive, ArchiveWriter
from mm.archivist import LONGEST_REFUSED_S, Archivist
from mm.errors import ArchiveBroken
from mm.process import WAIT_MS
from mm.store import StreamReader, execute
from tests.kit import SYSTEM_ID, Fake, World, small_config
from tests.kit.archivist import archived, assert_whole, kept, run, trade, trouble
from tests.kit.breaks import edit_archive


def set_aside(directory: Path) -> Path:
    """Move the archive away, with what belongs to it."""
    away = directory / "away"
    away.mkdir()
    for one in directory.glob("archive.db*"):
        one.rename(away / one.name)
    return away


def put_back(directory: Path) -> None:
    """Put the archive back into its place."""
    for one in directory.glob("archive.db*"):
        one.unlink()
    for one in (directory / "away").iterdir():
        one.rename(directory / one.name)


class TestWrongFile:
    def refused(self, world: World, archivist: Archivist, directory: Path, said: str) -> None:
        """The archivist says what is wrong, and nothing more leaves the ledger."""
        before = kept(world)
        for _ in range(3):
            assert not archivist.step()
            assert said in trouble(archivist)
            assert str(directory) in trouble(archivist)
        trade(world, 2)
        archivist.step()
        assert kept(world) == [*before, *kept(world)[len(before) :]]

    def test_moved_while_it_runs(self, traded: World, running: Archivist, tmp_path: Path) -> None:
        """No other one is made in its place; it goes on once the file is back."""
        set_aside(tmp_path)
        self.refused(traded, running, tmp_path, "the archive is missing")
        assert not (tmp_path / "archive.db").exists()
        put_back(tmp_path)
        run(running)
        assert trouble(running) == "-"
        assert_whole(traded, traded.fills())

    def test_moved_within_a_round(
        self, traded: World, running: Archivist, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What was just committed to a file that is not in its place any more is not trimmed."""
        before, plain = kept(traded), ArchiveWriter.add

        def moved(self: ArchiveWriter, *args: Any) -> Any:
            found = plain(self, *args)
            set_aside(tmp_path)
            return found

        with monkeypatch.context() as patched:
            patched.setattr(ArchiveWriter, "add", moved)
            assert not running.step()
        assert "the archive was moved or replaced" in trouble(running)
        assert kept(traded) == before
        put_back(tmp_path)
        run(running)
        assert_whole(traded, traded.fills())

    def test_another_one_put_in_its_place(
        self, traded: World, running: Archivist, tmp_path: Path
    ) -> None:
        """An archive of the same system that is not the one of this ledger."""
        set_aside(tmp_path)
        ArchiveWriter(tmp_path / "archive.db", SYSTEM_ID, may_create=True).close()
        self.refused(traded, running, tmp_path, "")
        with pytest.raises(ArchiveBroken):
            traded.fills()
        put_back(tmp_path)
        run(running)
        assert_whole(traded, traded.fills())

    def test_an_old_one_while_the_ledger_has_all(self, fake: Fake, tmp_path: Path) -> None:
        """What it lacks is still in the ledger, so it is archived again, with the same links."""
        world = World(fake, small_config(limit=100))
        trade(world, 3)
        old = shutil.copy(world.archive(tmp_path), tmp_path / "old")
        trade(world, 3)
        path = world.archive(tmp_path)
        heads = world.hash("archived")
        Path(old).rename(path)
        with pytest.raises(ArchiveBroken, match="the archive is older than the ledger"):
            StreamReader(world.scripts).archive()
        trade(world, 1)
        archivist = world.archivist(tmp_path)
        run(archivist)
        assert trouble(archivist) == "-"
        assert heads.keys() == world.hash("archived").keys()
        assert len(archived(tmp_path)) == 14
        assert_whole(world, world.fills())

    def test_an_old_one_after_a_trim(
        self, traded: World, running: Archivist, tmp_path: Path
    ) -> None:
        """What it lacks is nowhere else: it is named, until the right one is back."""
        running.close()
        old = shutil.copy(tmp_path / "archive.db", tmp_path / "old")
        trade(traded, 4)
        traded.archive(tmp_path)
        set_aside(tmp_path)
        shutil.copy(old, tmp_path / "archive.db")
        trade(traded, 4)
        archivist = traded.archivist(tmp_path)
        self.refused(traded, archivist, tmp_path, "the archive is older than the ledger")
        put_back(tmp_path)
        run(archivist)
        assert trouble(archivist) == "-"
        assert_whole(traded, traded.fills())

    def test_an_old_one_after_orders_were_dropped(
        self, traded: World, running: Archivist, tmp_path: Path
    ) -> None:
        """The stream has lost what the old one lacks: it is named, and nothing is written to it."""
        running.close()
        old = shutil.copy(tmp_path / "archive.db", tmp_path / "old")
        traded.configure(keep_fills=100)
        traded.archive(tmp_path)
        set_aside(tmp_path)
        shutil.copy(old, tmp_path / "archive.db")
        execute(traded.client, "XTRIM", traded.keys.named("orders"), "MAXLEN", "=", 1)
        archivist = traded.archivist(tmp_path)
        said = "the archive is older than the ledger: of orders it must have 20 entries, and has 12"
        self.refused(traded, archivist, tmp_path, said)
        with pytest.raises(ArchiveBroken, match="the archive is older than the ledger, or altered"):
            StreamReader(traded.scripts).archive()
        with Archive(tmp_path / "archive.db") as archive:
            assert archive.head("orders").number == 12
        put_back(tmp_path)
        run(archivist)
        assert trouble(archivist) == "-"
        assert_whole(traded, traded.fills())

    def test_an_old_one_after_outcomes_were_forgotten(
        self,
        traded: World,
        running: Archivist,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """The orders come again, but not what became of them: that is another archive.

        Who accepts the loss says so by deleting what is recorded of the stream.
        """
        running.close()
        old = shutil.copy(tmp_path / "archive.db", tmp_path / "old")
        traded.configure(keep_fills=100)
        traded.archive(tmp_path)
        shutil.copy(old, tmp_path / "archive.db")
        monkeypatch.setattr("mm.store.OrderMemory.texts", lambda _, orders: [None] * len(orders))
        trade(traded, 1)
        archivist = traded.archivist(tmp_path)
        said = "its orders-20 is not the one that was archived"
        self.refused(traded, archivist, tmp_path, said)
        traded.client.hdel(traded.keys.named("archived"), "orders")
        run(archivist)
        assert trouble(archivist) == "-"
        assert traded.hash("archived")["orders"].startswith("26 ")

    def test_one_of_another_system(self, traded: World, tmp_path: Path) -> None:
        """Left from a system that was here before: nothing is written to it."""
        path = tmp_path / "archive.db"
        ArchiveWriter(path, "0" * 16, may_create=True).close()
        before = path.read_bytes()
        archivist = traded.archivist(tmp_path)
        self.refused(
            traded, archivist, tmp_path, f"is of the system {'0' * 16}, not of {SYSTEM_ID}"
        )
        assert path.read_bytes() == before
        assert traded.hash("archive") == {}

    def test_rubbish(self, traded: World, tmp_path: Path) -> None:
        """A file that is no archive stays as it is."""
        path = tmp_path / "archive.db"
        path.write_bytes(b"rubbish" * 999)
        archivist = traded.archivist(tmp_path)
        self.refused(traded, archivist, tmp_path, "file is not a database")
        assert path.read_bytes() == b"rubbish" * 999

    def test_an_altered_head(self, traded: World, running: Archivist, tmp_path: Path) -> None:
        """The newest archived fill is not the one that the keys know: nothing is trimmed."""
        running.close()
        edit_archive(traded, "UPDATE fills SET link = zeroblob(16) WHERE place = 12")
        archivist = traded.archivist(tmp_path)
        self.refused(traded, archivist, tmp_path, "is not the one that was archived")

    def test_its_log_while_it_is_refused(
        self,
        traded: World,
        running: Archivist,
        tmp_path: Path,
        caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """A file that opens and is damaged: the trouble once, and the archive when it is good."""

        def damaged(self: ArchiveWriter, *_: Any) -> Any:
            raise ArchiveBroken(f"{self.where}: the archive: database disk image is malformed")

        caplog.set_level("INFO")
        with monkeypatch.context() as patched:
            patched.setattr(ArchiveWriter, "add", damaged)
            self.refused(traded, running, tmp_path, "is malformed")
        assert [one.levelname for one in caplog.records] == ["ERROR"]
        caplog.clear()
        run(running)
        trade(traded, 2)
        run(running)
        (good,) = caplog.messages
        assert good.startswith(f"archive={tmp_path}/archive.db fills=")

    def test_it_tries_less_and_less_often(
        self, traded: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As a process it opens a refused file at growing distances, and still steps as often."""
        tried: list[float] = []
        now, path = [0.0], tmp_path / "archive.db"
        path.write_bytes(b"rubbish" * 999)
        archivist, plain = traded.archivist(tmp_path), Archivist._opened

        def opened(self: Archivist) -> ArchiveWriter:
            tried.append(now[0])
            return plain(self)

        def sleep(seconds: float) -> None:
            now[0] += seconds

        monkeypatch.setattr(Archivist, "_opened", opened)
        clock = SimpleNamespace(sleep=sleep, monotonic=lambda: now[0])
        monkeypatch.setattr(mm.archivist, "time", clock)
        while now[0] < 60:
            archivist.step(WAIT_MS)
            assert "file is not a database" in trouble(archivist)
        pauses = [later - before for before, later in pairwise(tried)]
        assert pauses == sorted(pauses) and pauses[0] < 1 and len(tried) < 40
        assert pauses[-1] <= 2 * LONGEST_REFUSED_S
        path.unlink()
        while trouble(archivist) != "-":
            archivist.step(WAIT_MS)
        assert now[0] - 60 < 2 * LONGEST_REFUSED_S
