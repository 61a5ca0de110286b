"""Child processes: start them, watch them, restart them with backoff, stop them in order."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import redis

from mm.backoff import Backoff
from mm.facts import Lost
from mm.host.interpreter import module_command, module_environment
from mm.process import RESTARTS
from mm.store import open_client, trouble_of

#: Environment of a child: the descriptor of the pipe that ends with its parent, and the URL of the
#: server to stop then (empty when the parent does not own the server).
LEASH_FD, LEASH_SERVER = "MM_LEASH_FD", "MM_LEASH_SERVER"

#: Exit status of a supervised program that a signal has stopped in order, as shells count it. 0
#: says that its work is done.
STOPPED_STATUS = 128 + signal.SIGTERM

#: Delays before a restart, in seconds; of a child and of the server alike.
FIRST_DELAY_S, LONGEST_DELAY_S = 0.1, 2.0
#: A child that lived this long is restarted at once when it dies.
STEADY_S = 5.0
#: Seconds that a child may take to end in order.
GRACE_S = 8.0
#: Seconds that a child may take when somebody does not want to wait.
HURRY_S = 1.0
#: Seconds between two looks at a child that is to end.
STOP_TURN_S = 0.02
NOTES_KEPT = 200
#: What a child has printed is kept up to about so many bytes, and once more as ``NAME.out.1``.
MAX_OUT_BYTES = 1_000_000
#: Characters of a child's last line that a note shows.
MAX_LAST_LINE = 200


def stamped(text: str) -> str:
    """The text of an event after its time of day in UTC, as in ``12:00:00Z it happened``."""
    return f"{time.strftime('%H:%M:%SZ', time.gmtime())} {text}"


def exit_reason(code: int) -> str:
    """How a process ended, in words: ``signal 9``, ``exit status 1``, or stopped by a signal."""
    if code == STOPPED_STATUS:
        return "stopped in order by a signal from elsewhere"
    return f"signal {-code}" if code < 0 else f"exit status {code}"


@dataclass
class Child:
    """One child: its command, its process while it runs, and its restarts so far.

    ``finishes`` says that it ends by itself, with status 0, when its work is done, ``beats`` that
    the system hears of it. ``done`` is set when it has finished or was stopped from here. What its
    process prints begins at the byte ``printed_from`` of its output. ``alive_at`` is when it was
    last found alive, and ``lost`` how its last process ended and when that was last found alive.
    Instants are on the supervisor's clock.
    """

    name: str
    command: Sequence[str]
    process: subprocess.Popen[bytes] | None = None
    finishes: bool = False
    beats: bool = True
    restarts: int = 0
    done: bool = False
    backoff: Backoff = field(default_factory=lambda: Backoff(FIRST_DELAY_S, LONGEST_DELAY_S))
    started_at: float = 0.0
    printed_from: int = 0
    due_at: float = 0.0
    alive_at: float = 0.0
    lost: tuple[str, float] | None = None


@dataclass
class Supervisor:
    """Runs children as ``program ARGUMENTS`` and keeps them alive.

    A child that may finish and exits with status 0 is not restarted. After any other end that was
    not caused from here it is restarted for ever: at once if it had lived for ``STEADY_S``, else
    with backoff. What a child prints is in ``NAME.out`` in the directory ``logs``; an earlier run's
    is in ``NAME.out.1``. ``server_url`` is the server that the children stop when this process
    dies; it is empty when this process does not own a server. ``environment`` is added to that of
    the children. ``notes`` are the latest events for people, oldest first.
    """

    logs: Path
    server_url: str = ""
    program: Sequence[str] = field(default_factory=lambda: module_command("mm"))
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    environment: Mapping[str, str] = field(default_factory=dict)
    children: dict[str, Child] = field(default_factory=dict)
    notes: deque[str] = field(default_factory=lambda: deque(maxlen=NOTES_KEPT))

    def __post_init__(self) -> None:
        self._read_end, self._write_end = os.pipe()

    def note(self, text: str) -> None:
        """Add an event to the notes, with the time of day in UTC as everywhere on screen."""
        self.notes.append(stamped(text))

    def add(self, name: str, *arguments: str, finishes: bool = False, beats: bool = True) -> None:
        """Start a child that runs the program with these arguments."""
        child = Child(name, [*self.program, *arguments], finishes=finishes, beats=beats)
        self.children[name] = child
        self._set_aside_output(name)
        self._start(child)

    def _start(self, child: Child) -> None:
        """Start the child, or note why that failed and when it is tried again."""
        environment = {
            **module_environment(),
            **self.environment,
            LEASH_FD: str(self._read_end),
            LEASH_SERVER: self.server_url,
            RESTARTS: str(child.restarts),
        }
        try:
            with self._open_output(child) as out:
                child.process = subprocess.Popen(
                    child.command,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=out,
                    env=environment,
                    pass_fds=(self._read_end,),
                    start_new_session=True,
                )
        except OSError as error:
            delay_s = child.backoff.failed()
            child.due_at = self.clock() + delay_s
            self.note(
                f"{child.name} could not be started ({error.strerror or error}): tried again in"
                f" {delay_s:.1f} s, and so on for ever"
            )
        child.started_at = self.clock()

    def _output_path(self, name: str) -> Path:
        return self.logs / f"{name}.out"

    def _set_aside_output(self, name: str) -> None:
        path = self._output_path(name)
        if path.exists():
            path.replace(path.with_name(f"{path.name}.1"))

    def _open_output(self, child: Child) -> IO[bytes]:
        path = self._output_path(child.name)
        if path.exists() and path.stat().st_size > MAX_OUT_BYTES:
            self._set_aside_output(child.name)
        out = path.open("ab")
        child.printed_from = out.tell()
        return out

    def output(self, name: str) -> str:
        """What a child of this name has printed in this run, without outer blanks."""
        with contextlib.suppress(FileNotFoundError):
            return self._output_path(name).read_text(encoding="utf-8", errors="replace").strip()
        return ""

    def _last_line(self, child: Child) -> str:
        """The last line that the child's process has printed, as it can be shown."""
        try:
            with self._output_path(child.name).open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(child.printed_from, size - 4096))
                lines = file.read().decode("utf-8", "replace").split("\n")
        except OSError:
            return ""
        last = next((line for line in reversed(lines) if line.strip()), "").strip()
        shown = "".join(one if one.isprintable() else "?" for one in last)
        return shown if len(shown) <= MAX_LAST_LINE else f"{shown[:MAX_LAST_LINE]}..."

    def tick(self) -> None:
        """Note which children have ended, and restart those that are due."""
        now = self.clock()
        for child in self.children.values():
            if child.done:
                continue
            if child.process is None:
                if now >= child.due_at:
                    child.restarts += 1
                    self._start(child)
                continue
            code = child.process.poll()
            if code is not None:
                child.process = None
                self._ended(child, code, now)
            else:
                child.alive_at = now

    def _ended(self, child: Child, code: int, now: float) -> None:
        if code == 0 and child.finishes:
            child.done = True
            self.note(f"{child.name} finished")
            return
        if now - child.started_at >= STEADY_S:
            child.backoff.succeeded()
            child.due_at, when = now, "at once"
        else:
            delay_s = child.backoff.failed()
            child.due_at, when = now + delay_s, f"in {delay_s:.1f} s"
        last = self._last_line(child)
        said = f", saying {last!r}" if last else ""
        how = "ended" if code in (0, STOPPED_STATUS) else "died"
        child.lost = how, max(child.alive_at, child.started_at)
        self.note(
            f"{child.name} {how} ({exit_reason(code)}){said}: restart {child.restarts + 1} {when};"
            " it is restarted for ever"
        )

    def finished(self, prefix: str) -> bool:
        """Whether there are children whose names start so, and all of them have finished."""
        found = [child for child in self.children.values() if child.name.startswith(prefix)]
        return bool(found) and all(child.done for child in found)

    @property
    def wanted(self) -> list[str]:
        """The children that the system always hears of; publishers end by themselves."""
        lasting = (one for one in self.children.values() if not (one.done or one.finishes))
        return [child.name for child in lasting if child.beats]

    @property
    def restarts(self) -> dict[str, int]:
        """Restarts by the names of the children that take part in the system."""
        return {child.name: child.restarts for child in self.children.values() if child.beats}

    @property
    def lost(self) -> dict[str, Lost]:
        """How the process before of each restarted child ended, by child name."""
        now, children = self.clock(), self.children.values()
        return {
            child.name: Lost(child.lost[0], now - child.lost[1]) for child in children if child.lost
        }

    def stop(self, prefix: str, hurried: Callable[[], bool] = lambda: False) -> None:
        """Stop the children whose names start so, in order; kill those that outlive the grace.

        They have ``GRACE_S``, and ``HURRY_S`` from the start as soon as ``hurried`` says so.
        """
        stopping = []
        for child in self.children.values():
            if child.name.startswith(prefix) and not child.done:
                child.done = True
                if child.process is not None and child.process.poll() is None:
                    child.process.send_signal(signal.SIGTERM)
                    stopping.append((child, child.process))
        began = self.clock()
        for child, process in stopping:
            while process.poll() is None:
                grace_s = HURRY_S if hurried() else GRACE_S
                if self.clock() - began >= grace_s:
                    process.kill()
                    process.wait()
                    self.note(f"{child.name} did not stop within {grace_s:.0f} s: killed")
                else:
                    self.sleep(STOP_TURN_S)

    def close(self) -> None:
        """Stop the remaining children and close the pipe that they watch."""
        self.stop("")
        os.close(self._write_end)
        os.close(self._read_end)


def exit_with_parent(warn: Callable[[str], None]) -> None:
    """In a child: end this process, and stop the parent's server, as soon as the parent dies.

    Does nothing in a process that no supervisor started. ``warn`` gets the reason first.
    """
    given = os.environ.get(LEASH_FD)
    if given is None:
        return

    def watch() -> None:
        os.read(int(given), 1)
        warn("the process that started this one is gone: ending")
        server = os.environ.get(LEASH_SERVER)
        if server:
            client = open_client(server)
            try:
                client.shutdown(nosave=True)
            except redis.RedisError as error:
                warn(f"the server was not stopped from here: {trouble_of(error).words}")
        os._exit(4)

    threading.Thread(target=watch, name="leash", daemon=True).start()
