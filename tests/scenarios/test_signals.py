"""SIGINT, SIGTERM and SIGHUP at each stage: an end in words, the right status, nothing left."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mm.host import DataDir, ManagedServer
from mm.interrupts import SIGNALS, Stop
from mm.store import open_client
from tests.kit import (
    SERVERS,
    Real,
    Server,
    World,
    binary_or_skip,
    short_directory,
    small_config,
    wait_for,
)
from tests.kit.commands import MM, alive, frozen, run_mm
from tests.kit.running import RunningSystem
from tests.kit.stopped import left_over

pytestmark = pytest.mark.server

EACH = pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
#: The longest that any answer to a signal may take; README and the reference say less.
PATIENCE_S = 60
#: A server that says what it is, and then neither serves nor ends by itself.
MUTE = """\
#!/bin/sh
if [ "$1" = --version ]; then echo "Redis server v=7.0.1 sha=0"; exit; fi
echo $$ > "$(dirname "$0")/pid"
exec sleep 600
"""


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory with a short path: sockets will lie in it."""
    with short_directory() as made:
        yield made


@pytest.fixture
def mute(place: Path) -> Path:
    """The program of a server that never answers; ``pid`` beside it has its pid."""
    (place / "bin").mkdir()
    program = place / "bin" / "redis-server"
    program.write_text(MUTE)
    program.chmod(0o755)
    return program


class Command:
    """A command as a process of its own, with its output in a file, ended with the test."""

    def __init__(self, place: Path, *words: str, ignored: bool = False) -> None:
        self._out = place / "out"

        def listen() -> None:
            signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL)

        with self._out.open("w") as out:
            self.process = subprocess.Popen(
                [*MM, *words],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=os.environ | {"TMPDIR": str(place)},
                preexec_fn=listen,  # noqa: PLW1509  # the tests of a process have one thread
            )

    @property
    def said(self) -> str:
        """What it has printed so far."""
        return self._out.read_text()

    def send(self, number: int) -> tuple[int, str]:
        """Send a signal and wait for the end; the exit status, and all that it has printed."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S), self.said


@pytest.fixture
def command(place: Path) -> Iterator[list[Command]]:
    """A list for the commands of a test; what still runs is killed afterwards."""
    started: list[Command] = []
    yield started
    for one in started:
        one.process.kill()
        one.process.wait()


def assert_broken_off(status: int, said: str, number: signal.Signals) -> None:
    """Require the exit status of a start that the signal broke off, and one line that says so."""
    assert status == 128 + number, said
    assert f"mm: ended by {number.name}; what it had started was stopped" in said
    assert "Traceback" not in said


def processes_in(data_dir: Path) -> list[str]:
    """The command lines of the processes whose arguments name the directory."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = path.read_bytes()
            if os.fsencode(data_dir) in words:
                found.append(words.decode())
    return found


@EACH
def test_a_start_whose_server_does_not_answer(
    place: Path, mute: Path, command: list[Command], number: signal.Signals
) -> None:
    """`mm up` that waits for its server ends at once, and ends that server."""
    data_dir = place / "d"
    up = Command(place, "up", "--headless", f"--server={mute}", f"--data-dir={data_dir}")
    command.append(up)
    wait_for("the server", lambda: "does not answer yet" in up.said, 30)
    pid = int((mute.parent / "pid").read_text())
    assert alive(pid)
    assert_broken_off(*up.send(number), number)
    assert not alive(pid)
    assert not left_over(data_dir)


@EACH
def test_a_start_at_a_server_that_hangs(
    place: Path, valkey_server: Server, command: list[Command], number: signal.Signals
) -> None:
    """`mm up` that waits for the answer of a server by URL ends at once and starts no process."""
    client = open_client(valkey_server.url)
    pid = client.info("server")["process_id"]
    with frozen(pid):
        words = (f"--redis-url={valkey_server.url}", f"--data-dir={place / 'd'}")
        up = Command(place, "up", "--headless", *words)
        command.append(up)
        wait_for("the start", (place / "d" / "lock").exists, 30)
        time.sleep(0.5)
        assert_broken_off(*up.send(number), number)
    assert not list((place / "d" / "logs").iterdir())
    assert client.ping()
    client.close()


