"""Keys from a terminal: what each sequence means, and that the terminal is as before afterwards."""

from __future__ import annotations

import contextlib
import io
import os
import termios
from collections.abc import Iterator

import pytest

from mm.terminal.keyboard import Keyboard, decode


@pytest.mark.parametrize(
    ("sent", "keys"),
    [
        ("q", ["q"]),
        ("aB/?", ["a", "B", "/", "?"]),
        ("\x1b[A\x1b[B\x1bOC\x1bOD", ["up", "down", "right", "left"]),
        ("\x1b[5~\x1b[6~\x1b[H\x1b[4~", ["page up", "page down", "home", "end"]),
        ("\r\n", ["enter", "enter"]),
        ("\x7f\b", ["backspace", "backspace"]),
        ("\x1bq", ["escape", "q"]),
        ("\x1b\x1b[A", ["escape", "up"]),
        ("é中", ["é", "中"]),
        ("\t\x01\x00a", ["a"]),
        ("\x1b[15~\x1b[1;5Cz", ["z"]),
    ],
)
def test_what_is_sent_means_keys(sent: str, keys: list[str]) -> None:
    """Letters, named keys and Escape are kept apart; other keys mean nothing."""
    assert decode(sent, final=True) == (keys, "")


@pytest.mark.parametrize("sent", ["\x1b", "\x1b[", "\x1b[1", "\x1b[1;"])
def test_a_beginning_is_kept(sent: str) -> None:
    """What may be the beginning of a sequence waits for the rest of it; alone it is Escape."""
    assert decode(f"a{sent}", final=False) == (["a"], sent)
    assert decode(sent, final=True) == (["escape"] if sent == "\x1b" else [], "")


class Line:
    """A pseudo-terminal: the end at which a person types, and the one that a program reads."""

    def __init__(self) -> None:
        self.person, self.program = os.openpty()

    @property
    def modes(self) -> int:
        """Whether lines are gathered and echoed."""
        flags: int = termios.tcgetattr(self.person)[3]
        return flags & (termios.ICANON | termios.ECHO)

    def type(self, sent: bytes) -> None:
        """Press keys."""
        os.write(self.person, sent)


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> Iterator[Line]:
    """A terminal as standard input."""
    made = Line()
    with open(made.program, closefd=False) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        yield made
    for end in (made.person, made.program):
        with contextlib.suppress(OSError):
            os.close(end)


def test_keys_come_one_by_one(line: Line) -> None:
    """Inside keys come without Enter and without an echo, afterwards all is as before."""
    before = termios.tcgetattr(line.person)
    with Keyboard() as keyboard:
        assert keyboard.ready() and line.modes == 0
        line.type(b"s\x1b[B")
        assert keyboard.read(5) == ["s", "down"]
        line.type(b"\x1b")
        assert keyboard.read(5) == ["escape"]
        line.type("é".encode()[:1])
        assert keyboard.read(5) == []
        line.type("é".encode()[1:])
        assert keyboard.read(5) == ["é"]
        assert keyboard.read(0) == []
    assert termios.tcgetattr(line.person) == before


def test_what_was_typed_before_is_dropped(line: Line) -> None:
    """Keys from before the view began do nothing: they were meant for a shell."""
    line.type(b"pwd\n")
    with Keyboard() as keyboard:
        assert keyboard.ready()
        assert keyboard.read(0.1) == []


def test_an_exception_restores_the_terminal(line: Line) -> None:
    """Whatever ends the view, lines are gathered and echoed again, and unread keys are dropped."""
    before = termios.tcgetattr(line.person)
    with pytest.raises(RuntimeError), Keyboard() as keyboard:
        assert keyboard.ready()
        line.type(b"rm -rf x\n")
        raise RuntimeError
    assert termios.tcgetattr(line.person) == before
    os.set_blocking(line.program, False)
    with pytest.raises(BlockingIOError):
        os.read(line.program, 100)


def test_a_terminal_that_was_set_back_is_taken_again(line: Line) -> None:
    """After Ctrl-Z a shell has set the terminal: the next look takes the keys again."""
    before = termios.tcgetattr(line.person)
    with Keyboard() as keyboard:
        termios.tcsetattr(line.program, termios.TCSANOW, before)
        assert line.modes
        assert keyboard.ready() and line.modes == 0
    assert termios.tcgetattr(line.person) == before


def test_a_closed_terminal_has_no_keys(line: Line) -> None:
    """When the terminal is gone there are no keys any more, and no error."""
    with Keyboard() as keyboard:
        assert keyboard.ready()
        os.close(line.person)
        assert keyboard.read(5) == []
        assert not keyboard.ready()


def test_in_the_background_the_terminal_is_left_alone(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program in the background reads no key and sets nothing: it would be stopped."""
    monkeypatch.setattr("os.tcgetpgrp", lambda fd: os.getpgrp() + 1)
    with Keyboard() as keyboard:
        assert not keyboard.ready() and line.modes


@pytest.mark.parametrize("stdin", [io.StringIO("q"), None])
def test_without_a_terminal_there_are_no_keys(
    monkeypatch: pytest.MonkeyPatch, stdin: io.StringIO | None
) -> None:
    """A file, a pipe or nothing on standard input has no keys."""
    monkeypatch.setattr("sys.stdin", stdin)
    with Keyboard() as keyboard:
        assert not keyboard.ready()
