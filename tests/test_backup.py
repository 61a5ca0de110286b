"""A backup is all that was acknowledged up to an instant, or it is none; a restore likewise."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis.exceptions import RedisError

from mm.backup import back_up, restore
from mm.errors import SystemRefused
from mm.host import DataDir, Lock, ManagedServer, open_system, reading
from mm.host.live_log import LiveLog
from mm.store import open_client, take_snapshot
from tests.kit import SERVERS, binary_or_skip, short_directory, wait_for
from tests.kit.answers import assert_words, run
from tests.kit.checks import Dump
from tests.kit.commands import signalled_at
from tests.kit.crash import KillableServer, assert_same_keys, live_keys, tear, trading
from tests.kit.running import RunningSystem
from tests.kit.stopped import servers_in, system_of
from tests.kit.trader import Trader
from tests.kit.world import World

pytestmark = [pytest.mark.server, pytest.mark.slow]


@contextmanager
def traded(server: str) -> Iterator[tuple[KillableServer, World, Trader]]:
    """A server with a system that has traded, in a directory that knows the system."""
    with trading(server) as (made, world, trader):
        open_system(made.directory, world.scripts)
        yield made, world, trader


@pytest.fixture
def place() -> Iterator[Path]:
    """Where backups and restored directories go."""
    with short_directory() as path:
        yield path


def left_by(made: KillableServer, path: Path) -> Path:
    """What a killed system leaves: its directory, which nobody has any more."""
    shutil.copytree(made.directory.path, path, ignore=shutil.ignore_patterns("*.sock"))
    return path


@contextmanager
def loaded(directory: Path, world: World) -> Iterator[World]:
    """The same world over the keys that a server loads from a restored directory."""
    before = world.client
    with private_server(directory, (directory / "made-by").read_text().split()[0]) as made:
        world.client = open_client(made.url)
        yield world
        world.client = before


@contextmanager
def private_server(directory: Path, name: str) -> Iterator[DataDir]:
    """A server over a restored directory, in the same place."""
    server = ManagedServer(DataDir(directory), binary_or_skip(name))
    server.start()
    try:
        yield DataDir(directory)
    finally:
        server.stop()


@SERVERS
def test_what_was_acknowledged_is_in_it(server: str, place: Path) -> None:
    """Of a running system: every key as it was then, and nothing of what came afterwards."""
    with traded(server) as (made, world, trader):
        acknowledged = live_keys(world)
        began = time.time_ns() // 1_000_000
        manifest = back_up(system_of(made.directory.path), place / "b")
        assert began <= manifest.instant_ms <= time.time_ns() // 1_000_000
        trader.trade(10)
        assert live_keys(world) != acknowledged
        restore(place / "b", DataDir(place / "n"))
        with loaded(place / "n", world):
            assert_same_keys(world, "the restored keys", acknowledged)


@SERVERS
def test_a_torn_end_of_a_stopped_directory(server: str, place: Path) -> None:
    """Of a killed system: every acknowledged write, without the torn one; it stays as it is."""
    with traded(server) as (made, world, _):
        acknowledged = live_keys(world)
        made.kill()
        tear(made)
        left = left_by(made, place / "d")
        log = (left / made.log.relative_to(made.directory.path)).read_bytes()
        back_up(system_of(left), place / "b")
        assert (left / made.log.relative_to(made.directory.path)).read_bytes() == log
        restore(place / "b", DataDir(place / "n"))
        with loaded(place / "n", world):
            assert_same_keys(world, "the restored keys", acknowledged)


@SERVERS
def test_a_prefix_while_the_log_is_written_and_rewritten(server: str, place: Path) -> None:
    """Somebody writes, and the log is rewritten, all the time: the copy is a prefix, up to date."""
    with traded(server) as (made, _, _):
        client, stop, answered = open_client(made.directory.url), threading.Event(), [0]

        def write() -> None:
            while not stop.is_set():
                # One step that must be whole, and a long log.
                with client.pipeline() as pipe:
                    pipe.set("{x}:a", answered[0] + 1)
                    pipe.set("{x}:b", answered[0] + 1)
                    pipe.execute()
                client.lpush("{x}:long", "x" * 2000)
                answered[0] += 1

        def rewrite() -> None:
            with open_client(made.directory.url) as other:
                while not stop.is_set():
                    try:
                        other.bgrewriteaof()
                    except RedisError:
                        time.sleep(0.001)

        threads = [threading.Thread(target=one) for one in (write, rewrite)]
        for one in threads:
            one.start()
        try:
            for turn in range(5):
                first = answered[0]
                back_up(system_of(made.directory.path), place / f"b{turn}")
                last = answered[0] + 1
                restore(place / f"b{turn}", DataDir(place / f"n{turn}"))
                with private_server(place / f"n{turn}", server) as found:
                    restored = open_client(found.url)
                    value = int(restored.get("{x}:a") or 0)
                    assert first <= value <= last
                    assert int(restored.get("{x}:b") or 0) == value
                    assert restored.llen("{x}:long") in (value - 1, value, value + 1)
        finally:
            stop.set()
            for one in threads:
                one.join()


def test_a_rewrite_between_opening_and_measuring(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is written to a new file of the log after the old one was opened is not lost."""
    with traded("valkey") as (made, world, trader):
        plain = LiveLog.measure
        turns: list[Dump] = []

        def measure(log: LiveLog) -> None:
            if not turns:
                before = set(made.directory.path.glob("appendonlydir/*"))
                world.client.bgrewriteaof()
                wait_for(
                    "a new file", lambda: set(made.directory.path.glob("appendonlydir/*")) != before
                )
                trader.trade(5)
            turns.append(live_keys(world))
            plain(log)

        monkeypatch.setattr(LiveLog, "measure", measure)
        back_up(system_of(made.directory.path), place / "b")
        assert len(turns) > 1
        restore(place / "b", DataDir(place / "n"))
        with loaded(place / "n", world):
            assert_same_keys(world, "the restored keys", turns[-1])


