"""The loop that shows a running system: full-screen frames, or a status line now and then."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable

from rich.console import Console, RenderableType
from rich.live import Live

from mm.errors import Unavailable
from mm.store import Snapshot
from mm.terminal.screen import History, Supervision, market_screen, status_line
from mm.terminal.watch import SnapshotSource

#: Seconds from one snapshot to the next, and from one status line to the next.
FRAME_S, STATUS_S = 0.25, 2.0


class LiveView:
    """Shows what a source sees, on one console.

    ``full_screen`` draws each frame over the whole terminal; without it a status line is printed
    every ``STATUS_S``. ``beside`` gives what is shown beside the snapshot.
    """

    def __init__(
        self,
        source: SnapshotSource,
        console: Console,
        full_screen: bool,
        beside: Callable[[], Supervision],
    ) -> None:
        self._source = source
        self._console = console
        self._full_screen = full_screen
        self._beside = beside
        self._history = History()
        self._next_status = 0.0

    def run(self, stop: threading.Event, over: Callable[[], bool] = lambda: False) -> None:
        """Show the system until ``stop`` is set, or ``over()``, called at each frame, is true."""
        with self._screen() as live:
            while not stop.wait(FRAME_S) and not over():
                found = self._source.snapshot()
                if found is not None:
                    self._history.add(found)
                if live is not None:
                    live.update(self._frame(found), refresh=True)
                elif time.monotonic() >= self._next_status:
                    self._next_status = time.monotonic() + STATUS_S
                    self._print_status(found)

    def _screen(self) -> contextlib.AbstractContextManager[Live | None]:
        if not self._full_screen:
            return contextlib.nullcontext()
        return Live(console=self._console, screen=True, auto_refresh=False)

    def _frame(self, found: Snapshot | None) -> RenderableType:
        if found is None:
            return self._source.apology()
        size = self._console.size
        return market_screen(found, self._history, self._beside(), size.width, size.height)

    def _print_status(self, found: Snapshot | None) -> None:
        line = self._source.apology().plain
        if found is not None:
            line = status_line(found, self._history, self._beside())
        self._console.print(line, highlight=False, soft_wrap=True)


def run_watch(source: SnapshotSource, console: Console, stop: threading.Event) -> None:
    """Show a running system on the whole terminal until ``stop`` is set; it writes nothing.

    Raises Unavailable when there is nothing to show at the start.
    """
    if source.snapshot() is None:
        raise Unavailable(source.trouble)
    LiveView(source, console, True, source.supervision).run(stop)
