"""What waits, retries (R20): slow disks, no memory, a crowd of clients, a long backlog.

Each test is a row of docs/FAILURES.md.
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
import socket
import subprocess
import threading
from contextlib import ExitStack

import pytest
import redis

from mm.exchange import BATCH, Exchange
from mm.state import StateService
from mm.store import Keys, execute
from tests.kit import (
    SEEDS,
    SERVERS,
    World,
    binary_or_skip,
    server_ms,
    small_config,
    wait_for,
)
from tests.kit.crash import (
    assert_audited,
    killable_server,
    live_keys,
    trading,
)
from tests.kit.threads import RunningProcesses, all_processes, answered
from tests.kit.trader import Trader, bulk_orders

pytestmark = pytest.mark.server


@SERVERS
def test_slow_disk(server: str) -> None:
    """With half a second for every fourth of a second of work nothing is lost, only late.

    The server process is stopped as a thread that waits for its fsync is: it answers nobody.
    """
    with trading(server, quote_ttl_ms=5_000, refresh_ms=1_000) as (made, world, trader):
        assert made.server.process is not None
        pid = made.server.process.pid
        with RunningProcesses(*all_processes(made)) as running:
            for _ in range(4):
                for _ in range(25):
                    trader.send()
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
    with trading(server, quote_ttl_ms=5_000, refresh_ms=1_000) as (made, world, trader):
        assert made.server.process is not None
        calls = "fsync,fdatasync"
        delay = [f"--inject={calls}:delay_exit=30000", f"--trace={calls}", "--output=/dev/null"]
        with subprocess.Popen(
            [strace, "--follow-forks", *delay, f"--attach={made.server.process.pid}"],
            stderr=subprocess.DEVNULL,
        ) as tracer:
            try:
                wait_for("slow writes", lambda: _write_ms(world) > 25)
                with RunningProcesses(*all_processes(made)) as running:
                    for _ in range(40):
                        trader.send()
                    wait_for("all orders answered", lambda: answered(world), 30)
                    assert not running.ended
            finally:
                tracer.terminate()
        assert_audited(world, "slow fsync")


def _write_ms(world: World) -> float:
    before = server_ms(world.client)
    execute(world.client, "HSET", "probe", "x", "1")
    return server_ms(world.client) - before


@SERVERS
def test_memory_limit(server: str) -> None:
    """At the limit orders wait, fills are committed and quotes expire; lifted, all goes on."""
    with trading(server) as (made, world, trader):
        trader.settle()
        for number in range(20):
            world.send_raw(f"w{number}", f"c1 AAA {'buy' if number % 2 else 'sell'} 1 100")
        trader.match()
        trader.send()
        before = live_keys(world)
        orders = world.records("orders")
        world.client.config_set("maxmemory", 1)

        with pytest.raises(redis.exceptions.OutOfMemoryError):
            world.send_raw("late", "c1 AAA buy 1 100")
        with pytest.raises(redis.exceptions.OutOfMemoryError):
            trader.exchange.step()
        with pytest.raises(redis.exceptions.OutOfMemoryError):
            world.scripts.place(world.proposal())
        assert world.records("orders") == orders
        assert live_keys(world)["{mm}:cursors"] == before["{mm}:cursors"]
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
        trader.settle()
        assert answered(world)
        assert_audited(world, "with memory again", quiescent=True)


def _released(state: StateService, world: World) -> bool:
    state.beat()
    return world.reserved() == (0, 0)


@SERVERS
def test_ten_thousand_clients(server: str) -> None:
    """With 10,000 idle connections open the trader trades on and a process can connect."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(10_000, hard - 500)
    if count < 1_000:
        pytest.skip(f"at most {hard} open files: too few to try")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        with trading(server) as (made, world, trader), ExitStack() as crowd:
            for _ in range(count):
                one = crowd.enter_context(socket.socket(socket.AF_UNIX))
                one.connect(str(made.directory.socket))
                crowd.callback(one.close)
            wait_for(
                "all accepted", lambda: world.client.info("clients")["connected_clients"] >= count
            )
            Exchange(made.client, Keys(), "late").open()
            trader.trade(60)
            trader.settle()
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
    with killable_server(binary_or_skip(server)) as made:
        made.start()
        config = small_config(
            8, limit=400, size=20, of_symbol={"position_limit_lots": 1_000}, keep_orders=count // 8
        )
        world = made.world(config, setup=True)
        trader = Trader(world, SEEDS[0])
        bulk_orders(world, count, SEEDS[0])
        largest = 0
        while not answered(world):
            before = trader.exchange.count
            trader.exchange.step()
            largest = max(largest, trader.exchange.count - before)
            trader.state.step()
            trader.makers[0].step()
        assert trader.exchange.count == count
        assert largest <= BATCH
        assert world.fills()
        assert world.client.xlen(world.keys.named("orders")) < count
        assert_audited(world, f"backlog of {count}", quiescent=True)
