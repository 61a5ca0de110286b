"""A signal at a running `mm up`, or the end of its terminal: all is stopped in order."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import sys
import time

import pytest

from mm.consumer import CALLS
from mm.interrupts import SAME_REQUEST_S, SIGNALS
from tests.kit import wait_for
from tests.kit.commands import MM, alive, frozen
from tests.kit.running import RunningSystem
from tests.kit.stopped import left_over

pytestmark = pytest.mark.server


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_a_run_stops_in_order(system: RunningSystem, number: signal.Signals) -> None:
    """A running `mm up` says which signal it was, and ends with its account and status 0."""
    system.start()
    pids = [*system.pids().values(), system.server_pid()]
    assert system.process is not None
    system.process.send_signal(number)
    code, said = system.wait()
    assert code == 0, said
    assert f"{number.name}: stopping in order" in said
    assert "audit: ok" in said
    assert "drained" in said
    assert not [pid for pid in pids if alive(pid)]
    assert not left_over(system.data_dir)
    assert (system.data_dir / "stopped-cleanly").exists()


def test_a_second_signal_skips_the_wait(system: RunningSystem) -> None:
    """Ctrl-C again, while an exchange that hangs is waited for, ends the wait, and it says so."""
    system.start()
    pids = [*system.pids().values(), system.server_pid()]
    exchange = system.pids()["exchange-1"]
    assert system.process is not None
    with frozen(exchange):
        # Until its calls that wait in the server are used up, and orders stay unmatched.
        time.sleep(2 * CALLS / 150 + 0.5)
        system.process.send_signal(signal.SIGINT)
        time.sleep(SAME_REQUEST_S + 0.5)
        system.process.send_signal(signal.SIGINT)
        code, said = system.wait()
    assert code == 0, said
    assert "exchange-1 did not stop within 1 s: killed" in said
    assert "the wait was skipped: what was sent last is processed at the next start" in said
    assert "audit: ok" in said
    assert not [pid for pid in pids if alive(pid)]


def test_a_closed_terminal_stops_the_run_in_order(system: RunningSystem) -> None:
    """When the terminal of `mm up` is closed everything is stopped as after Ctrl-C."""
    words = [*MM, "up", "--rate", "150", "--data-dir", str(system.data_dir)]
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm"
        os.execv(sys.executable, words)
    try:

        def trades() -> bool:
            read_all(terminal)
            return bool(system.status().get("orders", 0))

        wait_for("trading", trades, 30)
        pids = [*system.pids().values(), system.server_pid()]
    finally:
        os.close(terminal)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert not [one for one in pids if alive(one)]
    assert (system.data_dir / "stopped-cleanly").exists()
    said = (system.data_dir / "logs" / "publisher-1.out").read_text()
    assert " unanswered 0;" in said
    assert not left_over(system.data_dir)


def read_all(terminal: int) -> None:
    """Read what stands on a terminal, so that its program goes on."""
    os.set_blocking(terminal, False)
    with contextlib.suppress(BlockingIOError):
        while os.read(terminal, 65_536):
            pass