def test_a_market_that_runs_is_backed_up_and_the_copy_trades_on(place: Path) -> None:
    """The market goes on meanwhile. The copy keeps its id and its history, and `mm up` goes on."""
    with contextlib.closing(RunningSystem()) as market, contextlib.closing(RunningSystem()) as copy:
        market.start()
        answer = run("backup", str(place / "b"), "--data-dir", str(market.data_dir), "--json")
        assert_words(answer, 0)
        facts = json.loads(answer.out)
        market.trades_on()
        answer = run("restore", str(place / "b"), "--data-dir", str(copy.data_dir))
        assert_words(answer, 0)
        with reading(system_of(copy.data_dir)) as scripts:
            before = take_snapshot(scripts).cursors
        assert before.exchange_records > 0
        # Both at once, with the same id: neither knows of the other.
        copy.start()
        assert copy.audit().system_id == market.audit().system_id == facts["systems"]["{mm}"]
        assert take_snapshot(copy.scripts()).cursors.exchange_records > before.exchange_records
        for one in (copy, market):
            code, said = one.stop()
            assert code == 0 and "audit: ok" in said, said


def test_secrets_stay_where_they_are(place: Path) -> None:
    """No secret is in a backup; what is restored has new ones, for every user that there was."""
    with traded("valkey") as (made, _, _):
        secrets = made.directory.secrets
        assert_words(run("acl", "--add", "publisher-9", "--data-dir", str(made.directory.path)), 0)
        back_up(system_of(made.directory.path), place / "b")
        found = {path.name: path.read_bytes().strip() for path in secrets.iterdir()}
        files = [path for path in (place / "b").rglob("*") if path.is_file()]
        for path in files:
            assert path.stat().st_mode & 0o077 == 0, path
            assert not [name for name, one in found.items() if one in path.read_bytes()], path
        for path in (place / "b", *(place / "b").rglob("*")):
            assert path.stat().st_mode & 0o077 == 0, path
        restore(place / "b", DataDir(place / "n"))
        new = {
            path.name: path.read_bytes().strip() for path in DataDir(place / "n").secrets.iterdir()
        }
        assert new.keys() == found.keys() and "publisher-9" in new
        assert not {*new.values()} & {*found.values()}
        assert (place / "n").stat().st_mode & 0o777 == 0o700


def test_what_cannot_be_backed_up(place: Path) -> None:
    """Nothing there, a server by its URL, a damaged log, damaged keys: refused, nothing is made."""
    answer = run("backup", str(place / "b"), "--data-dir", str(place / "none"))
    assert_words(answer, 1)
    answer = run("backup", str(place / "b"), "--redis-url", "redis://127.0.0.1:1")
    assert_words(answer, 2)
    assert "its own means" in answer.text
    with traded("valkey") as (made, world, _):
        symbol = world.config.symbols[0].name
        key = world.keys.member("position:*", symbol)
        world.client.hincrby(key, "net_lots", 7)
        with pytest.raises(SystemRefused, match=r"position-exact.*No backup was made"):
            back_up(system_of(made.directory.path), place / "b")
        world.client.hincrby(key, "net_lots", -7)
        made.kill()
        data = made.log.read_bytes()
        made.log.write_bytes(data[: len(data) // 2] + b"rubbish\r\n" + data[len(data) // 2 :])
        with pytest.raises(SystemRefused, match="cannot load a copy of its log"):
            back_up(system_of(left_by(made, place / "d")), place / "b")
    assert [one.name for one in place.iterdir()] == ["d"]


def test_a_stopped_directory_in_use(place: Path) -> None:
    """While an `mm up` has just begun in a directory it is not copied."""
    with traded("valkey") as (made, _, _):
        made.kill()
        left_by(made, place / "d")
    with Lock(DataDir(place / "d")):
        assert_words(run("backup", str(place / "b"), "--data-dir", str(place / "d")), 1)
    assert [one.name for one in place.iterdir()] == ["d"]


@pytest.mark.parametrize("server", ["valkey"])
def test_kill_9_leaves_nothing_that_looks_finished(
    server: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backup or restore that is killed at any step is not there; the next one clears the rest."""
    monkeypatch.setenv("TMPDIR", str(place))
    with traded(server) as (made, _, _):
        for name, words, stages in (
            (
                "b",
                ["backup", str(place / "b"), "--data-dir", str(made.directory.path)],
                ("", "data", "data/made-by"),
            ),
            (
                "n",
                ["restore", str(place / "b"), "--data-dir", str(place / "n")],
                ("", "made-by", "appendonlydir", "logs", "secrets"),
            ),
        ):
            for stage in stages:
                unfinished = place / f".{name}.unfinished"
                done = signalled_at(
                    words,
                    (unfinished / stage).exists,
                    signal.SIGKILL,
                    lambda: shutil.rmtree(place / name),  # noqa: B023  # it is called within the turn
                )
                assert done.returncode == -signal.SIGKILL, done.stderr
                assert not (place / name).exists(), stage
                wait_for("its server's end", lambda: not servers_in(place))
            assert_words(run(*words), 0)
            assert not (place / f".{name}.unfinished").exists()


def test_room(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without room for the copy nothing is made, and it is said how much it needs, and where."""
    with traded("valkey") as (made, _, _):
        usage = shutil.disk_usage(place)
        monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1_000_000))
        with pytest.raises(SystemRefused, match="TMPDIR"):
            back_up(system_of(made.directory.path), place / "b")
    assert not list(place.iterdir())
