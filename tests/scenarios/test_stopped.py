"""A stopped data directory is read by every reading command, and stays as it is byte for byte."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import redis
from redis.exceptions import RedisError

from mm.errors import MMError, Unavailable
from mm.facts import positions_facts
from mm.host import DataDir, Lock, ManagedCluster, Shape, reading
from mm.host.datadir import undisturbed
from mm.store import (
    Keys,
    Scripts,
    create_system,
    open_client,
    partitions_of,
    socket_url,
    take_snapshot,
)
from tests.kit import SERVERS, binary_or_skip, short_directory, small_config, wait_for
from tests.kit.answers import Cell, assert_words, run, run_all
from tests.kit.commands import MM, invoke, signalled_at
from tests.kit.crash import KillableServer, assert_same_keys, live_keys, tear, trading
from tests.kit.stopped import READERS, contents, left, own_copies, servers_in, system_of, unchanged

pytestmark = [pytest.mark.server, pytest.mark.slow]

#: Commands that change something, or send orders: they need a running system.
WRITING = [
    ["order", "AAA", "buy", "1", "100"],
    ["order", "--watch", "--client", "me"],
    ["halt", "AAA", "--why", "x"],
    ["resume", "AAA"],
    ["repair", "AAA"],
    ["watch"],
    ["exchange", "--once"],
]

#: No quote ends while a directory is compared.
LONG_MS = 600_000


@pytest.fixture
def copies(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The place of private copies, for this test alone."""
    with own_copies(monkeypatch) as place:
        yield place


@contextmanager
def left_by(made: KillableServer) -> Iterator[Path]:
    """What a killed system leaves: its directory with a stale socket, and nobody who owns it."""
    made.kill()
    with short_directory() as place:
        path = place / "d"
        shutil.copytree(made.directory.path, path, ignore=shutil.ignore_patterns("*.sock"))
        with socket.socket(socket.AF_UNIX) as gone:
            gone.bind(str(path / "redis.sock"))
        yield path


def held(positions: list[dict[str, object]]) -> list[object]:
    """What of the facts of positions does not go by quotes, which expire meanwhile."""
    return [[one[name] for name in ("symbol", "cash", "position_version")] for one in positions]


@contextmanager
def killed(server: str) -> Iterator[tuple[Path, list[object]]]:
    """The directory of a server that was killed while it traded, and the facts of its positions."""
    with trading(server) as (made, world, _):
        facts = held(positions_facts(take_snapshot(world.scripts)))
        with left_by(made) as place:
            yield place, facts


def admin_of(copies: Path) -> redis.Redis:
    """A client of the private server that may read keys of any kind."""
    (path,) = copies.glob("mm-read-*/redis.sock")
    return open_client(socket_url(path))


@SERVERS
def test_every_reading_command_reads_it(server: str, copies: Path) -> None:
    """Each says that it reads a copy, in one line, and shows what was there."""
    with killed(server) as (place, facts), unchanged(place, copies):
        for words in READERS:
            done = invoke(*words, "--json", "--data-dir", place)
            assert done.exit_code == (1 if words[0] == "status" else 0), done.output
            assert done.stderr.count("nothing runs there") == 1, done.stderr
            assert json.loads(done.stdout), done.output
            shown = invoke(*words, "--data-dir", place)
            assert "nothing runs there" in shown.stderr
            assert "TROUBLE" not in shown.output, "that it is stopped is no trouble"
            if words[0] == "status":
                assert shown.stdout.startswith("- the system is stopped: `mm up` starts it again")
        found = json.loads(invoke("positions", "--json", "--data-dir", place).stdout)
        assert held(found) == facts


@SERVERS
def test_the_copy_has_every_key(server: str, copies: Path) -> None:
    """What is read are the keys themselves, all that were acknowledged and no other."""
    with trading(server, quote_ttl_ms=LONG_MS) as (made, world, _):
        acknowledged = live_keys(world)
        with left_by(made) as place, unchanged(place, copies), reading(system_of(place)):
            world.client = admin_of(copies)
            assert_same_keys(world, "the copy", acknowledged)


@SERVERS
def test_a_torn_end(server: str, copies: Path) -> None:
    """A log that ends inside a write is read without that end; it keeps it, and this is said."""
    with trading(server, quote_ttl_ms=LONG_MS) as (made, world, _):
        acknowledged = live_keys(world)
        made.kill()
        tear(made)
        said: list[str] = []
        with left_by(made) as place, unchanged(place, copies), reading(system_of(place, said)):
            world.client = admin_of(copies)
            assert_same_keys(world, "the torn log", acknowledged)
        assert len(said) == 2 and "the end of the log is torn" in said[1], said
        # A start afterwards repairs the log itself, as ever.
        made.start()
        assert_same_keys(made.world(), "after a start", acknowledged)


