"""Bad days: what the machine, the disk, the clock, the operator and other programs may do.

Each test is a row of docs/FAILURES.md. Keys that a foreign program deletes are in
tests/scenarios/test_bad_keys.py.
"""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import redis

from mm.audit import audit
from mm.errors import DurabilityRefused, SystemRefused
from mm.exchange import BATCH, Exchange
from mm.host import DataDir, Lock
from mm.state import StateService
from mm.store import Keys, execute, open_client
from tests.hunts.log_cut import record
from tests.kit import SEEDS, Dump, Fake, World, server_ms, small_config, wait_for
from tests.kit.crash import (
    Box,
    Market,
    Running,
    all_processes,
    answered,
    assert_audited,
    assert_same_facts,
    binary_or_skip,
    box,
    bulk_orders,
    busy_config,
    facts,
)

SERVERS = pytest.mark.parametrize("server", ["valkey", "redis"])
FAKETIME = next(iter(Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), None)
pytestmark = pytest.mark.server


@contextmanager
def trading(server: str, **changes: object) -> Iterator[tuple[Box, World, Market]]:
    """A box of that server with a created system and a market that has traded a little."""
    with box(binary_or_skip(server)) as made:
        made.start()
        world = made.world(busy_config(**changes), setup=True)
        market = Market(world, SEEDS[0])
        market.trade(40)
        yield made, world, market


# --- the disk


@contextmanager
def little_disk(made: Box, how: str) -> Iterator[None]:
    """While inside, the box's server finds no room for more than a few kilobytes."""
    if how == "file size limit":
        # The kernel ends the server at the write that would pass it.
        assert made.server.process is not None
        limit = made.log.stat().st_size + 8_000
        resource.prlimit(made.server.process.pid, resource.RLIMIT_FSIZE, (limit, limit))
        yield
        return
    filler = made.directory.path / "filler"
    room = shutil.disk_usage(made.directory.path).free - 12_000
    filler.write_bytes(b"x" * room)
    try:
        yield
    finally:
        filler.unlink()


@contextmanager
def disk(how: str) -> Iterator[str | None]:
    """A place for a box: a tmpfs of 4 MB where this user may mount one."""
    if how == "file size limit":
        yield None
        return
    place = tempfile.mkdtemp(prefix="mm-")
    try:
        mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", place]
        if os.getuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
            pytest.skip("a small file system can be mounted by root only")
        try:
            yield place
        finally:
            subprocess.run(["umount", place], check=True)
    finally:
        Path(place).rmdir()


@pytest.mark.parametrize("how", ["file system of 4 MB", "file size limit"])
@SERVERS
def test_disk_full(server: str, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server ends rather than acknowledge; with room again all acknowledged is there."""
    with disk(how) as place:
        if place:
            monkeypatch.setattr("tests.kit.crash.SCRATCH", place)
        with trading(server) as (made, world, market):
            acknowledged: list[Dump] = [facts(world)]
            with little_disk(made, how):
                with pytest.raises(redis.exceptions.ConnectionError):
                    for _ in range(5_000):
                        market.step()
                        acknowledged = [facts(world)]
                process = made.server.process
                assert process is not None
                assert process.wait(10) != 0
                made.kill()
                if place and server == "redis":
                    with pytest.raises(SystemRefused, match="disk full"):
                        made.start()
            made.start()
            assert_same_facts(made.world(), f"{server} after {how}", *acknowledged)
            after = Market(made.world(), 2, ident="after")
            after.trade(20)
            after.settle()
            assert_audited(after.world, f"{server} after {how}", quiescent=True)


@SERVERS
def test_slow_disk(server: str) -> None:
    """With half a second for every fourth of a second of work nothing is lost, only late.

    The server process is stopped as a thread that waits for its fsync is: it answers nobody.
    """
    with trading(server, quote_ttl_ms=5_000, refresh_ms=1_000) as (made, world, market):
        assert made.server.process is not None
        pid = made.server.process.pid
        with Running(*all_processes(made)) as running:
            for _ in range(4):
                for _ in range(25):
                    market.send()
                os.kill(pid, signal.SIGSTOP)
                threading.Event().wait(0.5)
                os.kill(pid, signal.SIGCONT)
            wait_for("all orders answered", lambda: answered(world), 20)
            assert not running.ended
        assert_audited(world, "slow disk")


@pytest.mark.slow
@SERVERS
def test_every_fsync_slow(server: str) -> None:
    """With 30 ms added to each fsync in the kernel all orders are still answered, and exactly."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace, which delays the server's fsync, is not installed")
    with trading(server, quote_ttl_ms=5_000, refresh_ms=1_000) as (made, world, market):
        assert made.server.process is not None
        calls = "fsync,fdatasync"
        delay = [f"--inject={calls}:delay_exit=30000", f"--trace={calls}", "--output=/dev/null"]
        with subprocess.Popen(
            [strace, "--follow-forks", *delay, f"--attach={made.server.process.pid}"],
            stderr=subprocess.DEVNULL,
        ) as tracer:
            try:
                wait_for("slow writes", lambda: _write_ms(world) > 25, 10)
                with Running(*all_processes(made)) as running:
                    for _ in range(40):
                        market.send()
                    wait_for("all orders answered", lambda: answered(world), 30)
                    assert not running.ended
            finally:
                tracer.terminate()
        assert_audited(world, "slow fsync")


