"""Processes that run in threads of the test, on a server that the test may stop."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Any

from mm.errors import SystemRefused
from mm.exchange import Exchange
from mm.maker import Maker
from mm.process import Process
from mm.state import StateService
from mm.store import Keys, execute, text
from tests.kit.backends import Backend
from tests.kit.world import World


class RunningProcesses:
    """A context in which the processes run, each in a thread.

    ``ended`` has the SystemRefused with which a process gave up, by process name.
    """

    def __init__(self, *processes: Process) -> None:
        self.processes = processes
        self.ended: dict[str, SystemRefused] = {}
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(one,), name=one.name) for one in processes
        ]

    def _run(self, process: Process) -> None:
        try:
            process.run(self._stop)
        except SystemRefused as error:
            self.ended[process.name] = error

    def __enter__(self) -> RunningProcesses:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(15)
            assert not thread.is_alive(), f"{thread.name} did not stop"
        for process in self.processes:
            process.close()


def all_processes(backend: Backend, **settings: Any) -> list[Process]:
    """An exchange, a state service and two makers, not yet running."""
    makers = [Maker(backend.client, Keys(), ident, **settings) for ident in ("1", "2")]
    found: list[Process] = [
        Exchange(backend.client, Keys(), **settings),
        StateService(backend.client, Keys(), **settings),
        *makers,
    ]
    return found


def answered(world: World) -> bool:
    """Whether every order is matched and every fill committed."""

    def last(stream: str) -> str | None:
        key = world.keys.named(stream)
        entry = execute(world.client, "XREVRANGE", key, "+", "-", "COUNT", 1)
        return text(entry[0][0]) if entry else None

    orders, fills = last("orders"), last("fills")
    return (orders is None or world.cursor("exchange") == orders) and (
        fills is None or world.cursor("state") == fills
    )
