"""The console of all commands: its width, its colours, and what it does when its reader is gone."""

from __future__ import annotations

import io
import os
import sys
from typing import IO, cast

import pytest

from mm.terminal import can_draw, make_console, print_line
from mm.terminal.console import FILE_WIDTH, Parts
from tests.terminal.drawing import drawn


class Screen(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """True."""
        return True


def on_screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    """Make standard output and error a terminal of a usual kind, 100 columns wide."""
    made = Screen()
    monkeypatch.setattr(sys, "stdout", made)
    monkeypatch.setattr(sys, "stderr", made)
    monkeypatch.setattr(os, "get_terminal_size", lambda *_: os.terminal_size((100, 30)))
    monkeypatch.setattr(Screen, "fileno", lambda _: 1)
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    return made


def test_a_terminal_has_its_own_width(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal is as wide as it is, also after it was resized; COLUMNS beats it."""
    on_screen(monkeypatch)
    console = make_console()
    assert console.width == 100
    monkeypatch.setattr(os, "get_terminal_size", lambda *_: os.terminal_size((66, 30)))
    assert console.width == 66
    monkeypatch.setenv("COLUMNS", "44")
    assert make_console().width == make_console(stderr=True).width == 44
    for unusable in ("0", "wide", ""):
        monkeypatch.setenv("COLUMNS", unusable)
        assert make_console().width == 66


def test_a_file_is_wide_enough_for_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no terminal has a width at which no column is left out."""
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    console = make_console()
    assert console.width == FILE_WIDTH
    assert not can_draw(console)


@pytest.mark.parametrize("term", ["dumb", "unknown", "", None])
def test_a_dumb_terminal_keeps_its_width(monkeypatch: pytest.MonkeyPatch, term: str | None) -> None:
    """On a terminal that cannot move its cursor no picture is drawn, and its width is heeded."""
    on_screen(monkeypatch)
    assert can_draw(make_console())
    monkeypatch.delenv("TERM")
    if term is not None:
        monkeypatch.setenv("TERM", term)
    console = make_console()
    assert not can_draw(console)
    assert console.width == 100


def test_no_color_is_heeded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Colours are for terminals, and not for those whose user has set NO_COLOR."""
    screen = on_screen(monkeypatch)
    make_console().print("late", style="yellow")
    assert "\x1b[33m" in screen.getvalue()
    monkeypatch.setenv("NO_COLOR", "1")
    screen.truncate(0)
    make_console().print("late", style="yellow")
    assert "\x1b[33m" not in screen.getvalue()


def test_a_reader_that_is_gone_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the reader of a pipe is gone the console is quiet; printing goes on without an error."""
    read_end, write_end = os.pipe()
    with os.fdopen(write_end, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", cast(IO[str], pipe))
        console = make_console()
        quiet = []
        for end in (None, read_end, None):
            if end is not None:
                os.close(end)
            console.print("a line")
            quiet.append(console.quiet)
        assert quiet == [False, True, True]


def test_a_status_line_breaks_between_its_parts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On a terminal a long line breaks between its parts; in a file it stays one line."""
    screen = on_screen(monkeypatch)
    text = "orders 1,200 (30/s)  quotes 8/8  long 100/100"
    assert drawn(Parts(text), 33) == ["orders 1,200 (30/s)  quotes 8/8", "long 100/100"]
    assert drawn(Parts(text), 20) == ["orders 1,200 (30/s)", "quotes 8/8", "long 100/100"]
    monkeypatch.setenv("COLUMNS", "33")
    print_line(make_console(), text)
    assert screen.getvalue().count("\n") == 2
    file = io.StringIO()
    monkeypatch.setattr(sys, "stdout", file)
    print_line(make_console(), text)
    assert file.getvalue() == f"{text}\n"
