"""Signals that ask for the end: what sets the event, what breaks work off, what stays ignored."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest

from mm.interrupts import (
    SAME_REQUEST_S,
    SIGNALS,
    Interrupted,
    interrupted_by_signals,
    stop_on_signals,
)


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """The handlers of this process are afterwards as they were."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def come(number: int) -> None:
    """Let a signal come to this process; it is handled when this returns."""
    os.kill(os.getpid(), number)


EACH = pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)


@EACH
def test_the_first_signal_is_remembered(number: signal.Signals) -> None:
    """Each of the signals sets the event, which a wait then finds at once."""
    stop = stop_on_signals()
    assert (stop.is_set(), stop.wait(0), stop.signal) == (False, False, None)
    stop.check()
    come(number)
    come(signal.SIGTERM)
    assert (stop.is_set(), stop.wait(), stop.wait(0), stop.signal) == (True, True, True, number)
    with pytest.raises(Interrupted, match=f"ended by {number.name}") as raised:
        stop.check()
    assert raised.value.exit_status == 128 + number


def test_a_signal_ends_a_wait() -> None:
    """A wait without an end ends when the signal comes, however often others wait."""
    stop = stop_on_signals()
    timer = threading.Timer(0.05, come, [signal.SIGHUP])
    timer.start()
    assert stop.wait()
    assert stop.wait()
    timer.join()


#: A signal comes at each line of the methods of the event.
AT_EACH_LINE = """
import signal, sys
from mm.interrupts import stop_on_signals
stop = stop_on_signals()
lines = 0
def trace(frame, event, arg):
    global lines
    lines += 1
    stop.handle(signal.SIGINT, None)
    return trace
sys.settrace(trace)
stop.wait(0.01)
stop.set()
stop.wait(None)
sys.settrace(None)
print(lines > 5, stop.is_set())
"""


def test_a_signal_may_come_at_any_instant() -> None:
    """No instant of a wait is one at which the handler waits for the wait itself."""
    done = subprocess.run(
        [sys.executable, "-c", AT_EACH_LINE], capture_output=True, text=True, timeout=20, check=True
    )
    assert done.stdout == "True True\n"


def test_a_second_request_urges(monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGINT or SIGTERM later than the first signal urges. SIGHUP and a quick echo do not."""
    now = 100.0
    monkeypatch.setattr("mm.interrupts.time.monotonic", lambda: now)
    stop = stop_on_signals()
    urged = []
    for later_s, number in (
        *((0, signal.SIGINT), (0, signal.SIGINT), (SAME_REQUEST_S, signal.SIGTERM)),
        *((0.1, signal.SIGHUP), (0, signal.SIGTERM)),
    ):
        now += later_s
        come(number)
        urged.append(stop.urged)
    assert urged == [False, False, False, False, True]
    assert stop.signal == signal.SIGINT


@EACH
def test_work_is_broken_off_at_once(number: signal.Signals) -> None:
    """In such a block the signal ends even a system call; what cleans up is left alone."""
    stop = stop_on_signals()
    cleaned = False
    timer = threading.Timer(0.05, come, [number])
    timer.start()
    with pytest.raises(Interrupted), stop.breaking_off():
        try:
            time.sleep(60)
        finally:
            come(signal.SIGTERM)
            cleaned = True
    timer.join()
    assert cleaned
    come(signal.SIGINT)
    with pytest.raises(Interrupted), stop.breaking_off():
        pytest.fail("it began after the signal")


@EACH
def test_only_the_first_signal_interrupts(number: signal.Signals) -> None:
    """The first one raises Interrupted, further ones wait for nothing, and the handlers return."""
    before = signal.getsignal(number)
    cleaned = False
    with pytest.raises(Interrupted) as raised, interrupted_by_signals():
        try:
            come(number)
        finally:
            for other in SIGNALS:
                come(other)
            cleaned = True
    assert cleaned
    assert raised.value.signal == number
    assert signal.getsignal(number) == before


class Struck:
    """An object in whose destructor a signal strikes."""

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize(
    "block",
    [interrupted_by_signals, lambda: stop_on_signals().breaking_off()],
    ids=["interrupted", "breaking off"],
)
def test_a_signal_in_a_destructor_is_not_lost(
    block: Callable[[], AbstractContextManager[None]],
) -> None:
    """Python drops what a destructor raises. The interrupt comes all the same, and once."""
    cleaned = []
    with pytest.raises(Interrupted) as caught, block():
        try:
            for _ in range(2):
                Struck()
            time.sleep(10)
        finally:
            time.sleep(0.1)
            cleaned.append(True)
    assert (caught.value.signal, cleaned) == (signal.SIGTERM, [True])


def test_what_was_ignored_stays_ignored() -> None:
    """After ``nohup`` SIGHUP is no request; SIGINT is one, though a shell's job ignores it."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stop = stop_on_signals()
    come(signal.SIGHUP)
    assert not stop.is_set()
    with interrupted_by_signals():
        come(signal.SIGHUP)
    come(signal.SIGINT)
    assert stop.signal == signal.SIGINT


#: Prints on a terminal that is closed meanwhile, and exits with 7 when nothing is raised.
PRINTER = """
import os, signal, sys, time
from mm.interrupts import stop_on_signals
stop = stop_on_signals()
print('ready', flush=True)
stop.wait(30)
print('one more line', flush=True)
sys.exit(7 if stop.signal == signal.SIGHUP else 8)
"""


def test_a_closed_terminal_takes_no_text_and_does_no_harm() -> None:
    """When the terminal is closed SIGHUP comes, and what is printed then goes nowhere."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", PRINTER])
    assert b"ready" in os.read(terminal, 100)
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 7


def test_an_open_terminal_is_printed_on() -> None:
    """SIGHUP by hand leaves the output where it is."""
    done = subprocess.run(
        [sys.executable, "-c", PRINTER.replace("stop.wait(30)", "os.kill(os.getpid(), 1)")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (7, "ready\none more line\n")
