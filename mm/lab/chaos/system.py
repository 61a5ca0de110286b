"""A chaos run's system on one server: the server, the processes and the proxy, and their harm."""

from __future__ import annotations

import hashlib
import signal
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import FrameType

from mm.archive import archive_name
from mm.errors import SystemRefused
from mm.host import DataDir, ManagedServer
from mm.interrupts import Stop
from mm.lab.chaos.check import Sender
from mm.lab.chaos.companion import Companion
from mm.lab.chaos.harmed import HarmedSystem, chaos_config
from mm.lab.chaos.plan import PROCESSES, PROXIED
from mm.store import Scripts, script_names, socket_url

#: Orders a second of each publisher.
RATE = 120
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


class ChaosSystem(HarmedSystem[DoomedServer]):
    """A system on one server; some of its processes reach the server through a proxy.

    ``applied`` has the ids of the proxy's faults that were applied.
    """

    def __init__(self, binary: Path, seed: int, pulse: Callable[[], None], stop: Stop) -> None:
        super().__init__(
            lambda data_dir: DoomedServer(data_dir, binary, self.notes.append, stop), pulse, stop
        )
        self.config = chaos_config()
        self.applied: set[int] = set()
        self._seed = seed
        self._demands = 0
        self._proxy: Companion | None = None

    def open(self) -> None:
        """Start everything; returns when the proxy listens and the processes are started."""
        self.start(self.config)
        sockets = {name: self.data_dir.path / f"{name}.sock" for name in PROXIED}
        words = [f"{name}={path}" for name, path in sockets.items()]
        self._proxy = Companion(
            "mm.lab.chaos.proxy",
            [str(self.data_dir.socket), *words],
            self.data_dir.logs / "proxy.out",
        )
        self.until("the proxy listens", lambda: 0 in self.applied, START_S)
        for name in PROCESSES:
            options = []
            if name in sockets:
                options = ["--redis-url", socket_url(sockets[name])]
            seed = self._seed + int(name.partition("-")[2])
            self.add_process(name, options, self.config.symbols, RATE, seed)

    def tend(self) -> None:
        """Read what the proxy answered, and restart the server when it has died."""
        if self._proxy is not None:
            self.applied.update(map(int, self._proxy.lines()))
        if not self.server.running:
            try:
                self.server.start()
            except (SystemRefused, OSError) as error:
                self.notes.append(str(error))

    @property
    def books(self) -> Sequence[tuple[Scripts, Mapping[str, Sender]]]:
        """The one system, and all its publishers."""
        return [(self.scripts, self.senders)]

    @property
    def archives(self) -> Mapping[str, tuple[Path, Scripts]]:
        """The one archive, of both archivists."""
        return {"archivist": (self.data_dir.path / archive_name(None), self.scripts)}

    @property
    def server_starts(self) -> int:
        """Starts of the server so far."""
        return self.server.starts

    @property
    def killed_starting(self) -> int:
        """How often the server was killed while it started."""
        return self.server.killed_starting

    # harm

    def freeze(self, pids: Iterable[int]) -> None:
        """Stop them with SIGSTOP."""
        # It must know of them first: this program may be killed in between.
        self._tell_proxy(stopped=sorted({*self._stopped, *pids}))
        super().freeze(pids)

    def thaw(self, pids: Iterable[int]) -> None:
        """Let them go on with SIGCONT."""
        super().thaw(pids)
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
        assert self._proxy is not None
        self._proxy.tell(**demand)

    # the end

    def close(self, keep: bool = False) -> None:
        """Kill every process at once and remove the directory, unless ``keep`` is set."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        if self._proxy is not None:
            self._proxy.close()
        self.kill_server()
        super().close(keep)
