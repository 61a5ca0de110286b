"""The throwaway system of a chaos run: its server, its processes and the proxy, to be harmed."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from types import FrameType

from mm.errors import SystemRefused, TimedOut
from mm.host import NOTES_KEPT, DataDir, Lock, ManagedServer, Supervisor
from mm.lab.chaos.check import Sender
from mm.lab.chaos.plan import PROCESSES, PROXIED, REFRESH_MS, TTL_MS
from mm.market import default_config
from mm.orders import FlowOptions
from mm.store import Keys, Scripts, open_client, script_names, socket_url

#: Orders a second of each publisher.
RATE = 120
#: What all symbols ask for is about twice this, so that some always wait.
LIMIT_UNITS = 60
#: Reports and orders of a whole run are kept, to be compared.
KEPT = 10_000_000
TICK_S = 0.004
START_S = 30.0


class Interrupted(Exception):
    """The person at the terminal wants the run to end."""


class DoomedServer(ManagedServer):
    """A managed server that can be told to die while it starts.

    ``dooms`` are shares of the time that the last start took, one for each of the next spawns.
    """

    def __init__(self, data_dir: DataDir, binary: Path, say: Callable[[str], None]) -> None:
        super().__init__(data_dir, binary, say)
        self.dooms: list[float] = []
        self.armed = False
        self.starting = False
        self.starts = 0
        self.killed_starting = 0
        self.start_s = 0.02
        signal.signal(signal.SIGALRM, self._alarm)

    def start(self) -> None:
        """Start as ever, if it lives that long."""
        began = time.monotonic()
        self.starts += 1
        self.starting = True
        try:
            super().start()
        finally:
            self.starting = False
        self.start_s = time.monotonic() - began

    def kill(self) -> None:
        """Kill it now."""
        if self.running and self.process is not None:
            self.process.kill()
            self.process.wait()

    def doom(self, after_s: float) -> None:
        """Kill whatever server runs after so many seconds."""
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


class ChaosSystem:
    """One system under load; :meth:`open` it, harm it, and :meth:`close` it whatever happened.

    ``pulse`` is called at every turn of a wait: it may draw, and raises Interrupted to end all.
    """

    def __init__(self, binary: Path, seed: int, pulse: Callable[[], None]) -> None:
        self.directory = DataDir(Path(tempfile.mkdtemp(prefix="mm-chaos-")))
        self.keys = Keys()
        self.config = replace(
            default_config(),
            limit_units=LIMIT_UNITS,
            quote_ttl_ms=TTL_MS,
            refresh_ms=REFRESH_MS,
            keep_orders=KEPT,
            keep_reports=KEPT,
        )
        self.notes: deque[str] = deque(maxlen=NOTES_KEPT)
        self.hits: set[int] = set()
        self.senders: dict[str, Sender] = {}
        self._seed = seed
        self._pulse = pulse
        self._demands = 0
        self._heard = b""
        self._stopped: set[int] = set()
        self._stack = contextlib.ExitStack()
        self.directory.prepare()
        self._stack.enter_context(Lock(self.directory))
        self.server = DoomedServer(self.directory, binary, self.notes.append)
        self.supervisor = Supervisor(self.directory.logs, self.directory.url)
        self.scripts = Scripts(open_client(self.directory.url), self.keys)
        self._proxy: subprocess.Popen[bytes] | None = None

    def open(self) -> None:
        """Start everything; returns when the proxy listens and the keys are made."""
        self.server.start()
        self.scripts.setup(self.config)
        ways = {name: self.directory.path / f"{name}.sock" for name in PROXIED}
        words = [f"{name}={path}" for name, path in ways.items()]
        with (self.directory.logs / "proxy.out").open("ab") as trouble:
            self._proxy = subprocess.Popen(
                [sys.executable, "-m", "mm.lab.chaos.proxy", str(self.directory.socket), *words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=trouble,
                start_new_session=True,
            )
        assert self._proxy.stdout is not None
        os.set_blocking(self._proxy.stdout.fileno(), False)
        self.until("the proxy listens", lambda: 0 in self.hits, START_S)
        for name in PROCESSES:
            self._add(name, ways.get(name))

    def _add(self, name: str, way: Path | None) -> None:
        kind, _, number = name.partition("-")
        words = [kind, "--id", number, "--data-dir", str(self.directory.path)]
        if way is not None:
            words += ["--redis-url", socket_url(way)]
        if kind == "publisher":
            seed = self._seed + int(number)
            journal = self.directory.path / f"{name}.journal"
            words += ["--rate", str(RATE), "--seed", str(seed), "--journal", str(journal)]
            flow = FlowOptions(RATE, seed)
            self.senders[name] = Sender(journal, self.config.symbols, flow)
        self.supervisor.add(name, *words)

    # waiting

    def tick(self) -> None:
        """Restart what has died, hear the proxy, and let the caller breathe."""
        self._pulse()
        self.supervisor.tick()
        self._hear()
        if not self.server.running:
            try:
                self.server.start()
            except SystemRefused as error:
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
        """The processes that a strike's target stands for."""
        if target in ("all", "processes"):
            return list(PROCESSES)
        return [name for name in PROCESSES if name == target or name.startswith(f"{target}-")]

    def kill(self, names: Iterable[str]) -> None:
        """Kill -9 all these at once; they are restarted soon."""
        for name in names:
            child = self.supervisor.children[name]
            # The backoff is for a process that cannot live, not for one that is killed.
            child.backoff.succeeded()
            if child.process is not None:
                child.process.kill()

    def pids(self, names: Iterable[str]) -> list[int]:
        """The pids of those that run now."""
        children = (self.supervisor.children[name] for name in names)
        running = (child.process for child in children if child.process is not None)
        return [process.pid for process in running if process.poll() is None]

    def freeze(self, pids: Iterable[int]) -> None:
        """SIGSTOP them."""
        self._stopped.update(pids)
        self._order(stopped=sorted(self._stopped))
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)

    def thaw(self, pids: Iterable[int]) -> None:
        """SIGCONT them."""
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self._stopped.difference_update(pids)
        self._order(stopped=sorted(self._stopped))

    def demand(self, name: str, kind: str, call: str, skip: int, hold_ms: int) -> int:
        """Demand something of the proxy; its id, which comes into ``hits`` when it has struck."""
        self._demands += 1
        only = call
        if call in script_names():
            source = self.scripts.source(call).encode()
            only = hashlib.sha1(source, usedforsecurity=False).hexdigest()
        self._order(id=self._demands, link=name, kind=kind, only=only, after=skip, hold_ms=hold_ms)
        return self._demands

    def forget(self, demand: int) -> None:
        """Take a demand back that has not struck."""
        self._order(forget=demand)

    def _order(self, **demand: object) -> None:
        assert self._proxy is not None and self._proxy.stdin is not None
        self._proxy.stdin.write(json.dumps(demand).encode() + b"\n")
        self._proxy.stdin.flush()

    def _hear(self) -> None:
        if self._proxy is None or self._proxy.stdout is None:
            return
        if self._proxy.poll() is not None:
            raise SystemRefused(f"the proxy died: see {self.directory.logs / 'proxy.out'}")
        with contextlib.suppress(BlockingIOError):
            self._heard += os.read(self._proxy.stdout.fileno(), 4096)
        *lines, self._heard = self._heard.split(b"\n")
        self.hits.update(map(int, lines))

    # the end

    @property
    def restarts(self) -> int:
        """Restarts of processes so far."""
        return sum(self.supervisor.restarts.values())

    def close(self, keep: bool) -> None:
        """End every process at once and remove the directory, unless it is to be kept."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        for child in self.supervisor.children.values():
            child.done = True
            if child.process is not None:
                child.process.kill()
                child.process.wait()
        self.supervisor.close()
        if self._proxy is not None:
            self._proxy.kill()
            self._proxy.wait()
            for pipe in (self._proxy.stdin, self._proxy.stdout):
                if pipe is not None:
                    pipe.close()
        self.scripts.client.close()
        self.server.kill()
        self._stack.close()
        if not keep:
            shutil.rmtree(self.directory.path, ignore_errors=True)
