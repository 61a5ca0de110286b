"""A program that stands beside a chaos run: it takes demands, and outlives the run if need be.

A demand is a JSON object in one line of its standard input; what it answers is lines of its
standard output. ``{"stopped": [PID, ...]}`` names the processes that are stopped by SIGSTOP now.
When its input ends, the run is gone and cannot wake them: the companion kills them, and ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mm.errors import SystemRefused, TimedOut
from mm.host import module_command, module_environment

READY = "0"


class Companion:
    """The run's side: starts ``python -m MODULE ARGUMENTS``, whose errors go to ``log``."""

    def __init__(self, module: str, arguments: Sequence[str], log: Path) -> None:
        self._log = log
        self._unread = b""
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                [*module_command(module), *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=module_environment(),
                start_new_session=True,
            )
        assert self._process.stdout is not None
        os.set_blocking(self._process.stdout.fileno(), False)

    def tell(self, **demand: object) -> None:
        """Make a demand."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(demand).encode() + b"\n")
        self._process.stdin.flush()

    def lines(self) -> list[str]:
        """What it has answered since the last call; SystemRefused when it has died."""
        assert self._process.stdout is not None
        if self._process.poll() is not None:
            raise SystemRefused(f"{self._log.stem} died: see {self._log}")
        with contextlib.suppress(BlockingIOError):
            self._unread += os.read(self._process.stdout.fileno(), 4096)
        *lines, self._unread = self._unread.split(b"\n")
        return [line.decode() for line in lines]

    def await_line(self, timeout_s: float) -> str:
        """Its next answer; TimedOut and SystemRefused when there is none."""
        assert self._process.stdout is not None
        end = time.monotonic() + timeout_s
        while True:
            if found := self.lines():
                return found[0]
            if time.monotonic() > end:
                raise TimedOut(f"waited {timeout_s:g} s in vain for an answer of {self._log.stem}")
            select.select([self._process.stdout], [], [], 0.1)

    def close(self) -> None:
        """Kill it."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


async def serve(take_up: Callable[[dict[str, Any]], None]) -> None:
    """The companion's side: take up each demand until the input ends."""
    # Ctrl-C reaches every program of a terminal, but only standard input's end may end this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stopped: list[int] = []
    demands = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(demands), sys.stdin)
    answer(READY)
    while line := await demands.readline():
        demand = json.loads(line)
        if "stopped" in demand:
            stopped = demand["stopped"]
        else:
            take_up(demand)
    for pid in stopped:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def answer(line: str) -> None:
    """Print an answer at once."""
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
