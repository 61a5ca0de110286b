"""What a chaos run harms: a throwaway system with its processes under load."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

from mm.errors import TimedOut, Unavailable
from mm.host import NOTES_KEPT, MakeServer, ServerT, ThrowawaySystem
from mm.interrupts import Stop
from mm.lab.chaos.check import Sender
from mm.lab.chaos.plan import REFRESH_MS, TTL_MS
from mm.market import Config, Symbol, default_config
from mm.orders import FlowOptions
from mm.store import Scripts, read_identity

#: All symbols together want about twice this, so that some always wait.
LIMIT_UNITS = 60
#: The reports and orders of a whole system are kept, to be compared.
KEPT = 10_000_000
#: So few fills stay in the ledger, so that they leave it all the time.
KEPT_FILLS = 200
TICK_S = 0.004


def chaos_config() -> Config:
    """The built-in market with short quotes and too little exposure for all."""
    return replace(
        default_config(),
        limit_units=LIMIT_UNITS,
        quote_ttl_ms=TTL_MS,
        refresh_ms=REFRESH_MS,
        keep_fills=KEPT_FILLS,
        keep_orders=KEPT,
        keep_reports=KEPT,
    )


def _do_nothing() -> None:
    return


@dataclass
class Effect:
    """A fault that has begun. ``over`` says whether it is over, ``end`` then undoes what it did.

    ``applied`` says whether it could be applied: the proxy may have found no request for it.
    """

    over: Callable[[], bool] = lambda: True
    end: Callable[[], None] = _do_nothing
    applied: Callable[[], bool] = field(default=lambda: True)


def timer(seconds: float) -> Callable[[], bool]:
    """What is false for so long."""
    due = time.monotonic() + seconds
    return lambda: time.monotonic() >= due


class HarmedSystem(ThrowawaySystem[ServerT]):
    """One system under load: :meth:`open` it, harm it, and always :meth:`close` it.

    ``pulse`` is called at every turn of a wait, and may draw. A signal that sets ``stop`` ends
    every wait with Interrupted. ``notes`` has what the servers said, ``senders`` the publishers by
    client id. ``config`` is what the system is created with.
    """

    config: Config
    #: Whether the servers may replace one another at any time, also unharmed on a slow machine.
    fails_over: ClassVar[bool] = False

    def __init__(
        self, make_server: MakeServer[ServerT], pulse: Callable[[], None], stop: Stop
    ) -> None:
        self.notes: deque[str] = deque(maxlen=NOTES_KEPT)
        super().__init__(make_server, "mm-chaos-")
        self.senders: dict[str, Sender] = {}
        self._pulse = pulse
        self._stop = stop
        self._stopped: set[int] = set()

    @abstractmethod
    def open(self) -> None:
        """Start everything; returns when the processes are started."""

    @abstractmethod
    def tend(self) -> None:
        """At every turn of a wait: restart what serves, where it has died."""

    @property
    @abstractmethod
    def books(self) -> Sequence[tuple[Scripts, Mapping[str, Sender]]]:
        """What is compared: the scripts of each partition, and those who send there."""

    @property
    @abstractmethod
    def archives(self) -> Mapping[str, tuple[Path, Scripts]]:
        """Each archive and the scripts of what it is of, by the processes that write it."""

    @property
    @abstractmethod
    def server_starts(self) -> int:
        """Starts of servers so far."""

    @property
    @abstractmethod
    def killed_starting(self) -> int:
        """How often a server was killed while it started."""

    def why_not_whole(self) -> str:
        """What the system still lacks although it trades; empty when it lacks nothing."""
        return ""

    def violations(self) -> list[str]:
        """What was found to be wrong beside the rounds, since the last call."""
        return []

    @property
    def readings(self) -> tuple[int, int]:
        """How often the leases of partitions were read, and how many of these were exact."""
        return 0, 0

    @property
    def publishers(self) -> list[str]:
        """The names of the processes that send orders."""
        return list(self.senders)

    @property
    def processes(self) -> list[str]:
        """The names of all processes."""
        return list(self.supervisor.children)

    def add_process(
        self, name: str, options: Sequence[str], symbols: Sequence[Symbol], rate: int, seed: int
    ) -> None:
        """Start a process; for a publisher the order flow follows from the last three."""
        kind, _, number = name.partition("-")
        words = [kind, "--id", number, "--data-dir", str(self.data_dir.path), "--log-detail"]
        if kind == "publisher":
            journal = self.data_dir.path / f"{name}.journal"
            words += ["--rate", str(rate), "--seed", str(seed), "--journal", str(journal)]
            self.senders[name] = Sender(journal, symbols, FlowOptions(rate, seed))
        self.supervisor.add(name, *words, *options)

    @property
    def system_id(self) -> str:
        """The id of the system; Unavailable while the keys hold none."""
        identity = read_identity(self.scripts)
        if identity is None:
            raise Unavailable("the keys hold no system")
        return identity.system_id

    # waiting

    def tick(self) -> None:
        """Restart what has died, and call ``pulse``."""
        self._stop.check()
        self._pulse()
        self.supervisor.tick()
        self.tend()

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
        """The processes that the target of a fault stands for: one, all of a kind, or all."""
        if target in ("all", "processes"):
            return self.processes
        return [one for one in self.processes if one == target or one.startswith(f"{target}-")]

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
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)

    def thaw(self, pids: Iterable[int]) -> None:
        """Let them go on with SIGCONT."""
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self._stopped.difference_update(pids)

    @property
    def restarts(self) -> int:
        """Restarts of processes so far."""
        return sum(self.supervisor.restarts.values())
