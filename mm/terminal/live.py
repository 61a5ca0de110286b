"""The loop that shows a running system: full-screen frames, or a status line every 2 s."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from mm.errors import Unavailable
from mm.facts import TroubleLog
from mm.host import stamped
from mm.store import Snapshot
from mm.terminal.console import can_draw, print_line
from mm.terminal.draw import plain
from mm.terminal.screen import History, RunStatus, market_screen, status_line
from mm.terminal.watch import SnapshotSource

#: Seconds from one snapshot to the next, and from one status line to the next.
FRAME_S, STATUS_S = 0.25, 2.0
#: Seconds for which the last snapshot stays on a full screen when none can be taken: a failover is
#: shorter, and a screen that goes blank says less than one that says since when it is old.
KEPT_S = 3.0
#: `mm watch` without a full screen ends when the system has not answered for so many seconds.
GONE_S = 15.0
#: Lines on what stopped trading that `mm watch` remembers.
NOTES_KEPT = 20


class LiveView:
    """Shows the snapshots of a source on one console.

    With ``full_screen`` each frame covers the whole terminal. Without it a status line is printed
    every ``STATUS_S``. A snapshot is taken twice in that time, more often while something stops
    trading. ``run_status`` returns what is shown beside the snapshot. ``say`` gets a
    line when something begins to stop trading and when it is over. ``silent_s`` is for how long no
    snapshot could be taken.
    """

    def __init__(
        self,
        source: SnapshotSource,
        console: Console,
        full_screen: bool,
        run_status: Callable[[], RunStatus],
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._source = source
        self._console = console
        self._full_screen = full_screen
        self._run_status = run_status
        self._say = say
        self._trouble = TroubleLog()
        self._history = History()
        self._next_status = self._next_look = 0.0
        self._answered_at = time.monotonic()
        self._last: Snapshot | None = None

    @property
    def silent_s(self) -> float:
        """Seconds since the last snapshot, or since the beginning before the first one."""
        return time.monotonic() - self._answered_at

    def run(self, stop: threading.Event, over: Callable[[], bool] = lambda: False) -> None:
        """Show the system until ``stop`` is set or ``over()`` is true; each frame calls it.

        Also ends when the reader of the console is gone.
        """
        with self._screen() as live:
            while not self._console.quiet and not stop.wait(FRAME_S) and not over():
                if not self._full_screen and time.monotonic() < self._next_look:
                    continue
                found = self._source.snapshot()
                if found is not None:
                    self._answered_at = time.monotonic()
                    self._last = found
                    self._history.add(found)
                status = self._run_status()
                if not status.stoppages:
                    self._next_look = time.monotonic() + STATUS_S / 2
                for line in self._trouble.update(time.monotonic(), status.stoppages):
                    self._say(line)
                if live is not None:
                    live.update(self._frame(found, status), refresh=True)
                elif time.monotonic() >= self._next_status:
                    self._next_status = time.monotonic() + STATUS_S
                    self._print_status(found, status)

    def _screen(self) -> contextlib.AbstractContextManager[Live | None]:
        if not self._full_screen:
            return contextlib.nullcontext()
        return Live(console=self._console, screen=True, auto_refresh=False)

    def _frame(self, found: Snapshot | None, status: RunStatus) -> RenderableType:
        size = self._console.size
        if found is None and self.silent_s < KEPT_S:
            found = self._last
        if found is None:
            notes = [Text(f"- {plain(note)}") for note in reversed(status.notes)]
            return Group(self._source.unavailable_text(), *notes[: size.height // 2])
        return market_screen(found, self._history, status, size.width, size.height)

    def _print_status(self, found: Snapshot | None, status: RunStatus) -> None:
        line = self._source.unavailable_text().plain
        if found is not None:
            line = status_line(found, self._history, status)
        print_line(self._console, line)


def run_watch(source: SnapshotSource, console: Console, stop: threading.Event) -> None:
    """Show a running system until ``stop`` is set; it writes nothing to the system.

    Where the console cannot draw, it prints a status line every ``STATUS_S``. That ends when the
    reader is gone, and raises Unavailable when the system has not answered for ``GONE_S``. Raises
    Unavailable too when there is nothing to show at the start.
    """
    if source.snapshot() is None:
        raise Unavailable(source.trouble)
    drawn = can_draw(console)
    notes: deque[str] = deque(maxlen=NOTES_KEPT)

    def say(text: str) -> None:
        notes.append(stamped(text))
        if not drawn:
            print_line(console, notes[-1])

    view = LiveView(source, console, drawn, lambda: source.run_status(tuple(notes)), say)
    view.run(stop, lambda: not drawn and view.silent_s >= GONE_S)
    if not stop.is_set() and view.silent_s >= GONE_S:
        raise Unavailable(f"the system has not answered for {GONE_S:.0f} s: {source.trouble}")