def _write_ms(world: World) -> float:
    before = server_ms(world.client)
    execute(world.client, "HSET", "probe", "x", "1")
    return server_ms(world.client) - before


# --- memory


@SERVERS
def test_memory_limit(server: str) -> None:
    """At the limit orders wait, fills are committed and quotes expire; lifted, all goes on."""
    with trading(server) as (made, world, market):
        market.settle()
        for number in range(20):
            world.send_raw(f"w{number}", f"c1 AAA {'buy' if number % 2 else 'sell'} 1 100")
        market.match()
        market.send()
        before = facts(world)
        orders = world.records("orders")
        world.client.config_set("maxmemory", 1)

        with pytest.raises(redis.exceptions.OutOfMemoryError):
            world.send_raw("late", "c1 AAA buy 1 100")
        with pytest.raises(redis.exceptions.OutOfMemoryError):
            market.exchange.step()
        with pytest.raises(redis.exceptions.OutOfMemoryError):
            world.scripts.place(world.proposal())
        assert world.records("orders") == orders
        assert facts(world)["{mm}:cursors"] == before["{mm}:cursors"]
        # What brings the system to rest goes on, in a process that starts only now as well.
        state = StateService(made.client, Keys(), "late")
        state.open()
        while state.step():
            pass
        for name in world.names:
            assert world.position(name)["position_version"] == int(
                world.hash("symbol:*", name)["fill_seq"]
            )
        wait_for("every quote gone", lambda: _released(state, world))
        assert_audited(world, "at the memory limit")

        world.client.config_set("maxmemory", 0)
        market.settle()
        assert answered(world)
        assert_audited(world, "with memory again", quiescent=True)


def _released(state: StateService, world: World) -> bool:
    state.beat()
    return world.reserved() == (0, 0)


# --- the log


@SERVERS
def test_log_damaged_in_its_middle(server: str) -> None:
    """Many a flipped bit is refused at the start; none changes a committed number unseen.

    What neither the server nor the audit can see is text that no invariant binds, such as a
    maker's name in an old quote event.
    """
    dice = random.Random(SEEDS[1])
    verdicts = {"refused": 0, "same": 0, "found": 0, "unbound": 0}
    with record(binary_or_skip(server), SEEDS[1], steps=80) as log:
        middle = (log.start, log.start + (log.size - log.start) * 3 // 4)
        with box(binary_or_skip(server)) as made:
            for _ in range(12 if server == "valkey" else 6):
                made.copy_log(log.path)
                offset, bit = dice.randrange(*middle), dice.randrange(8)
                data = bytearray(made.log.read_bytes())
                data[offset] ^= 1 << bit
                made.log.write_bytes(data)
                verdicts[_verdict(made, log.states[-1], f"byte {offset} bit {bit}")] += 1
    assert verdicts["refused"] > 0, verdicts


def _verdict(made: Box, truth: Dump, what: str) -> str:
    try:
        made.start()
        world = made.world()
        try:
            assert_same_facts(world, what, truth)
        except pytest.fail.Exception:
            world.scripts.expire()
            if not audit(world.scripts).ok:
                return "found"
            _assert_numbers_kept(world, truth, what)
            return "unbound"
        return "same"
    except (SystemRefused, redis.exceptions.ResponseError):
        return "refused"
    finally:
        made.kill()


def _assert_numbers_kept(world: World, truth: Dump, what: str) -> None:
    """The positions, the ledger and the reserved totals are those of before the damage."""
    for name in world.names:
        key = world.keys.member("position:*", name)
        stored, kept = facts(world).get(key), truth.get(key)
        for field in (b"net_lots", b"cash_ticks", b"position_version"):
            assert stored and kept and stored[1].get(field) == kept[1].get(field), (what, key)
    fills = world.keys.named("fills")
    ledger, kept = facts(world).get(fills), truth.get(fills)
    assert [one[1] for one in (ledger or ("", [], 0))[1]] == [
        one[1] for one in (kept or ("", [], 0))[1]
    ], what


# --- the clock


@pytest.fixture
def clocked(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Box, Path]]:
    """A Valkey whose clock follows a file: seconds to add to the machine's."""
    if FAKETIME is None:
        pytest.skip("libfaketime (Debian's package faketime), which moves the clock, is missing")
    with box(binary_or_skip("valkey")) as made:
        offset = made.directory.path / "clock"
        offset.write_text("+0")
        with monkeypatch.context() as patch:
            patch.setenv("LD_PRELOAD", str(FAKETIME))
            patch.setenv("FAKETIME_TIMESTAMP_FILE", str(offset))
            patch.setenv("FAKETIME_NO_CACHE", "1")
            patch.setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            made.start()
        yield made, offset


