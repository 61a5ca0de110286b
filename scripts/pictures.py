"""Draws the pictures of the documents: what real commands show, over a real market.

The market is ``mm up`` from a seed, in a directory of its own. Its state service and then its
server are killed, so that the pictures show what such a system is for. Each picture is what
the command has written to a terminal of a given size, drawn as SVG. That of the report is what a
browser shows of it, where this machine has Chromium.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.ansi import AnsiDecoder
from rich.console import Console

DOCS = Path(__file__).resolve().parent.parent / "docs"
#: Where the market lies, from where the commands run: a name that may stand in a picture.
DESK = "desk"
SEED = "7"
#: Seconds: before the first kill, between the two, and until the picture of the view.
CALM_S, BETWEEN_S, SHOWN_S = 12.0, 1.5, 6.0
#: Seconds that the market goes on for the picture of its report.
REPORTED_S = 30.0
PATIENCE_S = 60.0


@dataclass(frozen=True)
class Picture:
    """A command, the size of its terminal, and what the picture shows."""

    words: tuple[str, ...]
    columns: int
    lines: int


#: The file in docs -> what is drawn.
PICTURES = {
    "screen.svg": Picture(("mm", "up"), 120, 36),
    "explain.svg": Picture(("mm", "explain", "AAPL", "--short", "--since", "3s"), 112, 30),
    "audit.svg": Picture(("mm", "audit"), 100, 30),
}
#: A picture loads no font from anywhere.
FORMAT = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
#: What a terminal gets beside text and its style.
CONTROLS = re.compile(r"\x1b\[\?[0-9;]*[a-z]|\x1b\[[0-9;]*[A-HJKfsu]|\x1b[=>]|\r")


class Terminal:
    """A command on a terminal of a size of its own, and all that it has written there."""

    def __init__(self, picture: Picture, directory: Path) -> None:
        self._own, theirs = pty.openpty()
        size = struct.pack("HHHH", picture.lines, picture.columns, 0, 0)
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, size)
        unset = ("NO_COLOR", "COLUMNS", "LINES", "COLORTERM", "MM_DATA_DIR", "MM_REDIS_URL")
        plain = {name: value for name, value in os.environ.items() if name not in unset}
        self.process = subprocess.Popen(
            [sys.executable, "-m", *picture.words, *_options(picture.words)],
            stdin=theirs,
            stdout=theirs,
            stderr=subprocess.DEVNULL,
            cwd=directory,
            env=plain | {"TERM": "xterm-256color", "TZ": "UTC"},
            start_new_session=True,
        )
        os.close(theirs)
        self.written = b""

    def read(self, over: Callable[[], bool], longest_s: float = PATIENCE_S) -> None:
        """Read what it writes until ``over``, its end, or the longest time has come."""
        deadline = time.monotonic() + longest_s
        while time.monotonic() < deadline and not over():
            if select.select([self._own], [], [], 0.1)[0]:
                try:
                    self.written += os.read(self._own, 65_536)
                except OSError:
                    return

    def frame(self) -> str:
        """The last whole screen, or all that was written where there are no screens."""
        parts = self.written.decode("utf-8", "replace").split("\x1b[H")
        return CONTROLS.sub("", parts[-2] if len(parts) > 2 else parts[-1])


def _options(words: tuple[str, ...]) -> list[str]:
    own = ["--seed", SEED] if words[1] == "up" else []
    return [*own, "--data-dir", DESK]


def draw(name: str, written: str) -> None:
    """Write the picture of a terminal's text into docs."""
    picture = PICTURES[name]
    console = Console(
        record=True,
        width=picture.columns,
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
        legacy_windows=False,
    )
    for line in AnsiDecoder().decode(written.rstrip()):
        console.print(line, no_wrap=True, crop=True, highlight=False)
    text = console.export_svg(
        title=" ".join(picture.words), code_format=FORMAT, unique_id=name.partition(".")[0]
    )
    lines = (line.rstrip() for line in text.splitlines())
    (DOCS / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    sys.stdout.write(f"wrote docs/{name}\n")


def pids(directory: Path) -> dict[str, int]:
    """The pids of the processes, by name."""
    command = [sys.executable, "-m", "mm", "status", "--json", "--data-dir", DESK]
    done = subprocess.run(command, capture_output=True, cwd=directory, check=False)
    rows = json.loads(done.stdout or b"{}").get("processes", [])
    return {row["name"]: int(row["pid"]) for row in rows if row["pid"] is not None}


@contextlib.contextmanager
def market(directory: Path) -> Iterator[Terminal]:
    """A running market on a terminal, that is stopped in order afterwards."""
    terminal = Terminal(PICTURES["screen.svg"], directory)
    try:
        yield terminal
    finally:
        terminal.process.send_signal(signal.SIGINT)
        terminal.read(lambda: terminal.process.poll() is not None)
        terminal.process.kill()
        terminal.process.wait()


def photograph(directory: Path) -> None:
    """Write the picture of the market's report into docs."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        sys.stdout.write("docs/report.png stays as it is: no Chromium on this machine\n")
        return
    page, picture = directory / "report.html", DOCS / "report.png"
    command = [sys.executable, "-m", "mm", "report", "--data-dir", DESK, "--output", str(page)]
    subprocess.run(command, cwd=directory, check=True)
    options = ["--headless", "--no-sandbox", "--hide-scrollbars", "--virtual-time-budget=9000"]
    options += ["--window-size=1280,1010", f"--user-data-dir={directory / 'browser'}"]
    words = [browser, *options, f"--screenshot={picture}", page.as_uri()]
    subprocess.run(words, check=True, capture_output=True)
    sys.stdout.write("wrote docs/report.png\n")


def main() -> None:
    """Draw all pictures."""
    with tempfile.TemporaryDirectory(prefix="mm-") as made:
        directory = Path(made)
        with market(directory) as terminal:
            terminal.read(lambda: False, CALM_S)
            os.kill(pids(directory)["state-1"], signal.SIGKILL)
            terminal.read(lambda: False, BETWEEN_S)
            for name in ("explain.svg", "audit.svg"):
                command = Terminal(PICTURES[name], directory)
                command.read(lambda: False)
                command.process.wait()
                draw(name, command.frame())
            os.kill(int((directory / DESK / "server.pid").read_text()), signal.SIGKILL)
            terminal.read(lambda: False, SHOWN_S)
            draw("screen.svg", terminal.frame())
            terminal.read(lambda: False, REPORTED_S)
            photograph(directory)


if __name__ == "__main__":
    main()
