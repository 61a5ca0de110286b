"""Probes latency: sends orders, and times their reports and committed positions."""

from __future__ import annotations

import random
import select
import socket
import time
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import hiredis

from mm.lab.bench.load import Entry, PipelinedConnection, encode
from mm.lab.bench.world import PATIENCE_S, World
from mm.store import text

CLIENT = "bench-latency"
#: A sender sleeps until this share of the time between two orders before an order is due: a timer
#: would wake it late, and a longer wait awake would take processor time from what it measures.
EARLY = 0.1


class StreamFeed:
    """Reads a stream on a connection of its own: a blocking read after the other."""

    def __init__(self, path: Path, key: str, last: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))
        self._reader = hiredis.Reader()
        self._key, self._last = key, last
        self._ask()

    def _ask(self) -> None:
        words = ["XREAD", "COUNT", "1000", "BLOCK", "0", "STREAMS", self._key, self._last]
        self._socket.sendall(encode(words))

    def fileno(self) -> int:
        """For ``select``."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def take(self) -> list[tuple[str, list[str]]]:
        """Read what the socket has; the records of a complete reply as (name, words)."""
        self._reader.feed(self._socket.recv(1 << 20))
        reply: Any = self._reader.gets()
        if reply is False:
            return []
        ((_, entries),) = reply
        self._last = text(entries[-1][0])
        self._ask()
        return [
            (text(fields[i]), text(fields[i + 1]).split(" "))
            for _, fields in entries
            for i in range(0, len(fields), 2)
        ]


class Probe:
    """Sends orders, and measures for each the seconds to its report and to its position.

    ``to_report`` and ``to_position`` hold them, in the order in which they were complete.
    """

    def __init__(self, world: World) -> None:
        keys = world.keys
        reports, positions = keys.member("reports:*", CLIENT), keys.named("positions")
        self._orders = PipelinedConnection(world.socket)
        self._reports = StreamFeed(world.socket, reports, world.end_of(reports))
        self._positions = StreamFeed(world.socket, positions, world.end_of(positions))
        self._sent: dict[str, float] = {}
        self._fills: dict[str, deque[tuple[int, float]]] = defaultdict(deque)
        self._versions: dict[str, int] = defaultdict(int)
        self._uncommitted = 0
        self.to_report: list[float] = []
        self.to_position: list[float] = []

    def close(self) -> None:
        """Close the connections."""
        for connection in (self._orders, self._reports, self._positions):
            connection.close()

    def send(self, entries: Sequence[Entry], at: float) -> None:
        """Send the entries now; their latency counts from ``at``."""
        self._sent |= {order_id: at for entry in entries for order_id in entry.order_ids}
        self._orders.put(b"".join(entry.data for entry in entries))

    @property
    def reported(self) -> bool:
        """Whether every order sent has its report."""
        return not self._sent

    @property
    def settled(self) -> bool:
        """Whether every order sent has its report, and every fill is in a position."""
        return not self._sent and not self._uncommitted

    def listen(self, wait_s: float) -> None:
        """Take reports and positions that are there, or come within ``wait_s``."""
        ready, _, _ = select.select([self._reports, self._positions], [], [], max(wait_s, 0.0))
        now = time.perf_counter()
        if self._reports in ready:
            for order_id, words in self._reports.take():
                self._report(order_id, words[4], now)
        if self._positions in ready:
            for symbol, words in self._positions.take():
                self._commit(symbol, int(words[2]), now)
        self._orders.move()

    def _report(self, order_id: str, fill_id: str, now: float) -> None:
        sent = self._sent.pop(order_id)
        self.to_report.append(now - sent)
        if fill_id != "-":
            symbol, _, seq = fill_id.rpartition("-")
            self._uncommitted += 1
            self._fills[symbol].append((int(seq), sent))
            # The position may have come first: it comes over another connection.
            self._commit(symbol, self._versions[symbol], now)

    def _commit(self, symbol: str, version: int, now: float) -> None:
        self._versions[symbol] = version
        fills = self._fills[symbol]
        while fills and fills[0][0] <= version:
            self.to_position.append(now - fills.popleft()[1])
            self._uncommitted -= 1


def closed_loop(world: World, entries: Sequence[Entry]) -> Probe:
    """Send each order when the report of the one before has come."""
    probe = Probe(world)
    try:
        for entry in entries:
            probe.send([entry], time.perf_counter())
            _until(lambda: probe.reported, probe)
        _until(lambda: probe.settled, probe)
        return probe
    finally:
        probe.close()


def poisson(world: World, entries: Sequence[Entry], rate: float, seed: int) -> Probe:
    """Send orders at random instants, ``rate`` a second.

    Latency counts from the instant, also when the order is sent a little later.
    """
    rng = random.Random(seed)
    probe = Probe(world)
    try:
        due, index = time.perf_counter(), 0
        while index < len(entries):
            now = time.perf_counter()
            while index < len(entries) and due <= now:
                probe.send([entries[index]], due)
                index += 1
                due += rng.expovariate(rate)
            probe.listen(due - time.perf_counter() - EARLY / rate)
        _until(lambda: probe.settled, probe)
        return probe
    finally:
        probe.close()


def _until(done: Callable[[], bool], probe: Probe) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {PATIENCE_S:.0f} s for reports and committed positions")
        probe.listen(1.0)
