"""`mm up` end to end: start, trade, audit, stop; whatever is killed, it goes on with its data."""

from __future__ import annotations

import os
import re
import shutil
import signal
import threading
from functools import partial
from pathlib import Path

import pytest

from mm.host import DataDir, ManagedServer, allocator
from mm.store import Keys, execute, open_client
from tests.kit import Real, World, binary_or_skip, server_binary, small_config, wait_for
from tests.kit.commands import alive, run_mm
from tests.kit.running import RunningSystem
from tests.kit.tapes import trades

pytestmark = pytest.mark.server

INVARIANTS = (
    "one-quote",
    "exposure-bounded",
    "exposure-exact",
    "ledger-dense",
    "position-exact",
    "fills-within-quote",
    "order-once",
    "gate-kept",
    "position-limited",
    "drained",
)


@pytest.fixture(params=["valkey", "redis"])
def server(request: pytest.FixtureRequest) -> list[str]:
    """The options of `mm up` that choose each server in turn."""
    binary = binary_or_skip(request.param)
    return [] if request.param == "valkey" else ["--server", str(binary)]


def audited(said: str) -> None:
    """Require that the final words hold a clean audit of every invariant."""
    assert "audit: ok" in said, said
    for name in INVARIANTS:
        assert re.search(rf"{name} +ok", said), f"{name} not ok in:\n{said}"


def test_runs_trades_audits_stops_and_continues(system: RunningSystem, server: list[str]) -> None:
    """A run ends with a clean audit, and the next one on the same data goes on from it."""
    system.start("--duration", "4", *server)
    code, said = system.wait()
    assert code == 0, said
    audited(said)
    assert re.search(r"Z \d+ quotes? withdrawn, exposure released", said), said
    assert "reservations have expired" not in said
    first = re.search(r"publisher-1: sent (\d+)", said)
    assert first is not None and int(first[1]) > 0, said
    system.start(*server)
    status = system.status()
    assert status["orders"] > int(first[1])
    code, said = system.stop()
    assert code == 0, said
    audited(said)


def restarted(system: RunningSystem, name: str, pid: int) -> bool:
    """Whether the child lives under another pid."""
    return system.pids().get(name) not in (pid, None)


