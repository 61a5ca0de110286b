"""A system of partitions on a cluster, under the load of a sender for each partition."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from mm.errors import TimedOut, Unavailable
from mm.host import (
    ChildPlan,
    ManagedCluster,
    Shape,
    System,
    ThrowawaySystem,
    module_command,
    module_environment,
)
from mm.lab.bench.figure import Result
from mm.lab.bench.measured import PATIENCE_S, Part, audit_at_end
from mm.lab.bench.sections.cpu import cpu_s
from mm.market import Config
from mm.store import execute, open_client


@dataclass(frozen=True)
class Spread:
    """What a load of all partitions at once took.

    ``rate`` is in orders a second over all, ``cpu_us`` the microseconds of processor time that all
    servers and processes used for an order; the senders are not among them.
    """

    rate: float
    cpu_us: float
    unfilled: int


class SpreadWorld(ThrowawaySystem[ManagedCluster]):
    """One system: a ``with`` block starts it and, when it ends without an error, audits it."""

    def __init__(self, result: Result, name: str, config: Config, binary: Path | None) -> None:
        shape = Shape(config.partitions, config.replicas)
        super().__init__(lambda place: ManagedCluster(place, shape, binary), "mm-bench-")
        self.result = result
        self.name = name
        self.config = config
        self.parts: list[Part] = []

    def __enter__(self) -> Self:
        try:
            self.start(self.config)
            for server in self.server.servers:
                client = open_client(server.url)
                client.config_set("auto-aof-rewrite-percentage", 0)
                client.close()
            plan = ChildPlan(publishers=0)
            system = System(self.data_dir, None, self.keys, None)
            for child in plan.children(system, self.config.partitions):
                self.supervisor.add(child.name, *child.arguments)
            prefixes = [self.keys]
            if self.config.partitions > 1:
                prefixes = [self.keys.partition(one) for one in range(self.config.partitions)]
            for keys in prefixes:
                self.parts.append(Part(self.data_dir, keys, self.result, self.name))
            for part in self.parts:
                part.wait(part.all_quoted, "every symbol to be quoted")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                drained = "the last fills are committed"
                self.until(drained, lambda: all(part.drained() for part in self.parts))
            for part in self.parts:
                part.close()
            if kind is None:
                self.supervisor.stop("")
                audit_at_end(self.scripts, self.result, self.name)
        finally:
            self.close()

    def tick(self) -> None:
        """Restart what has died."""
        self.server.tick()
        self.supervisor.tick()

    def until(self, what: str, holds: Callable[[], bool], timeout_s: float = PATIENCE_S) -> None:
        """Tick until it holds; TimedOut when it does not in time."""
        deadline = time.monotonic() + timeout_s
        while not holds():
            if time.monotonic() > deadline:
                raise TimedOut(f"{self.name}: waited {timeout_s:.0f} s in vain until {what}")
            self.tick()
            time.sleep(0.005)

    def _pids(self) -> list[int]:
        nodes = [server.process for server in self.server.servers]
        children = [child.process for child in self.supervisor.children.values()]
        return [process.pid for process in (*nodes, *children) if process is not None]

    def load(self, run: str, orders: int, seed: int) -> Spread:
        """Send so many orders to each partition at once, and wait for all reports and commits."""
        words = [str(self.data_dir.path), run, str(orders)]
        senders = [
            subprocess.Popen(
                [
                    *module_command("mm.lab.bench.sender"),
                    *(words[0], part.keys.prefix, *words[1:], str(seed + number)),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=module_environment(),
            )
            for number, part in enumerate(self.parts)
        ]
        try:
            for sender in senders:
                assert sender.stdout is not None
                if sender.stdout.readline() != "ready\n":
                    raise Unavailable(f"{self.name}: a sender ended before it was ready")
            pids = self._pids()
            before = sum(map(cpu_s, pids))
            for sender in senders:
                assert sender.stdin is not None
                sender.stdin.write("go\n")
                sender.stdin.flush()
            said = [sender.communicate(timeout=PATIENCE_S)[0] for sender in senders]
            if any(sender.returncode for sender in senders):
                raise Unavailable(f"{self.name}: a sender ended before it had sent everything")
            found = [json.loads(one) for one in said]
            after = sum(map(cpu_s, pids))
        finally:
            for sender in senders:
                sender.kill()
                sender.wait()
        took = max(one["ended"] for one in found) - min(one["began"] for one in found)
        sent = orders * len(found)
        unfilled = sum(one["unfilled"] for one in found)
        return Spread(sent / took, 1e6 * (after - before) / sent, unfilled)

    def fills_of(self, part: Part) -> int:
        """How many fills the ledger of a partition has."""
        return int(execute(part.scripts.client, "XLEN", part.keys.named("fills")))
