"""A directory whose old fills are only in its archive is read whole: moved, running or stopped."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from mm.archive import Archive
from mm.errors import ArchiveBroken
from mm.host import DataDir, ManagedServer, System
from mm.store import Keys, StreamReader, socket_url
from tests.kit import SERVERS, binary_or_skip, wait_for
from tests.kit.answers import assert_words, run
from tests.kit.archived_market import archive_on, archived, moved, tiny_config
from tests.kit.commands import alive, invoke
from tests.kit.running import RunningSystem
from tests.kit.stopped import READERS, own_copies, unchanged
from tests.kit.world import World

pytestmark = [pytest.mark.server, pytest.mark.slow]


@pytest.fixture
def copies(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The place of private copies, for this test alone."""
    with own_copies(monkeypatch) as place:
        yield place


@contextmanager
def stopped(server: str, held_open: bool = False) -> Iterator[tuple[Path, int]]:
    """A stopped directory, moved from where it was made, and how many fills it has.

    With ``held_open`` its archivist was killed before the newest commits were moved to the file.
    """
    with archived(server) as (made, world, trader):
        archivist = world.archivist(made.directory.path)
        if held_open:
            trader.trade(100)
            trader.settle()
            archive_on(archivist)
            assert (made.directory.path / "archive.db-wal").stat().st_size
        count = sum(int(one) for one in versions(world))
        assert count > 10 > world.client.xlen(world.keys.named("fills"))
        with moved(made) as place:
            archivist.close()
            yield place, count


def versions(world: World) -> list[str]:
    """The position version of each symbol."""
    return [world.hash("position:*", name)["position_version"] for name in world.names]


def fills_in(*where: str | Path) -> int:
    """How many fills `mm fills` has."""
    done = invoke("fills", "--json", *where)
    assert done.exit_code == 0, done.output
    return len(json.loads(done.stdout))


@SERVERS
def test_a_moved_directory_that_runs(server: str) -> None:
    """Through its directory it is read where it is now; by URL, where the keys say."""
    with stopped(server) as (place, count):
        managed = ManagedServer(DataDir(place), binary_or_skip(server))
        managed.start()
        try:
            assert fills_in("--data-dir", place) == count
            done = invoke("audit", "--data-dir", place)
            assert done.exit_code == 0, done.output
            system = System(DataDir(place), socket_url(place / "redis.sock"), Keys(), None)
            with pytest.raises(ArchiveBroken, match=r"archive\.db: the archive is missing") as no:
                list(StreamReader(system.scripts()).ledger())
            assert str(place) not in str(no.value)
        finally:
            managed.stop()


@SERVERS
@pytest.mark.parametrize("held_open", [False, True])
def test_a_stopped_directory_is_read_whole(server: str, held_open: bool, copies: Path) -> None:
    """Every reading command goes across the archive, and nothing in the directory changes."""
    with stopped(server, held_open) as (place, count), unchanged(place, copies):
        assert fills_in("--data-dir", place) == count
        for words in READERS:
            done = invoke(*words, "--json", "--data-dir", place)
            # Right after the kill the heartbeats still count.
            assert done.exit_code in ((0, 1) if words[0] == "status" else (0,)), done.output
        done = invoke("audit", "--json", "--data-dir", place)
        (whole,) = [one for one in json.loads(done.stdout)["checks"] if "archive" in one["name"]]
        assert whole["ok"] and whole["checked"]["fills archived"] == count


def test_an_archive_that_is_missing_or_altered_is_named(copies: Path) -> None:
    """By its path in the directory, not by that of the private copy; nothing is passed over."""
    with stopped("valkey") as (place, _):
        path = place / "archive.db"
        data = path.read_bytes()
        path.unlink()
        with unchanged(place, copies):
            refused(place, f"{path}: the archive is missing")
        path.write_bytes(data[:4096] + b"\0" * (len(data) - 4096))
        with unchanged(place, copies):
            refused(place, str(path))
        path.write_bytes(data)
        with closing(sqlite3.connect(path)) as db, db:
            db.execute("UPDATE fills SET line = replace(line, ' 1', ' 2') WHERE place = 3")
        with unchanged(place, copies):
            refused(place, f"{path}: the archive is damaged: fill")


def refused(place: Path, words: str) -> None:
    """Reading fills fails with these words, and the audit has them as a violation."""
    for command in ("fills", "audit", "pnl"):
        done = invoke(command, "--json", "--data-dir", place)
        assert done.exit_code == 1, done.output
        assert words in done.output and "mm-read-" not in done.output, done.output


def test_room_for_the_archive(copies: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy that would fit without the archive is refused with what it needs."""
    with stopped("valkey") as (place, _), unchanged(place, copies):
        monkeypatch.setattr("mm.host.stopped.LEAST_ROOM", 0)
        logs = sum(path.stat().st_size for path in place.glob("appendonlydir/*"))
        usage = shutil.disk_usage(place)
        monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=logs))
        done = invoke("fills", "--data-dir", place)
        assert done.exit_code == 1 and "TMPDIR" in done.stderr, done.stderr


def test_kill_9_of_the_archivist_and_of_everything(copies: Path) -> None:
    """A market that is killed with its archivist at work is read whole when it is stopped."""
    with closing(RunningSystem()) as market:
        market.start("--config", str(tiny_config(copies)), rate=400)
        archivist = market.pids()["archivist-1"]
        path = market.data_dir / "archive.db"
        wait_for("an archive", lambda: path.exists() and Archive(path).size > 500, 30)
        subprocess.run(["kill", "-9", str(archivist)], check=True)
        market.trades_on()
        before = market.status()["fills_committed"]
        market.kill()
        wait_for("the end of all", lambda: not any(map(alive, market.pids().values())), 20)
        with unchanged(market.data_dir, copies):
            assert fills_in("--data-dir", market.data_dir) >= before
            answer = run("audit", "--data-dir", str(market.data_dir))
            assert_words(answer, 0)
