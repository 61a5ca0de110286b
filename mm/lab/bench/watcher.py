"""The live view beside a system that is measured."""

from __future__ import annotations

import os
import pty
import subprocess
import threading

from mm.host import module_command, module_environment
from mm.lab.bench.world import World


class Watcher:
    """``mm watch`` on a terminal of its own; ``drawn`` counts the bytes that it has drawn.

    ``pid`` is its process id.
    """

    def __init__(self, world: World) -> None:
        self._master, slave = pty.openpty()
        where = ["--data-dir", str(world.data_dir.path)]
        self.drawn = 0
        self._process = subprocess.Popen(
            [*module_command("mm"), "watch", *where],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=module_environment() | {"TERM": "xterm", "COLUMNS": "120", "LINES": "40"},
            start_new_session=True,
        )
        os.close(slave)
        self.pid = self._process.pid
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        try:
            while found := os.read(self._master, 65_536):
                self.drawn += len(found)
        except OSError:
            return  # The other side of the terminal is closed: this is the end.

    def close(self) -> None:
        """End the command."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(10)
        os.close(self._master)
