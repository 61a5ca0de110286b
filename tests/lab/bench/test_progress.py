"""The progress of a benchmark: the estimate of the time left, and how it is shown."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from mm.lab.bench import SECTIONS
from mm.lab.bench.progress import GUESS_S, ProgressLine, Step, TimeLeft, shown_duration


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def guess(section: str, repeats: float) -> float:
    """The first guess for a section."""
    return GUESS_S[section][0] + GUESS_S[section][1] * repeats


def test_every_section_has_a_guess() -> None:
    """A section without a first guess would end the run with an error."""
    assert set(GUESS_S) == set(SECTIONS)


class TestTimeLeft:
    def test_first_guess_runs_down(self) -> None:
        """Before anything has ended the guesses count, less the time since the step began."""
        clock = Clock()
        left = TimeLeft([Step("raw", 3), Step("load", 2)], 1.0, clock)
        left.begin()
        assert left.left_s() == guess("raw", 3) + guess("load", 2)
        clock.now += 1.0
        assert left.left_s() == guess("raw", 3) + guess("load", 2) - 1.0

    def test_what_has_ended_corrects_the_guesses(self) -> None:
        """A machine that takes twice as long for one section will for the next."""
        clock = Clock()
        left = TimeLeft([Step("raw", 3), Step("load", 2)], 1.0, clock)
        left.begin()
        clock.now += 2 * guess("raw", 3)
        left.begin()
        assert left.left_s() == 2 * guess("load", 2)

    def test_the_same_section_counts_as_it_was_measured(self) -> None:
        """A section that has run is expected to take the mean of its own durations."""
        clock = Clock()
        left = TimeLeft([Step("raw", 1)] * 3 + [Step("load", 1)], 1.0, clock)
        for took in (4.0, 8.0):
            left.begin()
            clock.now += took
        left.begin()
        share = 12.0 / (2 * guess("raw", 1))
        assert left.left_s() == pytest.approx(6.0 + share * guess("load", 1))

    def test_a_late_step_is_nearly_done(self) -> None:
        """A step that takes longer than expected has a tenth of that left, not nothing."""
        clock = Clock()
        left = TimeLeft([Step("raw", 1), Step("load", 1)], 1.0, clock)
        left.begin()
        clock.now += 1_000
        assert left.left_s() == 100 + guess("load", 1)

    def test_quick(self) -> None:
        """A quick run begins with a share of the guess."""
        left = TimeLeft([Step("raw", 1)], 0.5, Clock())
        left.begin()
        assert left.left_s() == guess("raw", 1) / 2


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "a moment"), (42, "about 42 s"), (600, "about 10 min")]
)
def test_shown_duration(seconds: float, words: str) -> None:
    """Seconds are named below two minutes, minutes after."""
    assert shown_duration(seconds) == words


class TestProgressLine:
    def test_lines(self) -> None:
        """Where it is no terminal each step prints a line, and nothing is drawn over another."""
        out = io.StringIO()
        clock = Clock()
        steps = [Step("raw", 1), Step("load", 1)]
        with ProgressLine(Console(file=out, width=80), False, steps, clock=clock) as progress:
            progress.begin("raw")
            clock.now += guess("raw", 1)
            progress.begin("load")
        assert out.getvalue().splitlines() == [
            f"measuring: raw (1 of 2), about {guess('raw', 1) + guess('load', 1):.0f} s left",
            f"measuring: load (2 of 2), about {guess('load', 1):.0f} s left",
        ]

    def test_one_line_on_a_terminal(self) -> None:
        """On a terminal one line is drawn again within its width, and is gone at the end."""
        out = io.StringIO()
        console = Console(file=out, width=30, force_terminal=True, color_system=None)
        steps = [Step("raw", 1), Step("load", 1)]
        with ProgressLine(console, True, steps, clock=Clock()) as progress:
            progress.begin("raw")
            progress.begin("load")
        drawn = out.getvalue()
        assert "\n" not in drawn
        pieces = drawn.split("\r\x1b[2K")
        assert pieces[1] == "measuring: raw (1 of 2), abou"
        assert "measuring: load (2 of 2)" in pieces[2]
        assert pieces[-1] == ""
