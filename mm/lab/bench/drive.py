"""Drives a system: a backlog that is matched at once, and a full load on live processes."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import Any, NamedTuple

from mm.lab.bench.load import Entry, Orders, PipelinedConnection, preload
from mm.lab.bench.measured import Measured
from mm.store import execute, text

CLIENTS = ("bench-1", "bench-2")
#: Orders without a report at a time, over both clients.
WINDOW = 4_000
#: Connections that send, as many as RAW has, and bytes that each sends at a time: what the server
#: reads from one before it turns to the next. All that it reads in one turn shares an fsync.
CONNECTIONS, CHUNK = 4, 16_384
#: Longer than a heartbeat's interval, so that the counts in the heartbeats are complete.
HEARTBEAT_S = 1.1
#: The share of the makers' proposals that should be accepted at any load.
ACCEPTED_SHARE = 0.85


class BacklogRates(NamedTuple):
    """Orders matched per second, and their fills committed per second."""

    matched: float
    committed: float


def match_backlog(world: Measured, run: str, orders: int, seed: int, bulk: int = 1) -> BacklogRates:
    """Preload a backlog, match all of it, then commit all of its fills.

    The quotes must hold every order; an order that did not fill is a problem of the result.
    """
    supply = Orders(world.config.symbols, CLIENTS[0], run, seed)
    preload(world.socket, supply.entries(orders, world.orders_key, bulk))
    world.quote_all(world.config.symbols[0].size_lots)
    before = world.position_versions()
    matching_s = world.match_all()
    committing_s = world.commit_all()
    filled = world.position_versions() - before
    if filled != orders:
        world.result.problems.append(f"{world.name}: {orders - filled} of {orders} did not fill")
    return BacklogRates(orders / matching_s, filled / committing_s)


@dataclass(frozen=True)
class Slice:
    """Throughput, accepted share, requote rate and unfilled orders of one run.

    ``rate`` is in orders per second until the last fill was committed, ``accepted`` the share of
    the makers' proposals that were accepted, ``requotes`` in quotes per second and symbol. It
    lasted from ``began`` to ``ended`` on the clock that all programs of this machine share.
    """

    rate: float
    accepted: float
    requotes: float
    unfilled: int
    began: float = 0.0
    ended: float = 0.0


def full_load(world: Measured, run: str, orders: int, seed: int, bulk: int) -> Slice:
    """Send ``orders`` with a bounded number in flight, and wait for all reports and commits."""
    entries = _interleaved(world, run, orders, seed, bulk)
    listener = _ReportListener(world)
    committed = world.position_versions()
    accepted = Acceptance(world)
    connections = [PipelinedConnection(world.socket) for _ in range(CONNECTIONS)]
    began = time.perf_counter()
    sent = 0
    while listener.reports < orders:
        for connection in connections:
            data = b""
            while entries and sent - listener.reports < WINDOW and len(data) < CHUNK:
                data += entries[0].data
                sent += len(entries.popleft().order_ids)
            connection.put(data)
        busy = any(connection.unsent for connection in connections)
        listener.listen(1 if busy or (entries and sent - listener.reports < WINDOW) else 20)
    world.wait(
        lambda: world.position_versions() >= committed + listener.fills,
        "all fills to be committed",
    )
    ended = time.perf_counter()
    took = ended - began
    requotes = accepted.placed() / len(world.config.symbols) / took
    for connection in connections:
        connection.close()
    unfilled = orders - listener.filled
    return Slice(orders / took, accepted.share(), requotes, unfilled, began, ended)


class Acceptance:
    """How many of the makers' proposals since its beginning are accepted.

    The makers' heartbeats say how many they have made, so it waits for one at each end.
    """

    def __init__(self, world: Measured) -> None:
        self._world = world
        time.sleep(HEARTBEAT_S)
        self._versions, self._proposals = world.quote_versions(), _proposals(world)

    def placed(self) -> int:
        """The proposals that were accepted so far."""
        return self._world.quote_versions() - self._versions

    def share(self) -> float:
        """The share that was accepted."""
        time.sleep(HEARTBEAT_S)
        return self.placed() / max(1, _proposals(self._world) - self._proposals)


def _interleaved(world: Measured, run: str, orders: int, seed: int, bulk: int) -> deque[Entry]:
    """The entries of both clients, half of the orders each, in turn."""
    queues = [
        deque(Orders(world.config.symbols, client, run, seed).entries(part, world.orders_key, bulk))
        for client, part in zip(CLIENTS, (orders - orders // 2, orders // 2), strict=True)
    ]
    entries: deque[Entry] = deque()
    while any(queues):
        entries.extend(queue.popleft() for queue in queues if queue)
    return entries


class _ReportListener:
    """Reads the reports of both clients and counts them.

    ``reports`` counts all, ``filled`` those of orders filled in full, ``fills`` those with a fill.
    """

    def __init__(self, world: Measured) -> None:
        self._client = world.scripts.client
        self._last = {}
        for name in CLIENTS:
            stream = world.keys.member("reports:*", name)
            self._last[stream] = world.end_of(stream)
        self.reports = self.filled = self.fills = 0

    def listen(self, wait_ms: int) -> None:
        """Count the reports that are there, or come within ``wait_ms``."""
        words: list[Any] = [*self._last, *self._last.values()]
        reply = execute(self._client, "XREAD", "BLOCK", wait_ms, "STREAMS", *words)
        for name, found in reply or []:
            self._last[name.decode()] = text(found[-1][0])
            for _, fields in found:
                self.reports += len(fields)
                whole = sum(line.startswith(b"filled ") for line in fields.values())
                self.filled += whole
                self.fills += whole + sum(
                    line.startswith(b"partially_filled ") for line in fields.values()
                )


def _proposals(world: Measured) -> int:
    """Proposals that the makers have made, by their heartbeats."""
    counts = [
        execute(world.scripts.client, "HGET", world.keys.member("process:*", name), "count")
        for name in world.makers
    ]
    return sum(int(count or 0) for count in counts)
