"""The loop that shows a running system: full-screen frames, or a status line every 2 s."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from redis.exceptions import RedisError
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from mm.errors import MMError, Unavailable
from mm.facts import RecoveryLog, TroubleLog
from mm.host import stamped
from mm.store import Snapshot, trouble_of
from mm.terminal.console import can_draw, print_line
from mm.terminal.controls import Controls
from mm.terminal.draw import plain
from mm.terminal.history import History
from mm.terminal.keyboard import Keyboard
from mm.terminal.keys import ModeRequest, Quit, ViewState, press
from mm.terminal.live_screen import live_screen
from mm.terminal.screen import RunStatus, market_screen, status_line
from mm.terminal.symbol_source import SymbolSource
from mm.terminal.watch import MAX_SYMBOLS, SnapshotSource

#: Seconds from one snapshot to the next, and from one status line to the next.
FRAME_S, STATUS_S = 0.25, 2.0
#: Of more symbols a snapshot is taken at every second frame only: it costs as much as two.
MANY_SYMBOLS = 60
#: Seconds for which the last snapshot stays on a full screen when none can be taken: a failover is
#: shorter, and a screen that goes blank says less than one that says since when it is old.
KEPT_S = 3.0
#: `mm watch` without a full screen ends when the system has not answered for so many seconds.
GONE_S = 15.0
#: Lines on what stopped trading that `mm watch` remembers.
NOTES_KEPT = 20


class LiveView:
    """Shows the snapshots of a source on one console.

    With ``full_screen`` each frame covers the whole terminal, and the keys of the terminal on
    standard input choose what it shows. Without it a status line is printed
    every ``STATUS_S``. A snapshot is taken twice in that time, more often while something stops
    trading. ``run_status`` returns what is shown beside the snapshot. ``say`` gets a
    line when something begins to stop trading and when it is over, when a process is back, and for
    each change of modes. Without ``controls`` the view only reads. ``silent_s`` is for how long no
    snapshot could be taken.
    """

    def __init__(
        self,
        source: SnapshotSource,
        console: Console,
        full_screen: bool,
        run_status: Callable[[], RunStatus],
        say: Callable[[str], None] = lambda text: None,
        controls: Controls | None = None,
    ) -> None:
        self._source = source
        self._console = console
        self._full_screen = full_screen
        self._run_status = run_status
        self._say = say
        self._controls = controls
        self._trouble = TroubleLog()
        self._recovery = RecoveryLog()
        self._history = History()
        self._next_status = self._next_look = 0.0
        self._answered_at = time.monotonic()
        self._answers = self._many_read = False
        self._last: Snapshot | None = None
        self._status: RunStatus | None = None
        self._keyboard = Keyboard()
        self._view = ViewState()
        self._page: SymbolSource | None = None

    @property
    def silent_s(self) -> float:
        """Seconds since the last snapshot, or since the beginning before the first one."""
        return time.monotonic() - self._answered_at

    def run(self, stop: threading.Event, over: Callable[[], bool] = lambda: False) -> None:
        """Show the system until ``stop`` is set or ``over()`` is true; each frame calls it.

        Also ends when the reader of the console is gone, and when the key `q` is pressed.
        """
        keyboard = self._keyboard if self._full_screen else contextlib.nullcontext()
        with keyboard, self._screen() as live:
            while not self._console.quiet and not self._pause(stop, live) and not over():
                if self._many_read:
                    self._many_read = False
                elif time.monotonic() >= self._next_look:
                    self._frame(live)

    def _pause(self, stop: threading.Event, live: Live | None) -> bool:
        """Wait for the next frame, and do what keys ask for meanwhile; whether it is the end.

        A key draws the same snapshot again: it asks the server nothing.
        """
        until = time.monotonic() + FRAME_S
        while live is not None and self._keyboard.ready():
            keys = self._keyboard.read(until - time.monotonic())
            if any(self._press(key) for key in keys):
                return True
            if keys and self._status is not None:
                live.update(self._screen_now(self._status), refresh=True)
            if stop.is_set() or time.monotonic() >= until:
                return stop.is_set()
        return stop.wait(until - time.monotonic())

    def _frame(self, live: Live | None) -> None:
        """Take a snapshot and show it."""
        found = self._source.snapshot(max_symbols=MAX_SYMBOLS if live else MANY_SYMBOLS)
        self._answers = found is not None
        if found is not None:
            self._answered_at = time.monotonic()
            self._last = found
            self._history.add(found)
        self._status = status = self._run_status()
        self._many_read = found is not None and len(found.symbols) > MANY_SYMBOLS
        if live is None and not status.stoppages:
            self._next_look = time.monotonic() + STATUS_S / 2
        for line in self._trouble.update(time.monotonic(), status.stoppages):
            self._say(line)
        if found is not None:
            for line in self._recovery.update(found, status.restarts, status.lost):
                self._say(line)
            self._read_page(found)
        if live is not None:
            live.update(self._screen_now(status), refresh=True)
        elif time.monotonic() >= self._next_status:
            self._next_status = time.monotonic() + STATUS_S
            self._print_status(found, status)

    def _read_page(self, found: Snapshot) -> None:
        """Read what the page of a symbol shows, only while it is open."""
        view = self._view
        if not view.page:
            self._page = None
            return
        if self._page is None or self._page.symbol != view.symbol:
            self._page = SymbolSource(self._source.scripts, view.symbol)
        self._page.update(found)

    def _press(self, key: str) -> bool:
        """Do what a key asks for; whether that is the end."""
        listing, controls = self._history.layout.listing, self._controls
        self._view, act = press(self._view, key, listing.names, listing.lines, bool(controls))
        if self._last is not None:
            # The next key may follow before the next picture.
            listing.choose(self._last, listing.lines, self._view)
        if isinstance(act, ModeRequest) and controls is not None:
            self._view = replace(self._view, message=self._change(controls, act))
        return isinstance(act, Quit)

    def _change(self, controls: Controls, request: ModeRequest) -> str:
        """Change modes; what it has done, or why not, which is said too."""
        try:
            done = "; ".join(controls.act(request))
        except (MMError, RedisError, OSError) as error:
            done = f"{request.verb} {request.symbol or 'all'}: not done: {trouble_of(error).words}"
        self._say(f"{controls.who}: {done}")
        return done

    def _screen(self) -> contextlib.AbstractContextManager[Live | None]:
        if not self._full_screen:
            return contextlib.nullcontext()
        return Live(console=self._console, screen=True, auto_refresh=False)

    def _screen_now(self, status: RunStatus) -> RenderableType:
        """The newest snapshot that is not too old, or why there is none."""
        size = self._console.size
        if self._last is None or (not self._answers and self.silent_s >= KEPT_S):
            notes = [Text(f"- {plain(note)}") for note in reversed(status.notes)]
            return Group(self._source.unavailable_text(), *notes[: size.height // 2])
        who = self._controls.who if self._controls else ""
        past = self._page.past if self._page else None
        if self._keyboard.ready():
            return live_screen(
                self._last, self._history, status, size.width, size.height, self._view, past, who
            )
        return market_screen(self._last, self._history, status, size.width, size.height)

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
    if not drawn and not stop.is_set() and view.silent_s >= GONE_S:
        raise Unavailable(f"the system has not answered for {GONE_S:.0f} s: {source.trouble}")