def test_commands_that_change_say_that_nothing_runs(copies: Path) -> None:
    """A command that writes, or that takes part, is refused as before."""
    with killed("valkey") as (place, _), unchanged(place, copies):
        where = ["--data-dir", str(place)]
        for answer in run_all([([*words, *where], {}) for words in WRITING]):
            assert_words(answer, 1, 2)
            assert "no server" in answer.text or "No such option" in answer.text, answer
            assert "copy" not in answer.text, answer


def test_a_reader_that_is_killed(copies: Path) -> None:
    """Kill -9 at any stage of reading: no server stays, and the next reader clears the rest."""
    with killed("valkey") as (place, facts):
        before = contents(place)
        words = ["audit", "--data-dir", str(place)]
        # Right after it has made its place, while it copies or starts, and when it serves.
        for awaited in ("", "logs", "appendonlydir", "server.conf", "redis.sock"):
            stage, old = f"mm-read-*/{awaited}".rstrip("/"), set(copies.glob("mm-read-*/**"))
            ended = signalled_at(
                words,
                lambda: set(copies.glob(stage)) - old,  # noqa: B023  # it is called within the turn
                signal.SIGKILL,
                old.clear,  # a reader that ends clears the rest
            )
            assert ended.returncode == -signal.SIGKILL, ended.stderr
            wait_for("its server's end", lambda: not servers_in(copies))
            assert contents(place) == before, awaited
            assert left(copies) or awaited in ("", "redis.sock")
        done = invoke("positions", "--json", "--data-dir", place)
        assert held(json.loads(done.stdout)) == facts
        # But for an empty directory, when it was killed before it had locked it.
        assert not any(list(path.iterdir()) for path in left(copies))
        assert contents(place) == before


def test_a_reader_that_is_interrupted(copies: Path) -> None:
    """SIGTERM ends a reader with its server, and its copy is removed."""
    with killed("valkey") as (place, _), unchanged(place, copies):
        done = signalled_at(
            ["audit", "--data-dir", str(place)],
            lambda: list(copies.glob("mm-read-*/logs")),
            signal.SIGTERM,
            lambda: None,
        )
        assert done.returncode == 128 + signal.SIGTERM, done.stderr
        assert "Traceback" not in done.stderr


def test_what_has_expired_since_is_released(copies: Path) -> None:
    """Long after the kill the audit is clean: the quotes have ended, and nothing is reserved."""
    with trading("valkey", quote_ttl_ms=1_000, refresh_ms=100) as (made, world, _):
        world.maker().step()
        assert world.ranked("expiry")
        until_ms = max(world.ranked("expiry").values()) + 1_100
        wait_for("the expiry of the quotes", lambda: world.now_ms() > until_ms, 20)
        with left_by(made) as place, unchanged(place, copies):
            done = invoke("audit", "--data-dir", place)
            assert done.exit_code == 0, done.output
            with reading(system_of(place)) as scripts:
                found = take_snapshot(scripts)
                assert (found.exposure.bid_units, found.exposure.ask_units) == (0, 0)


def test_two_readers_and_a_start_at_once(copies: Path) -> None:
    """Readers read side by side; `mm up` begins beside them, and they keep what they have."""
    with killed("valkey") as (place, facts):
        with unchanged(place, copies):
            where = ["--data-dir", str(place)]
            cells: list[Cell] = [([name, *where], {}) for name in ("audit", "quotes")]
            for answer in run_all(cells * 2):
                assert_words(answer, 0)
        with reading(system_of(place)) as first, reading(system_of(place)) as second:
            answer = run("up", "--headless", "--duration", "5", *where)
            assert_words(answer, 0)
            assert "audit: ok" in answer.text, answer
            for one in (first, second):
                assert held(positions_facts(take_snapshot(one))) == facts
        with reading(system_of(place)) as after:
            kinds = {one.kind for one in take_snapshot(after).processes.values()}
            assert kinds == set(), "the readers left no trace, and `mm up` stopped in order"


