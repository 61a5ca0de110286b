"""The throwaway system of a chaos run: its server, processes and proxy, and how to harm them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from types import FrameType

from mm.errors import SystemRefused, TimedOut, Unavailable
from mm.host import (
    NOTES_KEPT,
    DataDir,
    ManagedServer,
    ThrowawaySystem,
    module_command,
    module_environment,
)
from mm.interrupts import Stop
from mm.lab.chaos.check import Sender
from mm.lab.chaos.plan import PROCESSES, PROXIED, REFRESH_MS, TTL_MS
from mm.market import default_config
from mm.orders import FlowOptions
from mm.store import read_identity, script_names, socket_url

#: Orders a second of each publisher.
RATE = 120
#: All symbols together want about twice this, so that some always wait.
LIMIT_UNITS = 60
#: The reports and orders of a whole system are kept, to be compared.
KEPT = 10_000_000
TICK_S = 0.004
START_S = 30.0


class DoomedServer(ManagedServer):
    """A managed server that can be killed by a timer, also while it starts.

    ``dooms`` has a share of the time that the last start took for each of the next starts: the
    server is killed after it. ``armed`` says whether a timer runs.
    """

    def __init__(
        self, data_dir: DataDir, binary: Path, say: Callable[[str], None], stop: Stop
    ) -> None:
        super().__init__(data_dir, binary, say, stop)
        self.dooms: list[float] = []
        self.armed = False
        self.starting = False
        self.starts = 0
        self.killed_starting = 0
        self.start_s = 0.02
        signal.signal(signal.SIGALRM, self._alarm)

    def start(self) -> None:
        """Start as a managed server does; a doom may kill it meanwhile."""
        began = time.monotonic()
        self.starts += 1
        self.starting = True
        try:
            super().start()
        finally:
            self.starting = False
        self.start_s = time.monotonic() - began

    def doom(self, after_s: float) -> None:
        """Kill the server that runs after ``after_s`` seconds."""
        self.armed = True
        signal.setitimer(signal.ITIMER_REAL, max(after_s, 0.0005))

    def _spawn(self, socket: Path) -> None:
        super()._spawn(socket)
        if self.dooms:
            self.doom(self.dooms.pop(0) * self.start_s)

    def _alarm(self, number: int, frame: FrameType | None) -> None:
        self.armed = False
        self.killed_starting += self.starting
        if self.process is not None and self.process.returncode is None:
            self.process.kill()


class ChaosSystem(ThrowawaySystem[DoomedServer]):
    """One system under load: :meth:`open` it, harm it, and always :meth:`close` it.

    ``pulse`` is called at every turn of a wait, and may draw. A signal that sets ``stop`` ends
    every wait with Interrupted.
    ``notes`` has what the server said, ``applied`` the ids of the proxy's faults that were applied.
    """

    def __init__(self, binary: Path, seed: int, pulse: Callable[[], None], stop: Stop) -> None:
        self.notes: deque[str] = deque(maxlen=NOTES_KEPT)
        super().__init__(
            lambda data_dir: DoomedServer(data_dir, binary, self.notes.append, stop), "mm-chaos-"
        )
        self.config = replace(
            default_config(),
            limit_units=LIMIT_UNITS,
            quote_ttl_ms=TTL_MS,
            refresh_ms=REFRESH_MS,
            keep_orders=KEPT,
            keep_reports=KEPT,
        )
        self.applied: set[int] = set()
        self.senders: dict[str, Sender] = {}
        self._seed = seed
        self._pulse = pulse
        self._stop = stop
        self._demands = 0
        self._unread = b""
        self._stopped: set[int] = set()
        self._proxy: subprocess.Popen[bytes] | None = None

    def open(self) -> None:
        """Start everything; returns when the proxy listens and the processes are started."""
        self.start(self.config)
        sockets = {name: self.data_dir.path / f"{name}.sock" for name in PROXIED}
        words = [f"{name}={path}" for name, path in sockets.items()]
        with (self.data_dir.logs / "proxy.out").open("ab") as errors:
            self._proxy = subprocess.Popen(
                [*module_command("mm.lab.chaos.proxy"), str(self.data_dir.socket), *words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=module_environment(),
                start_new_session=True,
            )
        assert self._proxy.stdout is not None
        os.set_blocking(self._proxy.stdout.fileno(), False)
        self.until("the proxy listens", lambda: 0 in self.applied, START_S)
        for name in PROCESSES:
            self._add(name, sockets.get(name))

    def _add(self, name: str, socket: Path | None) -> None:
        kind, _, number = name.partition("-")
        words = [kind, "--id", number, "--data-dir", str(self.data_dir.path), "--log-detail"]
        if socket is not None:
            words += ["--redis-url", socket_url(socket)]
        if kind == "publisher":
            seed = self._seed + int(number)
            journal = self.data_dir.path / f"{name}.journal"
            words += ["--rate", str(RATE), "--seed", str(seed), "--journal", str(journal)]
            flow = FlowOptions(RATE, seed)
            self.senders[name] = Sender(journal, self.config.symbols, flow)
        self.supervisor.add(name, *words)

    @property
    def system_id(self) -> str:
        """The id of the system; Unavailable while the keys hold none."""
        identity = read_identity(self.scripts)
        if identity is None:
            raise Unavailable("the keys hold no system")
        return identity.system_id

    # waiting

    def tick(self) -> None:
        """Restart what has died, read what the proxy printed, and call ``pulse``."""
        self._stop.check()
        self._pulse()
        self.supervisor.tick()
        self._read_proxy()
        if not self.server.running:
            try:
                self.server.start()
            except (SystemRefused, OSError) as error:
                self.notes.append(str(error))

    def wait(self, seconds: float) -> None:
        """Let the system run for so long."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.tick()
            time.sleep(min(TICK_S, left))

    def until(self, what: str, condition: Callable[[], bool], timeout_s: float) -> None:
        """Let it run until the condition holds; TimedOut names ``what`` when it does not."""
        end = time.monotonic() + timeout_s
        while True:
            self.tick()
            if condition():
                return
            if time.monotonic() > end:
                raise TimedOut(f"waited {timeout_s:g} s in vain until {what}")
            time.sleep(TICK_S)

    # harm

    def names(self, target: str) -> list[str]:
        """The processes that the target of a fault stands for."""
        if target in ("all", "processes"):
            return list(PROCESSES)
        return [name for name in PROCESSES if name == target or name.startswith(f"{target}-")]

    def kill(self, names: Iterable[str]) -> None:
        """Kill all these at once with -9; they are restarted soon."""
        for name in names:
            child = self.supervisor.children[name]
            # The delay grows for a process that cannot run. This one can: it was killed.
            child.backoff.succeeded()
            if child.process is not None:
                child.process.kill()

    def pids(self, names: Iterable[str]) -> list[int]:
        """The pids of those of these processes that run now."""
        children = (self.supervisor.children[name] for name in names)
        running = (child.process for child in children if child.process is not None)
        return [process.pid for process in running if process.poll() is None]

    def freeze(self, pids: Iterable[int]) -> None:
        """Stop them with SIGSTOP."""
        self._stopped.update(pids)
        self._tell_proxy(stopped=sorted(self._stopped))
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)

    def thaw(self, pids: Iterable[int]) -> None:
        """Let them go on with SIGCONT."""
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self._stopped.difference_update(pids)
        self._tell_proxy(stopped=sorted(self._stopped))

    def demand(self, name: str, kind: str, call: str, skip: int, hold_ms: int) -> int:
        """Demand a fault of the proxy; returns its id, which is in ``applied`` when it was applied.

        ``call`` is the name of a script, a command, or empty for any request.
        """
        self._demands += 1
        only = call
        if call in script_names():
            source = self.scripts.source(call).encode()
            only = hashlib.sha1(source, usedforsecurity=False).hexdigest()
        self._tell_proxy(
            id=self._demands, link=name, kind=kind, only=only, after=skip, hold_ms=hold_ms
        )
        return self._demands

    def forget(self, demand: int) -> None:
        """Take back a demand that was not applied."""
        self._tell_proxy(forget=demand)

    def _tell_proxy(self, **demand: object) -> None:
        assert self._proxy is not None and self._proxy.stdin is not None
        self._proxy.stdin.write(json.dumps(demand).encode() + b"\n")
        self._proxy.stdin.flush()

    def _read_proxy(self) -> None:
        if self._proxy is None or self._proxy.stdout is None:
            return
        if self._proxy.poll() is not None:
            raise SystemRefused(f"the proxy died: see {self.data_dir.logs / 'proxy.out'}")
        with contextlib.suppress(BlockingIOError):
            self._unread += os.read(self._proxy.stdout.fileno(), 4096)
        *lines, self._unread = self._unread.split(b"\n")
        self.applied.update(map(int, lines))

    # the end

    @property
    def restarts(self) -> int:
        """Restarts of processes so far."""
        return sum(self.supervisor.restarts.values())

    def close(self, keep: bool = False) -> None:
        """Kill every process at once and remove the directory, unless ``keep`` is set."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        if self._proxy is not None:
            self._proxy.kill()
            self._proxy.wait()
            for pipe in (self._proxy.stdin, self._proxy.stdout):
                if pipe is not None:
                    pipe.close()
        self.kill_server()
        super().close(keep)