@EACH
@SERVERS
def test_a_start_that_finds_a_server_that_hangs(
    place: Path, command: list[Command], server: str, number: signal.Signals
) -> None:
    """`mm up` that asks an earlier owner's server to end is broken off while that one hangs."""
    managed = ManagedServer(DataDir(place / "d"), binary_or_skip(server))
    managed.data_dir.prepare()
    managed.start()
    assert managed.process is not None
    with frozen(managed.process.pid):
        up = Command(place, "up", "--headless", f"--data-dir={place / 'd'}")
        command.append(up)
        wait_for("the start", (place / "d" / "lock").exists, 30)
        time.sleep(0.5)
        assert_broken_off(*up.send(number), number)
    assert open_client(managed.url).ping()
    managed.stop()


@EACH
def test_a_process_whose_server_hangs(
    system: RunningSystem, place: Path, command: list[Command], number: signal.Signals
) -> None:
    """A process by hand, and `mm watch`, end in order though their server answers nobody."""
    system.start()
    watch = Command(place, "watch", f"--data-dir={system.data_dir}")
    wait_for("a line", lambda: "orders" in watch.said, 30)
    other = place / "other"
    other.mkdir()
    exchange = Command(other, "exchange", "--id", "2", f"--data-dir={system.data_dir}")
    command.extend([watch, exchange])
    wait_for("the exchange", lambda: "exchange-2" in system.pids(), 30)
    with frozen(system.server_pid()):
        time.sleep(0.5)
        for one in (watch, exchange):
            status, said = one.send(number)
            assert status == 0, said
            assert "Traceback" not in said
        assert f"exchange-2: stopped in order by {number.name}" in exchange.said


def test_an_order_that_is_broken_off(
    place: Path, valkey_server: Server, command: list[Command]
) -> None:
    """Ctrl-C while an order waits for its report says that it may be executed, and its id."""
    backend = Real("valkey", valkey_server)
    World(backend, small_config())
    words = ["AAA", "buy", "1", "1.00", "--order-id=o7", f"--redis-url={valkey_server.url}"]
    order = Command(place, "order", *words)
    command.append(order)
    client = backend.client()
    wait_for("the order", lambda: client.exists("{mm}:orders"), 30)
    status, said = order.send(signal.SIGINT)
    backend.close()
    assert status == 130
    assert "ended by SIGINT while waiting for the report" in said
    assert "--order-id o7" in said
    assert "Traceback" not in said


@pytest.mark.slow
@EACH
@SERVERS
def test_a_signal_at_any_moment_of_a_start(
    place: Path, command: list[Command], server: str, number: signal.Signals
) -> None:
    """Whenever the signal comes, the end is in order or the start is broken off, and it says which.

    The data goes on from an unclean stop, so that the start has all of its stages.
    """
    data_dir = place / "d"
    binary = binary_or_skip(server)
    for tenths in (0, 3, 6, 8, 10, 12, 15, 20):
        managed = ManagedServer(DataDir(data_dir), binary)
        managed.data_dir.prepare()
        managed.start()
        managed.unclean = False
        open_client(managed.url).set(f"{{other}}:{tenths}", "x" * 1000)
        assert managed.process is not None
        managed.process.kill()
        managed.process.wait()
        for left in ("redis.sock", "server.pid"):
            (data_dir / left).unlink()
        up = Command(place, "up", "--headless", f"--server={binary}", f"--data-dir={data_dir}")
        command.append(up)
        time.sleep(tenths / 10)
        status, said = up.send(number)
        # Before it listens, while Python itself starts, the signal ends the program as ever.
        assert status in (0, 128 + number, -number), said
        assert status == -number or "Traceback" not in said
        if status == 0:
            assert "audit: ok" in said
        elif status > 0:
            assert_broken_off(status, said, number)
        wait_for("the end of all", lambda: not processes_in(data_dir))
        assert not left_over(data_dir), said
        # A start that was broken off is no reason to trust the data, unless it had audited it.
        trusted = (data_dir / "stopped-cleanly").exists()
        assert trusted is (status == 0) or "the audit is clean" in said, said