def test_mm_up_waits_for_a_copy_and_a_copy_for_nobody() -> None:
    """While a directory is copied `mm up` waits; while `mm up` has it nobody copies it."""
    with short_directory() as place:
        data_dir = DataDir(place)
        data_dir.logs.mkdir()
        (place / "lock").touch()
        with undisturbed(data_dir), undisturbed(data_dir):
            up = subprocess.Popen(
                [*MM, "up", "--headless", "--duration", "0.5", "--data-dir", str(place)],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            wait_for("its try", lambda: has_open(up.pid, place / "lock"), 20)
            with pytest.raises(subprocess.TimeoutExpired):
                up.wait(0.5)
            assert not (place / "made-by").exists()
        said, _ = up.communicate(timeout=40)
        assert up.returncode == 0, said
        with Lock(data_dir), pytest.raises(Unavailable), undisturbed(data_dir):
            raise AssertionError("it was copied under its owner's hands")


def has_open(pid: int, path: Path) -> bool:
    """Whether the process has the file open."""
    for one in Path(f"/proc/{pid}/fd").iterdir():
        # It may be closed at any moment.
        with suppress(OSError):
            if one.samefile(path):
                return True
    return False


def test_what_cannot_be_read(copies: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory that never ran, a damaged log, and a full disk: each is said, nothing changes."""
    with short_directory() as empty:
        done = invoke("status", "--data-dir", empty)
        assert done.exit_code == 1 and "no server runs there" in done.stderr
    with killed("valkey") as (place, _):
        with monkeypatch.context() as patch, unchanged(place, copies):
            usage = shutil.disk_usage(place)
            patch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1_000_000))
            done = invoke("status", "--data-dir", place)
            assert done.exit_code == 1 and "TMPDIR" in done.stderr, done.stderr
        (log,) = place.glob("appendonlydir/*.incr.aof")
        data = log.read_bytes()
        log.write_bytes(data[: len(data) // 2] + b"rubbish\r\n" + data[len(data) // 2 :])
        with unchanged(place, copies):
            done = invoke("status", "--data-dir", place)
            assert done.exit_code == 1, done.output
            assert "cannot load a copy of its log" in done.stderr
            assert "Nothing was changed." in done.stderr
            assert "mm-read-" not in done.stderr
        if os.getuid():
            log.chmod(0)
            with unchanged_names(place, copies):
                done = invoke("status", "--data-dir", place)
                assert done.exit_code == 1 and "Permission denied" in done.stderr


@contextmanager
def unchanged_names(place: Path, copies: Path) -> Iterator[None]:
    """The same for a directory with a file that this user may not read."""
    before = sorted(place.rglob("*"))
    yield
    assert sorted(place.rglob("*")) == before
    assert not left(copies)


def test_another_prefix_and_another_system(copies: Path) -> None:
    """A prefix that the log does not have, and a directory that belongs to a lost system."""
    with killed("valkey") as (place, _):
        done = invoke("status", "--prefix", "{no}", "--data-dir", place)
        assert done.exit_code == 1 and "{no}" in done.stderr, done.stderr
        (place / "system-id").write_text("{mm} 0123456789abcdef\n")
        with unchanged(place, copies):
            done = invoke("status", "--data-dir", place)
            assert done.exit_code == 1 and "0123456789abcdef" in done.stderr, done.stderr


@SERVERS
def test_a_cluster_after_a_failover(server: str, copies: Path) -> None:
    """The copy of a cluster has what its newest primaries had, on ports of its own."""
    with short_directory() as place:
        data_dir = DataDir(place / "d")
        data_dir.prepare()
        cluster = ManagedCluster(data_dir, Shape(2, 1), binary_or_skip(server))
        try:
            cluster.start()
            scripts = Scripts(open_client(data_dir.url), Keys())
            create_system(scripts, small_config(3, partitions=2, replicas=1))
            cluster.servers[0].kill()
            wait_for("the replica", lambda: marked(data_dir), 30)
        finally:
            cluster.kill()
        with unchanged(data_dir.path, copies):
            with reading(system_of(data_dir.path)) as found:
                first = partitions_of(found)[0].client
                assert first.hget("{mm-0}:cursors", "late") == b"1"
            done = invoke("status", "--data-dir", data_dir.path)
            assert "Partitions" in done.stdout, done.output
        with reading(system_of(data_dir.path)) as found:
            # Its ports are not those of the copy: it can start beside it.
            cluster.start()
            cluster.stop()
            assert take_snapshot(found).config.partitions == 2


def marked(data_dir: DataDir) -> bool:
    """Whether a field could be written to partition 0 now."""
    try:
        return bool(open_client(data_dir.url, tag="{mm-0}").hset("{mm-0}:cursors", "late", "1"))
    except (RedisError, MMError, OSError):
        return False
