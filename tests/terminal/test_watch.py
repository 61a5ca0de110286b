"""The live view in a real terminal of a given size: what a person at the keyboard sees."""

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
import pytest

from tests.kit import wait_for
from tests.kit.commands import MM
from tests.kit.running import RunningSystem

pytestmark = pytest.mark.server


class Terminal:
    """A program in a terminal of ``columns`` x ``rows``, and what is on its screen."""

    def __init__(self, columns: int, rows: int, arguments: list[str], leash: int) -> None:
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        environment = {
            name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")
        }
        self.process = subprocess.Popen(
            [*MM, *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment
            | {"TERM": "xterm-256color", "MM_LEASH_FD": str(leash), "MM_LEASH_SERVER": ""},
            pass_fds=(leash,),
            start_new_session=True,
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

    def interrupt(self) -> int:
        """Press Ctrl-C; the exit status, and the screen read to its end."""
        self.process.send_signal(signal.SIGINT)
        wait_for("the end", lambda: (self.read(), self.process.poll() is not None)[1], 40)
        self.read()
        return self.process.returncode

    def close(self) -> None:
        """End the program if it still runs."""
        if self.process.poll() is None:
            self.interrupt()
        os.close(self._master)


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (200, 50)])
def test_up_on_a_terminal_shows_the_market(system: RunningSystem, columns: int, rows: int) -> None:
    """`mm up` shows quotes, exposure, processes and durability at 80 and at 200 columns.

    Ctrl-C ends it with the audit on the ordinary screen.
    """
    arguments = ["up", "--rate", "100", "--data-dir", str(system.data_dir)]
    terminal = Terminal(columns, rows, arguments, system.leash)
    try:
        text = terminal.shows("AAPL", "EURUSD", "durability always", "valkey", "long", "short")
        terminal.shows("granted")
        terminal.shows("exchange-1", "live")
        symbols = [line for line in text.splitlines() if line.startswith("AAPL")]
        assert len(symbols) == 1, text
        assert terminal.interrupt() == 0
        last = terminal.read()
        assert "drained" in last, last
        assert "Traceback" not in last
    finally:
        terminal.close()


def test_watch_shows_a_running_system_and_changes_nothing(system: RunningSystem) -> None:
    """`mm watch` in another terminal shows the same system, and its end leaves it trading."""
    system.start()
    terminal = Terminal(100, 30, ["watch", "--data-dir", str(system.data_dir)], system.leash)
    try:
        terminal.shows("AAPL", "durability always", "maker-2", "live")
        os.kill(system.server_pid(), signal.SIGKILL)
        system.trades_on(30)
        terminal.shows("AAPL", "durability always", "maker-2", "live")
        assert terminal.interrupt() == 0
    finally:
        terminal.close()
    system.trades_on()
