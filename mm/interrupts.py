"""Signals that ask for the end: SIGINT (Ctrl-C), SIGTERM, and SIGHUP of a terminal that is closed.

A signal that was ignored when the program started stays ignored, except SIGINT: a shell starts its
background jobs with it ignored. So ``nohup`` keeps a program running.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: A signal this soon after the first one is the same request: a terminal and a program in between
#: may both pass it on.
SAME_REQUEST_S = 1.0
#: After this time an interrupt that was dropped is raised again. By then its destructor has ended.
DROPPED_S = 0.01


class Interrupted(KeyboardInterrupt):
    """A signal broke the work off. ``signal`` is its number.

    It is no Exception, so that only what cleans up catches it.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"ended by {signal.Signals(number).name}")
        self.signal = signal.Signals(number)

    @property
    def exit_status(self) -> int:
        """The exit status that a shell gives to a program that the signal ended."""
        return 128 + self.signal


class Stop(threading.Event):
    """An event that the first signal sets; it is never cleared.

    ``signal`` is the first signal, None before it. ``urged`` says that SIGINT or SIGTERM came again
    later: somebody does not want to wait. A signal handler may set it at any instant, which a plain
    event does not allow: its lock is not for two holders in one thread.
    """

    def __init__(self) -> None:
        super().__init__()
        self.signal: signal.Signals | None = None
        self.urged = False
        self._first_s = 0.0
        self._asked = False
        self._breaks_off = False
        self._gate = threading.Lock()
        self._gate.acquire()
        self._terminals = [number for number in (1, 2) if os.isatty(number)]

    def is_set(self) -> bool:
        """Whether the end was asked for."""
        return self._asked

    def set(self) -> None:
        """Ask for the end."""
        if not self._asked:
            self._asked = True
            self._gate.release()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the request, at most ``timeout`` seconds; whether it was made."""
        if self._gate.acquire(timeout=-1 if timeout is None else max(timeout, 0)):
            self._gate.release()
        return self._asked

    def check(self) -> None:
        """Raise Interrupted if a signal has asked for the end."""
        if self.signal is not None:
            raise Interrupted(self.signal)

    @contextmanager
    def breaking_off(self) -> Iterator[None]:
        """Let the first signal raise Interrupted inside the block, at once and at any place.

        It is for work that may be broken off anywhere, such as waiting for a server's answer. Only
        the main thread may call it.
        """

        def break_off_again() -> None:
            self._breaks_off = True

        with _dropped_raised_again(break_off_again):
            self._breaks_off = True
            try:
                self.check()
                yield
            finally:
                self._breaks_off = False

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal."""
        if number == signal.SIGHUP:
            self.leave_terminal()
        if self.signal is None:
            self.signal, self._first_s = signal.Signals(number), time.monotonic()
        elif number != signal.SIGHUP and time.monotonic() - self._first_s > SAME_REQUEST_S:
            self.urged = True
        self.set()
        if self._breaks_off:
            self._breaks_off = False
            raise Interrupted(self.signal)

    def leave_terminal(self) -> None:
        """Print to nowhere from now on where the terminal is closed: the end must come in order."""
        for number in self._terminals:
            if not os.isatty(number):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, number)
                os.close(nowhere)


def stop_on_signals() -> Stop:
    """An event that SIGINT, SIGTERM and SIGHUP set from now on."""
    stop = Stop()
    _listen(stop.handle)
    return stop


@contextmanager
def interrupted_by_signals() -> Iterator[None]:
    """Let the first signal raise Interrupted in the block, so that ``with`` blocks clean up.

    Later ones are ignored until the block is left. Only the main thread may call it.
    """
    came = False

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal came
        if not came:
            came = True
            raise Interrupted(number)

    def interrupt_again() -> None:
        nonlocal came
        came = False

    before = _listen(interrupt)
    try:
        with _dropped_raised_again(interrupt_again):
            yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _dropped_raised_again(rearm: Callable[[], None]) -> Iterator[None]:
    """In the block an Interrupted that a destructor raised, which Python drops, comes once more.

    ``rearm`` is called first; the signal comes a moment later, when the destructor has ended.
    """
    report_dropped = sys.unraisablehook

    def raise_again(dropped: sys.UnraisableHookArgs) -> None:
        if not isinstance(dropped.exc_value, Interrupted):
            report_dropped(dropped)
            return
        rearm()
        send = (os.getpid(), dropped.exc_value.signal)
        threading.Timer(DROPPED_S, os.kill, send).start()

    sys.unraisablehook = raise_again
    try:
        yield
    finally:
        sys.unraisablehook = report_dropped


Handler = Callable[[int, FrameType | None], None]


def _listen(handler: Handler) -> dict[signal.Signals, Handler | int | signal.Handlers | None]:
    """Handle the signals so from now on; what handled them before."""
    before = {}
    for number in SIGNALS:
        found = signal.getsignal(number)
        if found != signal.SIG_IGN or number == signal.SIGINT:
            before[number] = found
            signal.signal(number, handler)
    return before
