"""How far a run of the benchmark is, and how long the rest of it takes."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.control import Control
from rich.segment import ControlType

#: Seconds that a section of the usual size takes once, and for each repeat, on a 2-core machine.
#: They are the first guess, which the measured durations replace.
GUESS_S = {
    "raw": (1.0, 1.0),
    "matching": (2.0, 2.0),
    "end-to-end": (8.0, 8.0),
    "relaxed": (7.0, 8.0),
    "latency": (5.0, 24.0),
    "symbols": (7.0, 8.0),
    "history": (80.0, 15.0),
    "load": (9.0, 30.0),
    "view": (6.0, 30.0),
    "scrape": (12.0, 30.0),
    "logs": (0.0, 50.0),
    "start": (1.0, 6.0),
    "http": (12.0, 15.0),
    "alternatives": (6.0, 14.0),
    "partitions": (0.0, 40.0),
    "replicas": (0.0, 40.0),
    "failover": (15.0, 6.0),
    "archive": (900.0, 30.0),
    "sustained": (60.0, 60.0),
}
#: What a quick run takes of that, before its own durations are known.
QUICK_SHARE = 0.2
REDRAW_S = 1.0
#: The least that is left of a step, as a share of what it has taken.
LATE_SHARE = 0.1


@dataclass(frozen=True)
class Step:
    """A part of a run: one section, with its repeats (of section sustained: its minutes)."""

    section: str
    repeats: float

    @property
    def guess_s(self) -> float:
        """The seconds that it takes, as a first guess."""
        once, each = GUESS_S[self.section]
        return once + each * self.repeats


class TimeLeft:
    """Estimates the seconds left of the steps, from the durations of those that have ended."""

    def __init__(self, steps: Sequence[Step], share: float, clock: Callable[[], float]) -> None:
        self._steps = steps
        self._share = share
        self._clock = clock
        self._began = 0.0
        self._measured: dict[str, list[float]] = defaultdict(list)
        self.index = -1

    def begin(self) -> None:
        """The next step begins, and the one before has ended."""
        now = self._clock()
        if self.index >= 0:
            self._measured[self._steps[self.index].section].append(now - self._began)
        self.index += 1
        self._began = now

    def left_s(self) -> float:
        """The seconds left. A step that takes longer than expected is taken for nearly done."""
        elapsed = self._clock() - self._began
        expected = self._expected_s(self._steps[self.index])
        current = max(expected - elapsed, LATE_SHARE * elapsed)
        return current + sum(map(self._expected_s, self._steps[self.index + 1 :]))

    def _expected_s(self, step: Step) -> float:
        """The mean duration of the same section, or the guess in the measure of all that ended."""
        if measured := self._measured.get(step.section):
            return sum(measured) / len(measured)
        took = sum(map(sum, self._measured.values()))
        guessed = sum(one.guess_s for one in self._steps[: self.index])
        return step.guess_s * (took / guessed if guessed else self._share)


class ProgressLine:
    """Shows on a console what is measured and the time left.

    With ``redraw`` it is one line that is drawn again every second, and taken away at the end of
    the ``with`` block. Otherwise each step prints a line.
    """

    def __init__(
        self,
        console: Console,
        redraw: bool,
        steps: Sequence[Step],
        *,
        quick: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console = console
        self._redraw = redraw
        self._count = len(steps)
        self._left = TimeLeft(steps, QUICK_SHARE if quick else 1.0, clock)
        self._label = ""
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._drawer = threading.Thread(target=self._draw_on, daemon=True)

    def __enter__(self) -> Self:
        if self._redraw:
            self._drawer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        if self._redraw:
            self._drawer.join()
            self._clear()

    def begin(self, label: str) -> None:
        """The next step begins; ``label`` says what it measures."""
        with self._lock:
            self._left.begin()
            self._label = label
        if self._redraw:
            self._draw()
        else:
            self._console.print(self._text(), style="dim", soft_wrap=True)

    def _text(self) -> str:
        with self._lock:
            place = f"{self._left.index + 1} of {self._count}"
            left = shown_duration(self._left.left_s())
            return f"measuring: {self._label} ({place}), {left} left"

    def _draw_on(self) -> None:
        while not self._ended.wait(REDRAW_S):
            if self._label:
                self._draw()

    def _draw(self) -> None:
        text = self._text()
        self._clear()
        # One column less than the terminal has: in the last one some terminals begin a new line.
        shown = text[: max(0, self._console.width - 1)]
        self._console.print(shown, style="dim", end="", markup=False, no_wrap=True)

    def _clear(self) -> None:
        self._console.control(Control(ControlType.CARRIAGE_RETURN, (ControlType.ERASE_IN_LINE, 2)))


def shown_duration(seconds: float) -> str:
    """An estimate in words: seconds below two minutes, then minutes."""
    if seconds < 1:
        return "a moment"
    return f"about {seconds:.0f} s" if seconds < 120 else f"about {seconds / 60:.0f} min"
