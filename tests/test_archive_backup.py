"""A backup has the archive as of the instant of its log; what is restored archives on."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mm.archive import Archive, EntryId
from mm.audit import audit
from mm.backup import back_up, restore
from mm.errors import SystemRefused
from mm.facts import status_facts
from mm.host import DataDir, archives, open_system, reading
from mm.host import live_copy as live
from mm.store import Scripts, StreamReader, partitions_of, take_snapshot
from tests.kit import SERVERS, short_directory, wait_for
from tests.kit.answers import assert_words, run
from tests.kit.archived_market import archive_on, archived, tiny_config
from tests.kit.commands import signalled_at
from tests.kit.running import RunningSystem
from tests.kit.stopped import system_of

pytestmark = [pytest.mark.server, pytest.mark.slow]

ALL: EntryId = (2**62, 0)


@pytest.fixture
def place() -> Iterator[Path]:
    """Where backups and restored directories go."""
    with short_directory() as path:
        yield path


def lines_in(path: Path) -> dict[str, str]:
    """The fills of an archive, each compared with its link: the line by the fill's name."""
    with Archive(path) as archive:
        return {one.fill_id: one.line for one in archive.fills((0, 0), ALL)}


def ledger_of(scripts: Scripts) -> dict[bytes, bytes]:
    """The whole ledger, of all partitions: the line by the fill's name."""
    ledgers = [StreamReader(one).ledger() for one in partitions_of(scripts)]
    return {name: line for one in ledgers for _, name, line in one}


