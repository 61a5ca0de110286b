"""The consoles that all commands print on."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

#: The width of what is no terminal, such as a file: no column is left out there.
FILE_WIDTH = 250
#: The height where only the width is known; nothing but the full screen asks for it.
HEIGHT = 24
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
    # Rich asks a dumb terminal for neither, and heeds a width only together with a height.
    height = HEIGHT if width is not None else None
    # COLUMNS is already in the width. Rich would heed 0 columns.
    others = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    return _Console(stderr=stderr, width=width, height=height, highlight=False, _environ=others)


def _fixed_width(stream: IO[str], environment: Mapping[str, str]) -> int | None:
    """The width that a console must be given; None where it finds the terminal's by itself."""
    columns = environment.get("COLUMNS", "")
    if columns.isdecimal() and int(columns) > 0:
        return int(columns)
    if not stream.isatty():
        return FILE_WIDTH
    if environment.get("TERM", "").lower() in _DUMB:
        return os.get_terminal_size(stream.fileno()).columns or None
    return None


def can_draw(console: Console) -> bool:
    """Whether the console is a terminal on which a picture can be replaced by the next one."""
    return console.file.isatty() and os.environ.get("TERM", "").lower() not in _DUMB


@dataclass(frozen=True)
class Parts:
    """Text of parts with two spaces between them, of which as many as fit stand on each line.

    A part that is longer than a line breaks between words.
    """

    text: str
    style: str = ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        line = ""
        for part in self.text.split("  "):
            if line and cell_len(line) + 2 + cell_len(part) > options.max_width:
                yield Text(line, self.style)
                line = ""
            line += f"  {part}" if line else part
        yield Text(line, self.style)


def print_line(console: Console, text: str, style: str = "") -> None:
    """Print text that stays one line in a file, and on a terminal breaks between its parts."""
    if console.file.isatty():
        console.print(Parts(text, style))
    else:
        console.print(Text(text, style), soft_wrap=True)


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