def _set_clock(world: World, offset: Path, seconds: int) -> None:
    due = server_ms(world.client) + (seconds - int(offset.read_text())) * 1_000
    offset.write_text(f"{seconds:+d}")
    wait_for("the clock to jump", lambda: abs(server_ms(world.client) - due) < 5_000)


def test_clock_set_back_and_forward_while_running(clocked: tuple[Box, Path]) -> None:
    """Jumps of minutes: no fill or order twice, stream ids only grow, every symbol quoted again."""
    made, offset = clocked
    world = made.world(small_config(3, limit=60, quote_ttl_ms=2_000, refresh_ms=500), setup=True)
    market = Market(world, SEEDS[0])
    with Running(*all_processes(made)) as running:
        for seconds in (0, 300, -300, 0, -600, 600):
            _set_clock(world, offset, seconds)
            for _ in range(30):
                market.send()
            wait_for("all orders answered", lambda: answered(world), 25)
            wait_for("all symbols quoted", lambda: all(map(world.quote_lots, world.names)), 25)
        assert not running.ended
    for stream in ("orders", "fills", "positions", "quotes"):
        ids = [tuple(map(int, entry.split("-"))) for entry, _ in world.stream(stream)]
        assert ids == sorted(set(ids)), stream
    seen = [report for client in ("c1", "c2") for report in world.reports(client)]
    first = [(one.order_id, one.fill_id) for one in seen if not one.duplicate and one.fill_id]
    assert len(first) == len(set(first)) == len(world.fills())
    made.server.stop()


def test_clock_set_back_revives_nothing_and_forgets_nothing(fake: Fake) -> None:
    """A swept quote stays gone, an order sent again stays a duplicate, whatever the clock says."""
    world = World(fake, small_config())
    world.propose()
    order = world.order()
    (report,) = world.trade(order)
    assert report.status == "filled"
    now = world.now_ms()
    world.drain()
    world.advance(world.config.quote_ttl_ms)
    assert world.scripts.expire().quote_ids
    for jump_ms in (-600_000, 600_000, -86_400_000):
        fake.set_ms(now + jump_ms)
        assert world.quote_lots() is None
        assert world.reserved() == (0, 0)
        assert world.trade(world.order())[0].reason in ("no_quote", "expired")
        assert world.trade(order)[0].duplicate
    assert len(world.fills()) == 1


# --- settings


