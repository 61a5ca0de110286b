"""The consoles that all commands print on."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from typing import IO

from rich.console import Console
from rich.text import Text

#: The width of what is no terminal, such as a file: no column is left out there.
FILE_WIDTH = 250
_DUMB = ("", "dumb", "unknown")


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Print nothing more. The command goes on, and its exit status says what it found."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), self.file.fileno())


def make_console(stderr: bool = False) -> Console:
    """A console on standard output or error.

    Its width is that of the terminal, or ``FILE_WIDTH`` where it is none; COLUMNS beats both.
    Colours follow the terminal and NO_COLOR. Once the reader of a pipe is gone the console is
    ``quiet`` and prints nothing. Any encoding does after :func:`mm.streams.make_streams_safe`.
    """
    width = _fixed_width(sys.stderr if stderr else sys.stdout, os.environ)
    return _Console(stderr=stderr, width=width, highlight=False)


def _fixed_width(stream: IO[str], environment: Mapping[str, str]) -> int | None:
    """The width that a console must be given; None where it finds the terminal's by itself."""
    columns = environment.get("COLUMNS", "")
    if columns.isdecimal() and int(columns) > 0:
        return int(columns)
    if not stream.isatty():
        return FILE_WIDTH
    if environment.get("TERM", "").lower() in _DUMB:
        # Rich takes every dumb terminal for one of 80 columns.
        return os.get_terminal_size(stream.fileno()).columns or None
    return None


def can_draw(console: Console) -> bool:
    """Whether the console is a terminal on which a picture can be replaced by the next one."""
    return console.file.isatty() and os.environ.get("TERM", "").lower() not in _DUMB


def print_line(console: Console, text: str | Text) -> None:
    """Print text that stays one line in a file and breaks only between words on a terminal."""
    line = Text(text) if isinstance(text, str) else text
    console.print(line, soft_wrap=not console.file.isatty())


@contextlib.contextmanager
def progress(text: str, after_s: float = 1.0) -> Iterator[None]:
    """Show on standard error that something goes on, if it takes longer than ``after_s``.

    Only on a terminal: elsewhere nothing is printed.
    """
    console = make_console(stderr=True)
    if not can_draw(console):
        yield
        return
    status = console.status(text)
    timer = threading.Timer(after_s, status.start)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        status.stop()
