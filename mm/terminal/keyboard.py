"""The keys of the terminal on standard input: read one by one, without an echo."""

from __future__ import annotations

import codecs
import contextlib
import errno
import os
import select
import sys
import termios
from types import TracebackType

#: Escape sequences of keys, without the escape character and its ``[`` or ``O`` -> their names.
_SEQUENCES = {
    "A": "up",
    "B": "down",
    "C": "right",
    "D": "left",
    "H": "home",
    "F": "end",
    "1~": "home",
    "4~": "end",
    "5~": "page up",
    "6~": "page down",
    "7~": "home",
    "8~": "end",
}
_CONTROLS = {"\r": "enter", "\n": "enter", "\x7f": "backspace", "\b": "backspace"}
#: After an escape character the rest of a key's sequence comes within so many seconds.
ESCAPE_S = 0.05
#: The most bytes that one read takes.
MAX_BYTES = 4096


def decode(text: str, final: bool) -> tuple[list[str], str]:
    """The keys in what a terminal has sent, and what may be the beginning of another key.

    A key is a printable character, or a name: enter, backspace, escape, up, down, left, right,
    home, end, page up, page down. Other keys are left out. ``final`` says that nothing follows.
    """
    keys: list[str] = []
    at = 0
    while at < len(text):
        letter = text[at]
        if letter != "\x1b":
            key = _CONTROLS.get(letter, letter)
            keys += [key] if key.isprintable() else []
            at += 1
        elif at + 1 == len(text):
            if not final:
                return keys, text[at:]
            keys.append("escape")
            at += 1
        elif text[at + 1] not in "[O":
            keys.append("escape")
            at += 1
        else:
            end = at + 2
            while end < len(text) and text[end] in "0123456789;?<=>":
                end += 1
            if end == len(text):
                return keys, "" if final else text[at:]
            name = _SEQUENCES.get(text[at + 2 : end + 1])
            keys += [name] if name else []
            at = end + 1
    return keys, ""


class Keyboard:
    """Reads keys from the terminal on standard input while it is entered.

    Without a terminal there, or while this program is in the background, there are no keys and
    nothing of the terminal is touched. Ctrl-C and Ctrl-Z act as ever. Leaving it restores the
    terminal, and drops keys that nobody has read: the shell must not take them for a command.
    """

    def __init__(self) -> None:
        self._fd = -1
        self._gone = False
        self._before: list[object] | None = None
        self._rest = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("ignore")

    def __enter__(self) -> Keyboard:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            if sys.stdin.isatty():
                self._fd = sys.stdin.fileno()
                self.ready()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._before is not None and self._in_front():
            with contextlib.suppress(termios.error, OSError):
                termios.tcflush(self._fd, termios.TCIFLUSH)
                termios.tcsetattr(self._fd, termios.TCSANOW, self._before)  # type: ignore[arg-type]  # as tcgetattr gave it
        self._fd, self._before = -1, None

    def ready(self) -> bool:
        """Whether keys can come now; it takes them one by one from then on.

        A shell that has had the terminal in between, after Ctrl-Z, has set it back.
        """
        if self._gone or self._fd < 0 or not self._in_front():
            return False
        try:
            found = termios.tcgetattr(self._fd)
            if self._before is None:
                self._before = [*found[:6], list(found[6])]
                # What was typed before there was anything to see is meant for something else.
                termios.tcflush(self._fd, termios.TCIFLUSH)
            if found[3] & (termios.ICANON | termios.ECHO):
                found[3] &= ~(termios.ICANON | termios.ECHO)
                found[6][termios.VMIN], found[6][termios.VTIME] = 1, 0
                termios.tcsetattr(self._fd, termios.TCSANOW, found)
        except (termios.error, OSError):
            self._gone = True
            return False
        return True

    def read(self, timeout_s: float) -> list[str]:
        """The keys that were pressed; empty after ``timeout_s`` without one.

        A signal's handler runs meanwhile. Call it only while the keyboard is ``ready``.
        """
        if not self._readable(timeout_s):
            return []
        keys, rest = decode(self._rest + self._take(), final=False)
        if rest:
            # A lone escape character is a key; otherwise the rest of a sequence is on its way.
            more = self._take() if self._readable(ESCAPE_S) else ""
            found, rest = decode(rest + more, final=not more)
            keys += found
        self._rest = rest
        return keys

    def _in_front(self) -> bool:
        """Whether the terminal is there, and this program not in its background.

        There it would be stopped when it reads or sets the terminal.
        """
        try:
            return os.tcgetpgrp(self._fd) == os.getpgrp()
        except OSError as error:
            # A terminal that does not control this program has no background.
            return error.errno == errno.ENOTTY

    def _readable(self, timeout_s: float) -> bool:
        found, _, _ = select.select([self._fd], [], [], max(timeout_s, 0.0))
        return bool(found)

    def _take(self) -> str:
        """What was typed; once the terminal is closed nothing, and no keys come any more."""
        with contextlib.suppress(OSError):
            if found := os.read(self._fd, MAX_BYTES):
                return self._decoder.decode(found)
        self._gone = True
        return ""
