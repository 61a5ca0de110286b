"""A write that is acknowledged is on disk (R18): a full disk, a damaged log, weaker settings.

Each test is a row of docs/FAILURES.md. ``tests/hunts/test_log_cut.py`` cuts the log anywhere.
"""

from __future__ import annotations

import os
import random
import resource
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from mm.audit import audit
from mm.errors import DurabilityRefused, SystemRefused
from mm.exchange import Exchange
from mm.store import Keys
from tests.kit import (
    SEEDS,
    SERVERS,
    Dump,
    World,
    binary_or_skip,
    wait_for,
)
from tests.kit.crash import (
    KillableServer,
    assert_audited,
    assert_same_keys,
    killable_server,
    live_keys,
    trading,
)
from tests.kit.log import record
from tests.kit.threads import RunningProcesses, all_processes
from tests.kit.trader import Trader

pytestmark = pytest.mark.server


@contextmanager
def little_disk(made: KillableServer, how: str) -> Iterator[None]:
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
        with trading(server) as (made, world, trader):
            acknowledged: list[Dump] = [live_keys(world)]
            with little_disk(made, how):
                with pytest.raises(redis.exceptions.ConnectionError):
                    for _ in range(5_000):
                        trader.step()
                        acknowledged = [live_keys(world)]
                process = made.server.process
                assert process is not None
                assert process.wait(10) != 0
                made.kill()
                if place and server == "redis":
                    with pytest.raises(SystemRefused, match="disk full"):
                        made.start()
            made.start()
            assert_same_keys(made.world(), f"{server} after {how}", *acknowledged)
            after = Trader(made.world(), 2, ident="after")
            after.trade(20)
            after.settle()
            assert_audited(after.world, f"{server} after {how}", quiescent=True)


@SERVERS
def test_log_damaged_in_its_middle(server: str) -> None:
    """Many flipped bits are refused at the start; none changes a committed number unseen.

    What neither the server nor the audit can see is text that no invariant binds, such as a
    maker's name in an old quote event.
    """
    dice = random.Random(SEEDS[1])
    verdicts = {"refused": 0, "same": 0, "found": 0, "unbound": 0}
    with record(binary_or_skip(server), SEEDS[1], steps=80) as log:
        middle = (log.start, log.start + (log.size - log.start) * 3 // 4)
        with killable_server(binary_or_skip(server)) as made:
            for _ in range(12 if server == "valkey" else 9):
                made.copy_log(log.path)
                offset, bit = dice.randrange(*middle), dice.randrange(8)
                data = bytearray(made.log.read_bytes())
                data[offset] ^= 1 << bit
                made.log.write_bytes(data)
                verdicts[_verdict(made, log.states[-1], f"byte {offset} bit {bit}")] += 1
    assert verdicts["refused"] > 0, verdicts


def _verdict(made: KillableServer, truth: Dump, what: str) -> str:
    try:
        made.start()
        world = made.world()
        try:
            assert_same_keys(world, what, truth)
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
        stored, kept = live_keys(world).get(key), truth.get(key)
        for field in (b"net_lots", b"cash_ticks", b"position_version"):
            assert stored and kept and stored[1].get(field) == kept[1].get(field), (what, key)
    fills = world.keys.named("fills")
    ledger, kept = live_keys(world).get(fills), truth.get(fills)
    assert [one[1] for one in (ledger or ("", [], 0))[1]] == [
        one[1] for one in (kept or ("", [], 0))[1]
    ], what


@pytest.mark.parametrize(
    ("setting", "weak"),
    [
        ("appendfsync", "everysec"),
        ("appendonly", "no"),
        ("no-appendfsync-on-rewrite", "yes"),
        ("maxmemory-policy", "allkeys-lru"),
    ],
)
@SERVERS
def test_settings_weakened_at_run_time(server: str, setting: str, weak: str) -> None:
    """Every process stops working within some heartbeats, says why, and goes on with good settings.

    No process ends: a supervisor would restart it for ever. No process starts meanwhile.
    """
    with trading(server, quote_ttl_ms=5_000, refresh_ms=1_000) as (made, world, trader):
        processes = all_processes(made)
        said: dict[str, list[str]] = {one.name: [] for one in processes}
        for one in processes:
            one.say = said[one.name].append
        good = str(world.client.config_get(setting)[setting])
        with RunningProcesses(*processes) as running:
            # The trader has processes of the same names, so a heartbeat is no sign of these.
            wait_for("all joined", lambda: all(one._joined for one in processes))
            world.client.config_set(setting, weak)
            wait_for("all waiting", lambda: all(said.values()) or running.ended)
            assert not running.ended
            with pytest.raises(DurabilityRefused):
                Exchange(made.client, Keys()).open()
            trader.send()
            matched = world.hash("cursors")
            threading.Event().wait(1.0)
            assert world.hash("cursors") == matched
            world.client.config_set(setting, good)
            wait_for("the order matched", lambda: world.hash("cursors") != matched)
            wait_for("all going on", lambda: all(len(lines) == 2 for lines in said.values()))
            assert not running.ended
        for first, second in said.values():
            assert f"{setting} {weak}" in first
            assert second == "going on"