@SERVERS
def test_the_archive_of_the_instant(
    server: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All is archived on between the copies of log and archive: the backup has no gap, and no more.

    So the restored system has what was there at its instant, and an archivist goes on from it.
    """
    with archived(server) as (made, world, trader):
        open_system(made.directory, world.scripts)
        trader.trade(60)
        archivist = world.archivist(made.directory.path)
        plain = archives.copy_live_archives

        def archive_on_and_copy(data_dir: DataDir, copy: DataDir) -> None:
            trader.trade(100)
            trader.settle()
            archive_on(archivist)
            plain(data_dir, copy)

        monkeypatch.setattr(live, "copy_live_archives", archive_on_and_copy)
        before = ledger_of(world.scripts)
        back_up(system_of(made.directory.path), place / "b")
        after = ledger_of(world.scripts)
        assert len(after) > len(before) + 3
        assert len(lines_in(made.directory.path / "archive.db")) == len(after)
        assert [one.name for one in (place / "b" / "data").glob("archive*")] == ["archive.db"]
        restore(place / "b", DataDir(place / "n"))
        archivist.close()
        # What the keys name is gone, and not asked for.
        (made.directory.path / "archive.db").unlink()
    with reading(system_of(place / "n")) as found:
        assert ledger_of(found) == before
        assert lines_in(place / "n" / "archive.db").items() <= {
            (name.decode(), line.decode()) for name, line in before.items()
        }
        assert audit(found).ok


def test_orders_that_were_not_processed_yet(place: Path) -> None:
    """What became of an order after the instant is not in the archive of the backup."""
    with archived("valkey") as (made, world, trader):
        open_system(made.directory, world.scripts)
        trader.send()
        trader.send()
        archivist = world.archivist(made.directory.path)
        plain = archives.copy_live_archives

        def process_and_copy(data_dir: DataDir, copy: DataDir) -> None:
            trader.settle()
            archive_on(archivist)
            plain(data_dir, copy)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(live, "copy_live_archives", process_and_copy)
            back_up(system_of(made.directory.path), place / "b")
        archivist.close()
        with Archive(place / "b" / "data" / "archive.db") as archive:
            kept = archive.end("orders") or (0, 0)
        with Archive(made.directory.path / "archive.db") as archive:
            assert (archive.end("orders") or kept) > kept
            assert len(list(archive.entries("orders", kept, ALL))) == 2


@SERVERS
def test_an_archive_that_cannot_be_trusted(server: str, place: Path) -> None:
    """Missing, of an earlier time, altered or rubbish: it is named, and no backup is made."""
    with archived(server) as (made, world, trader):
        path = made.directory.path / "archive.db"
        data = path.read_bytes()
        trader.trade(100)
        trader.settle()
        archivist = world.archivist(made.directory.path)
        archive_on(archivist)
        archivist.close()
        newer = path.read_bytes()
        path.write_bytes(data)
        refused(made.directory.path, place, "the archive is older than the ledger")
        path.unlink()
        refused(made.directory.path, place, "the archive is missing")
        path.write_bytes(newer)
        with closing(sqlite3.connect(path)) as db, db:
            db.execute("UPDATE fills SET line = line || '0' WHERE place = 2")
        refused(made.directory.path, place, "the archive is damaged: fill")
        path.write_bytes(b"rubbish " * 4_000)
        refused(made.directory.path, place, "file is not a database")


def refused(data_dir: Path, place: Path, words: str) -> None:
    """A backup is refused with these words and the name of the archive, running and stopped."""
    copy = place / "stopped"
    shutil.copytree(data_dir, copy, ignore=shutil.ignore_patterns("*.sock"))
    for one in (data_dir, copy):
        with pytest.raises(SystemRefused) as raised:
            back_up(system_of(one), place / "b")
        assert words in str(raised.value) and str(one / "archive.db") in str(raised.value)
    shutil.rmtree(copy)
    assert not list(place.iterdir())


def test_a_fast_market_with_few_fills_in_memory(place: Path) -> None:
    """Backups of a market that archives all the time are clean; a restored one trades and archives.

    The archivist is killed now and then.
    """
    with closing(RunningSystem()) as market, closing(RunningSystem()) as copy:
        market.start("--config", str(tiny_config(place)), rate=1_500)
        path = market.data_dir / "archive.db"
        wait_for("an archive", lambda: path.exists() and len(lines_in(path)) > 200, 30)
        stop = threading.Event()

        def kill_it() -> None:
            while not stop.wait(1.5):
                pid = market.pids().get("archivist-1")
                subprocess.run(["kill", "-9", str(pid)], check=False, capture_output=True)

        killer = threading.Thread(target=kill_it)
        killer.start()
        try:
            for turn in range(3):
                before = market.status()["fills_committed"]
                answer = run("backup", str(place / f"b{turn}"), "--data-dir", str(market.data_dir))
                assert_words(answer, 0)
                archive = place / f"b{turn}" / "data" / "archive.db"
                assert len(lines_in(archive)) > 0
                assert [one.name for one in archive.parent.glob("archive*")] == ["archive.db"]
        finally:
            stop.set()
            killer.join()
        answer = run("restore", str(place / "b2"), "--data-dir", str(copy.data_dir))
        assert_words(answer, 0)
        with reading(system_of(copy.data_dir)) as scripts:
            assert status_facts(take_snapshot(scripts))["fills_committed"] >= before
        assert market.stop()[0] == 0
        shutil.rmtree(market.data_dir)
        kept = len(lines_in(copy.data_dir / "archive.db"))
        copy.start(rate=500)
        wait_for("archiving", lambda: len(lines_in(copy.data_dir / "archive.db")) > kept + 100, 30)
        file = copy.scripts().archive_state().file
        assert file == str(copy.data_dir / "archive.db")
        code, said = copy.stop()
        assert code == 0 and "audit: ok" in said, said


def test_kill_9_in_the_middle(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A backup that is killed while the archive is copied or cut is not there."""
    with archived("valkey") as (made, world, _):
        open_system(made.directory, world.scripts)
        words = ["backup", str(place / "b"), "--data-dir", str(made.directory.path)]
        monkeypatch.setenv("TMPDIR", str(place))
        for stage in ("mm-read-*/archive.db", ".b.unfinished/data/archive.db"):
            done = signalled_at(
                words,
                lambda: list(place.glob(stage)),  # noqa: B023  # it is called within the turn
                signal.SIGKILL,
                lambda: shutil.rmtree(place / "b"),
            )
            assert done.returncode == -signal.SIGKILL, done.stderr
            assert not (place / "b").exists()
        assert_words(run(*words), 0)
        restore(place / "b", DataDir(place / "n"))


def test_partitions(place: Path) -> None:
    """Each partition has its archive, and what is restored of them goes on together."""
    with closing(RunningSystem()) as market, closing(RunningSystem()) as copy:
        market.start("--config", str(tiny_config(place)), "--partitions", "2", rate=600)
        names = ["archive-0.db", "archive-1.db"]
        for name in names:
            path = market.data_dir / name
            wait_for(name, lambda: path.exists() and len(lines_in(path)) > 50, 30)  # noqa: B023  # it is called within the turn
        assert_words(run("backup", str(place / "b"), "--data-dir", str(market.data_dir)), 0)
        assert sorted(one.name for one in (place / "b" / "data").glob("archive*")) == names
        assert market.stop()[0] == 0
        done = run("audit", "--data-dir", str(market.data_dir))
        assert_words(done, 0)
        shutil.rmtree(market.data_dir)
        assert_words(run("restore", str(place / "b"), "--data-dir", str(copy.data_dir)), 0)
        copy.start(rate=600)
        code, said = copy.stop()
        assert code == 0 and "audit: ok" in said, said