@pytest.mark.parametrize(
    ("setting", "weak"),
    [
        ("appendfsync", "everysec"),
        ("appendonly", "no"),
        ("no-appendfsync-on-rewrite", "yes"),
        ("maxmemory-policy", "allkeys-lru"),
    ],
)
@pytest.mark.parametrize("server", ["valkey"])
def test_settings_weakened_at_run_time(server: str, setting: str, weak: str) -> None:
    """Every process ends with DurabilityRefused within some heartbeats, and none starts again."""
    with trading(server, quote_ttl_ms=5_000, refresh_ms=1_000) as (made, world, _):
        processes = all_processes(made)
        with Running(*processes) as running:
            names = {one.name for one in processes}
            wait_for("all live", lambda: names <= set(world.ranked("processes")))
            assert not running.ended
            world.client.config_set(setting, weak)
            wait_for("all ended", lambda: running.ended.keys() == names, 15)
        for error in running.ended.values():
            assert isinstance(error, DurabilityRefused)
            assert f"{setting} {weak}" in str(error)
        with pytest.raises(DurabilityRefused):
            Exchange(made.client, Keys()).open()


# --- crowds


@SERVERS
def test_ten_thousand_clients(server: str) -> None:
    """With 10,000 idle connections open the market trades on and a process can connect."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(10_000, hard - 500)
    if count < 1_000:
        pytest.skip(f"at most {hard} open files: too few to try")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        with trading(server) as (made, world, market), ExitStack() as crowd:
            for _ in range(count):
                one = crowd.enter_context(socket.socket(socket.AF_UNIX))
                one.connect(str(made.directory.socket))
                crowd.callback(one.close)
            wait_for(
                "all accepted", lambda: world.client.info("clients")["connected_clients"] >= count
            )
            Exchange(made.client, Keys(), "late").open()
            market.trade(60)
            market.settle()
            assert answered(world)
            assert_audited(world, f"{count} clients", quiescent=True)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.slow
@SERVERS
def test_backlog(server: str) -> None:
    """A backlog is worked off in bounded batches until the lag is zero, the stream trimmed.

    MM_BACKLOG=2000000 is the long version.
    """
    count = int(os.environ.get("MM_BACKLOG", "20000"))
    with box(binary_or_skip(server)) as made:
        made.start()
        config = small_config(
            8, limit=400, size=20, of_symbol={"position_limit_lots": 1_000}, keep_orders=count // 8
        )
        world = made.world(config, setup=True)
        market = Market(world, SEEDS[0])
        bulk_orders(world, count, SEEDS[0])
        most = 0
        while not answered(world):
            before = market.exchange.count
            market.exchange.step()
            most = max(most, market.exchange.count - before)
            market.state.step()
            market.makers[0].step()
        assert market.exchange.count == count
        assert most <= BATCH
        assert world.fills()
        assert world.client.xlen(world.keys.named("orders")) < count
        assert_audited(world, f"backlog of {count}", quiescent=True)


# --- two owners


def test_two_owners_of_one_directory(tmp_path: Path) -> None:
    """The second is refused with the first one's pid, and gets in when that one has died."""
    directory = DataDir(tmp_path / "d")
    directory.prepare()
    held = "import sys,time; from pathlib import Path; from mm.host import *\n"
    held += "lock = Lock(DataDir(Path(sys.argv[1]))); print('held', flush=True); time.sleep(60)"
    command = [sys.executable, "-c", held, str(directory.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        try:
            assert owner.stdout is not None
            assert owner.stdout.readline() == "held\n"
            with pytest.raises(SystemRefused, match=f"pid {owner.pid}"):
                Lock(directory)
            up = [sys.executable, "-m", "mm", "up", "--headless", "--data-dir", str(directory.path)]
            second = subprocess.run(up, capture_output=True, text=True, check=False, timeout=30)
            assert second.returncode != 0
            assert f"pid {owner.pid}" in second.stderr
            assert "Traceback" not in second.stderr
            assert not directory.socket.exists()
        finally:
            owner.kill()
    Lock(directory).__exit__(None, None, None)


def test_two_at_the_same_moment(tmp_path: Path) -> None:
    """Of many that ask for the directory at once exactly one gets it."""
    directory = DataDir(tmp_path / "d")
    directory.prepare()
    held: list[Lock] = []
    gate = threading.Barrier(8)

    def ask() -> None:
        gate.wait()
        try:
            held.append(Lock(directory))
        except SystemRefused:
            return

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(held) == 1
    held[0].__exit__(None, None, None)


def test_the_server_answers_its_owner_only(tmp_path: Path) -> None:
    """The managed server opens no TCP port, and its directory is closed to other users."""
    with trading("valkey") as (made, world, _):
        assert world.client.config_get("port")["port"] == "0"
        assert made.directory.path.stat().st_mode & 0o777 == 0o700
        assert open_client(made.directory.url).ping()
