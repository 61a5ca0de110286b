"""A pseudo-terminal with a screen, in which the tests run commands and press keys."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios

import pyte

from tests.kit import wait_for
from tests.kit.commands import MM


class Terminal:
    """A command in a terminal of ``columns`` x ``rows``, and what is on its screen.

    ``written`` is all that it has written. ``stdin`` is the terminal, unless a file is given.
    """

    def __init__(
        self,
        columns: int,
        rows: int,
        arguments: list[str],
        leash: int,
        stdin: int | None = None,
        **environment: str,
    ) -> None:
        self.written = b""
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self._master, slave = pty.openpty()
        self._before = termios.tcgetattr(slave)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        inherited = {
            name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")
        }

        def control() -> None:
            fcntl.ioctl(1, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            [*MM, *arguments],
            stdin=slave if stdin is None else stdin,
            stdout=slave,
            stderr=slave,
            env=inherited
            | {"TERM": "xterm-256color", "MM_LEASH_FD": str(leash), "MM_LEASH_SERVER": ""}
            | environment,
            pass_fds=(leash,),
            start_new_session=True,
            preexec_fn=control,  # noqa: PLW1509  # the tests of a process have one thread
        )
        os.close(slave)

    def read(self) -> str:
        """The screen's text after what has been written to it by now."""
        while select.select([self._master], [], [], 0.02)[0]:
            try:
                written = os.read(self._master, 65536)
            except OSError:  # Linux says EIO when the program has closed its end
                break
            if not written:
                break
            self.written += written
            self._stream.feed(written)
        return "\n".join(self.screen.display)

    def shows(self, *words: str, timeout_s: float = 30) -> str:
        """Wait until all the words stand on the screen together; its text then."""
        text = ""

        def seen() -> bool:
            nonlocal text
            text = self.read()
            return all(word in text for word in words)

        wait_for(f"{words} on the screen", seen, timeout_s)
        return text

    def press(self, keys: str) -> None:
        """Press keys: letters, or the sequences that a terminal sends."""
        os.write(self._master, keys.encode())

    def restored(self) -> bool:
        """Whether it has the ordinary screen, its cursor, and the modes that it had before."""
        modes = termios.tcgetattr(self._master)
        return modes == self._before and all(
            self.written.rfind(end) > self.written.rfind(begin)
            for begin, end in ((b"\x1b[?1049h", b"\x1b[?1049l"), (b"\x1b[?25l", b"\x1b[?25h"))
        )

    @property
    def has_keys(self) -> bool:
        """Whether the program takes each key as it is pressed, without an echo."""
        return not termios.tcgetattr(self._master)[3] & (termios.ICANON | termios.ECHO)

    def interrupt(self) -> int:
        """Send SIGINT; the exit status, and the screen read to its end."""
        self.process.send_signal(signal.SIGINT)
        return self.end()

    def end(self) -> int:
        """Wait for the end; the exit status, and the screen read to its end."""
        wait_for("the end", lambda: (self.read(), self.process.poll() is not None)[1], 40)
        self.read()
        return self.process.returncode

    def close(self) -> None:
        """End the program if it still runs."""
        if self.process.poll() is None:
            self.interrupt()
        os.close(self._master)
