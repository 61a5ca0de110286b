"""Child processes: started, watched, restarted with backoff, stopped in order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import redis

from mm.store import open_client

#: Environment of a child: the pipe whose end says that its parent died, and the server to stop
#: then (empty for a server that is not ours).
LEASH_FD, LEASH_SERVER = "MM_LEASH_FD", "MM_LEASH_SERVER"

FIRST_DELAY_S = 0.1
LAST_DELAY_S = 2.0
#: A child that lived this long is restarted without delay when it dies.
STEADY_S = 5.0
NOTES_KEPT = 200


def exit_reason(code: int) -> str:
    """An exit status in words: ``signal 9`` or ``exit status 1``."""
    return f"signal {-code}" if code < 0 else f"exit status {code}"


@dataclass
class Child:
    """One child: what to run, and what has become of it."""

    name: str
    command: Sequence[str]
    process: subprocess.Popen[bytes] | None = None
    restarts: int = 0
    done: bool = False
    delay_s: float = FIRST_DELAY_S
    started_at: float = 0.0
    due_at: float = 0.0


@dataclass
class Supervisor:
    """Runs children as ``python -m mm ...`` and keeps them alive.

    A child that exits with status 0 has finished and stays so; any other end restarts it, at once
    if it had been steady, else after a delay that doubles up to 2 s, for ever. ``server_url`` is
    the server that orphaned children shut down, empty if it is not ours. Times are those of
    ``time.monotonic``.
    """

    logs: Path
    server_url: str = ""
    children: dict[str, Child] = field(default_factory=dict)
    notes: deque[str] = field(default_factory=lambda: deque(maxlen=NOTES_KEPT))

    def __post_init__(self) -> None:
        self._read_end, self._write_end = os.pipe()

    def note(self, text: str) -> None:
        """Keep something worth showing, with the time of day (UTC, like all times on screen)."""
        self.notes.append(f"{time.strftime('%H:%M:%S', time.gmtime())} {text}")

    def add(self, name: str, *arguments: str) -> None:
        """Start a child that runs ``mm`` with these arguments."""
        child = Child(name, [sys.executable, "-m", "mm", *arguments])
        self.children[name] = child
        self._start(child)

    def _start(self, child: Child) -> None:
        environment = os.environ | {
            LEASH_FD: str(self._read_end),
            LEASH_SERVER: self.server_url,
            "MM_RESTARTS": str(child.restarts),
        }
        with (self.logs / f"{child.name}.out").open("ab") as out:
            child.process = subprocess.Popen(
                child.command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=environment,
                pass_fds=(self._read_end,),
                start_new_session=True,
            )
        child.started_at = time.monotonic()

    def tick(self) -> None:
        """Notice who has ended, and restart who is due."""
        now = time.monotonic()
        for child in self.children.values():
            if child.done:
                continue
            if child.process is None:
                if now >= child.due_at:
                    child.restarts += 1
                    self._start(child)
                continue
            code = child.process.poll()
            if code is None:
                continue
            child.process = None
            if code == 0:
                child.done = True
                self.note(f"{child.name} finished")
                continue
            steady = now - child.started_at >= STEADY_S
            child.delay_s = FIRST_DELAY_S if steady else min(2 * child.delay_s, LAST_DELAY_S)
            child.due_at = now if steady else now + child.delay_s
            when = "at once" if steady else f"in {child.delay_s:.1f} s"
            self.note(f"{child.name} died ({exit_reason(code)}), restarting {when}")

    def finished(self, prefix: str) -> bool:
        """Whether there are children of this name prefix and all of them have finished."""
        found = [child for child in self.children.values() if child.name.startswith(prefix)]
        return bool(found) and all(child.done for child in found)

    @property
    def restarts(self) -> dict[str, int]:
        """Restarts by child name."""
        return {child.name: child.restarts for child in self.children.values()}

    def stop(self, prefix: str, grace_s: float = 8.0) -> None:
        """Stop the children of this name prefix in order; kill those that do not end in time."""
        stopping = []
        for child in self.children.values():
            if child.name.startswith(prefix) and not child.done:
                child.done = True
                if child.process is not None and child.process.poll() is None:
                    child.process.send_signal(signal.SIGTERM)
                    stopping.append((child, child.process))
        deadline = time.monotonic() + grace_s
        for child, process in stopping:
            try:
                process.wait(max(deadline - time.monotonic(), 0.01))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                self.note(f"{child.name} did not stop within {grace_s:.0f} s: killed")

    def close(self) -> None:
        """Stop whoever is left and let go of the leash."""
        self.stop("")
        os.close(self._write_end)
        os.close(self._read_end)


def exit_with_parent(warn: Callable[[str], None]) -> None:
    """In a child: end at once when the parent that started it is gone, and its server with it."""
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
                warn(f"the server was not stopped from here: {error}")
        os._exit(4)

    threading.Thread(target=watch, name="leash", daemon=True).start()