def test_a_halt_shows_in_the_exit_statuses(
    real_backend: Real, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a halted symbol `mm status` and `mm up` end with status 1 and say why, audit or not."""
    world = World(real_backend, small_config())
    key = world.keys.member("position:*", "AAA")
    execute(world.client, "HSET", key, "halted", "for a test")
    monkeypatch.setenv("MM_DATA_DIR", str(tmp_path / "data"))
    place = ["--redis-url", real_backend.server.url]
    for words in ([], ["--json"]):
        done = run_mm("status", *words, *place)
        assert done.returncode == 1
        assert "AAA is halted: for a test" in done.stdout
    ran = ["up", "--headless", "--duration=1", "--publishers=0", "--makers=0"]
    done = run_mm(*ran, *place)
    assert done.returncode == 1, done.stdout
    audited(done.stdout)
    assert "AAA is halted and not quoted: for a test" in done.stdout
    world.client.hdel(key, "halted")
    assert run_mm(*ran, *place).returncode == 0


def test_killed_children_come_back(system: RunningSystem) -> None:
    """Every child killed with -9, one after the other and then all at once, is restarted."""
    system.start()
    for name, pid in system.pids().items():
        os.kill(pid, signal.SIGKILL)
        wait_for(f"{name} restarted", partial(restarted, system, name, pid), 20)
    for pid in system.pids().values():
        os.kill(pid, signal.SIGKILL)
    system.trades_on()
    assert system.audit().ok
    code, said = system.stop()
    assert code == 0, said
    audited(said)
    assert "exchange-1 died (signal 9)" in said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_stopped_children_come_back(system: RunningSystem, number: signal.Signals) -> None:
    """A child that a signal from elsewhere stops in order is restarted, and the screen says so."""
    system.start()
    for name, pid in system.pids().items():
        os.kill(pid, number)
        wait_for(f"{name} restarted", partial(restarted, system, name, pid), 20)
    system.trades_on()
    code, said = system.stop()
    assert code == 0, said
    audited(said)
    assert "maker-1 ended (stopped in order by a signal from elsewhere): restart 1" in said


def test_status_names_what_is_absent(system: RunningSystem, server: list[str]) -> None:
    """A child of a live `mm up` that is not heard of is named, with exit status 1 meanwhile."""
    system.start(*server)
    place = ("--data-dir", str(system.data_dir))
    assert run_mm("status", *place).returncode == 0
    pid = system.pids()["maker-2"]
    os.kill(pid, signal.SIGSTOP)
    try:
        said = wait_for("the words", partial(silent, place), 20)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert "maker-2, which `mm up` runs, has been silent for" in said
    wait_for("the end", lambda: run_mm("status", *place).returncode == 0, 20)


def silent(place: tuple[str, ...]) -> str:
    """What `mm status` says once it ends with exit status 1, else empty text."""
    found = run_mm("status", *place)
    return found.stdout if found.returncode == 1 and "silent for" in found.stdout else ""


def test_a_removed_directory_is_noticed(system: RunningSystem, server: list[str]) -> None:
    """When the data directory goes away, `mm up` says within seconds what is lost, and ends."""
    system.start(*server)
    children = system.pids()
    away = system.data_dir.with_name(f"{system.data_dir.name}-away")
    system.data_dir.rename(away)
    system.data_dir.mkdir()
    try:
        code, said = system.wait()
        assert code == 1
        assert "it was removed or replaced while the system ran" in said
        assert "All processes were stopped" in said
        assert "Traceback" not in said
        assert not any(alive(pid) for pid in children.values())
    finally:
        shutil.rmtree(away)


def test_a_foreign_directory_is_refused(tmp_path: Path) -> None:
    """A directory with files of somebody else is refused, and nothing in it changes."""
    tmp_path.chmod(0o755)
    for name in ("lock", "notes.txt", "server.conf"):
        (tmp_path / name).write_text(f"my {name}")
    done = run_mm("up", "--headless", "--duration", "1", "--data-dir", str(tmp_path))
    assert done.returncode == 2
    assert "holds files that no `mm up` has written" in done.stderr
    assert sorted(one.name for one in tmp_path.iterdir()) == ["lock", "notes.txt", "server.conf"]
    assert (tmp_path / "lock").read_text() == "my lock"
    assert tmp_path.stat().st_mode & 0o777 == 0o755


def test_children_that_never_come_up(system: RunningSystem) -> None:
    """A run whose children cannot live ends with status 1, and shows their last words."""
    system.data_dir.joinpath("logs").mkdir()
    (system.data_dir / "logs" / "exchange-1.log").mkdir()
    system.start("--duration", "4", trading=False)
    code, said = system.wait()
    assert code == 1, said
    assert "exchange-1 never came up; restarts: " in said


def test_a_killed_server_comes_back(system: RunningSystem, server: list[str]) -> None:
    """The server killed with -9 twice is restarted on its data, and trading goes on."""
    system.start(*server)
    for _ in range(2):
        os.kill(system.server_pid(), signal.SIGKILL)
        wait_for("the server back", system.status, 20)
        system.trades_on()
    code, said = system.stop()
    assert code == 0, said
    audited(said)
    assert "the server died, restarting it" in said


def test_a_killed_publisher_goes_on_with_its_tape(
    system: RunningSystem, server: list[str], tmp_path: Path
) -> None:
    """A tape's publisher killed twice with -9 sends each row once; it says what it runs with."""
    lines = [f"{10 * n},XY,{'buy' if n % 2 else 'sell'},{100 + n % 3},1" for n in range(800)]
    tape = str(trades(tmp_path, *lines).path)
    system.start("--tape", tape, *server)
    for _ in range(2):
        pid = system.pids()["publisher-1"]
        os.kill(pid, signal.SIGKILL)
        wait_for("the publisher back", partial(restarted, system, "publisher-1", pid), 20)
        system.trades_on()
    code, said = system.wait()
    assert code == 0, said
    audited(said)
    assert "it defines its symbols" in said
    rest = re.search(r"publisher-1: sent (\d+)(?: from order (\d+) of the run on)?", said)
    assert rest is not None, said
    assert int(rest[1]) + int(rest[2] or 1) - 1 == 800
    assert re.search(r"\b800\W+remembered", said), said
    assert re.search(r"replay: [1-9]\d* of 800 trades filled", said), said
    assert re.search(r"tape \d\.\d s, \d+ %, \d s left", said), said
    assert "A replay is no backtest" in said
    system.start("--tape", tape, "--speed", "0", *server, trading=False)
    code, said = system.wait()
    assert code == 0, said
    assert "those that the running system has" in " ".join(said.split())
    assert re.search(r"\b1,?600\W+remembered", said), said


def test_nothing_outlives_a_killed_up(system: RunningSystem, server: list[str]) -> None:
    """When `mm up` itself is killed with -9 no child lives on, and the next one starts cleanly."""
    system.start(*server)
    pids = [*system.pids().values(), system.server_pid()]
    system.kill()
    wait_for("the end of all children", lambda: not any(map(alive, pids)))
    system.start(*server)
    code, said = system.stop()
    assert code == 0, said
    audited(said)


def test_an_orphaned_server_is_taken_over(system: RunningSystem) -> None:
    """A server that still serves a directory whose owner is gone is stopped by the next owner."""
    system.start()
    system.stop()
    binary = server_binary("valkey")
    assert binary is not None
    orphan = os.spawnv(os.P_NOWAIT, binary, [binary, str(system.data_dir / "server.conf")])
    reaper = threading.Thread(target=os.waitpid, args=(orphan, 0))
    reaper.start()
    wait_for("the orphan to serve", (system.data_dir / "redis.sock").exists)
    system.start()
    reaper.join(10)
    assert not alive(orphan)
    code, said = system.stop()
    assert code == 0, said


def crash(system: RunningSystem, server: list[str], *write: str) -> None:
    """The directory's server, started by hand, writes this and is killed."""
    managed = ManagedServer(DataDir(system.data_dir), Path(server[1]) if server else None)
    managed.start()
    client = open_client(managed.url)
    execute(client, *write)
    client.close()
    assert managed.process is not None
    managed.process.kill()
    managed.process.wait()


def test_what_a_crash_left_is_audited(system: RunningSystem, server: list[str]) -> None:
    """After an unclean stop `mm up` audits what was loaded, and starts nothing on a violation."""
    system.start(*server)
    system.stop()
    log = system.data_dir / "logs" / "exchange-1.log"
    before, totals = log.read_text(), Keys().named("exposure")
    crash(system, server, "HINCRBY", totals, "bid_units", "1")
    for _ in range(2):
        # A refusal is no reason to trust the data the next time.
        done = run_mm("up", "--headless", *server, "--duration", "1", data_dir=system.data_dir)
        assert done.returncode == 1
        assert "the audit finds exposure-exact" in done.stderr
        assert "Traceback" not in done.stderr
        assert log.read_text() == before, "an exchange was started"
    # Set right, it goes on and says that it has looked; after an orderly stop it does not look.
    crash(system, server, "HINCRBY", totals, "bid_units", "-1")
    for looked in (True, False):
        done = run_mm("up", "--headless", *server, "--duration", "2", data_dir=system.data_dir)
        assert done.returncode == 0, done.stdout
        assert ("the audit is clean" in done.stdout) is looked


def test_a_second_up_refuses(system: RunningSystem) -> None:
    """A data directory has one owner: a second `mm up` says who it is, and changes nothing."""
    system.start()
    done = run_mm("up", "--headless", "--duration", "1", data_dir=system.data_dir)
    assert done.returncode == 1
    assert "in use by another `mm up`" in done.stderr
    assert system.process is not None and str(system.process.pid) in done.stderr
    assert "Traceback" not in done.stderr
    system.trades_on()


def test_another_configuration_on_the_same_data_is_refused(system: RunningSystem) -> None:
    """The keys hold the configuration: another one is refused, naming the field and both values."""
    system.start()
    system.stop()
    changed = system.data_dir / "other.toml"
    run_mm("config", "init", str(changed))
    changed.write_text(changed.read_text().replace("limit_units = 100", "limit_units = 90"))
    done = run_mm("up", "--headless", "--config", str(changed), data_dir=system.data_dir)
    assert done.returncode == 1
    assert "limit_units stored 100 given 90" in done.stderr


def test_two_of_each_change_nothing(system: RunningSystem) -> None:
    """A second exchange and state service started by hand share the work, with a clean audit."""
    system.start()
    extra = system.start_beside("exchange", "state")
    try:
        both = {"exchange-2", "state-2"}
        wait_for("four of them", lambda: both <= system.pids().keys(), 20)
        system.trades_on()
    finally:
        for process in extra:
            process.terminate()
            assert process.wait(20) == 0
    code, said = system.stop()
    assert code == 0, said
    audited(said)


def test_the_server_has_the_best_allocator(
    system: RunningSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server runs with jemalloc where the machine has it, and else with a larger cache."""
    directory = DataDir(system.data_dir)
    directory.prepare()
    managed = ManagedServer(directory)
    managed.start()
    try:
        assert managed.process is not None
        loaded = Path(f"/proc/{managed.process.pid}/maps").read_text()
        assert ("jemalloc" in loaded) is ("LD_PRELOAD" in allocator())
    finally:
        managed.stop()
    monkeypatch.setattr("ctypes.util.find_library", lambda _: None)
    assert set(allocator()) == {"GLIBC_TUNABLES"}