@EACH
@pytest.mark.parametrize("kind", ["exchange", "state", "maker", "publisher"])
def test_a_process_that_waits_for_its_server(
    place: Path, command: list[Command], kind: str, number: signal.Signals
) -> None:
    """A process by hand that waits for a server ends in order, and says by which signal."""
    one = Command(place, kind, f"--data-dir={place / 'd'}")
    command.append(one)
    wait_for("its first line", lambda: "waiting" in one.said, 30)
    status, said = one.send(number)
    assert status == 0, said
    assert f"{kind}-1: stopped in order by {number.name}" in said
    assert "Traceback" not in said


def test_nohup_keeps_a_program_running(place: Path, command: list[Command]) -> None:
    """Where SIGHUP was ignored at the start it stays so; SIGTERM still ends the program."""
    one = Command(place, "exchange", f"--data-dir={place / 'd'}", ignored=True)
    command.append(one)
    wait_for("its first line", lambda: "waiting" in one.said, 30)
    one.process.send_signal(signal.SIGHUP)
    time.sleep(1)
    assert one.process.poll() is None
    status, said = one.send(signal.SIGTERM)
    assert status == 0
    assert "stopped in order by SIGTERM" in said


@pytest.mark.slow
@EACH
@pytest.mark.parametrize(
    "words",
    [
        ("chaos", "--rounds=9"),
        ("flow",),
        ("bench", "--quick", "--only=raw"),
        ("bench", "--quick", "--only=raw", "--against=HEAD"),
    ],
)
def test_a_throwaway_system_that_is_just_started(
    place: Path, mute: Path, command: list[Command], words: tuple[str, ...], number: signal.Signals
) -> None:
    """What makes one ends while its server starts, and leaves no file and no process."""
    one = Command(place, *words, f"--server={mute}")
    command.append(one)
    wait_for("the server", (mute.parent / "pid").exists, 60)
    pid = int(wait_for("its pid", (mute.parent / "pid").read_text))
    status, said = one.send(number)
    assert status == 128 + number, said
    assert number.name in said
    assert "Traceback" not in said
    assert not alive(pid)
    assert {path.name for path in place.iterdir()} == {"bin", "out"}


@SERVERS
def test_a_broken_off_start_does_not_vouch_for_the_data(place: Path, server: str) -> None:
    """After a crash the data counts as unclean until it was audited, however often it is loaded."""
    data_dir = DataDir(place / "d")
    data_dir.prepare()
    managed = ManagedServer(data_dir, binary_or_skip(server))
    managed.start()
    open_client(managed.url).set("a", "b")
    managed.stop()
    managed.start()
    found = [managed.unclean]
    assert managed.process is not None
    managed.process.kill()
    managed.process.wait()
    for audited in (False, False, True, True):
        managed.start()
        found.append(managed.unclean)
        if audited:
            managed.unclean = False
        managed.stop()
    assert found == [False, True, True, True, False]


def test_a_stop_that_came_first_starts_nothing(place: Path, mute: Path) -> None:
    """A start after the signal raises before it leaves anything."""
    stop = Stop()
    data_dir = DataDir(place / "d")
    data_dir.prepare()
    managed = ManagedServer(data_dir, mute, stop=stop)
    stop.handle(signal.SIGTERM, None)
    with pytest.raises(KeyboardInterrupt):
        managed.start()
    assert not managed.running
    assert not left_over(data_dir.path)
    assert run_mm("status", data_dir=data_dir.path).returncode == 1
