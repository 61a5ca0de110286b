"""Latency: from sending an order to its report, and to the position that includes its fill."""

from __future__ import annotations

import random
import select
import socket
import time
from collections import defaultdict, deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import hiredis

from mm.lab.bench.figure import Figure, percentile
from mm.lab.bench.load import Entry, Orders, Pipe, encode
from mm.lab.bench.sections.raw import round_trip_s
from mm.lab.bench.sections.throughput import full_load
from mm.lab.bench.world import PATIENCE_S, World
from mm.store import text

CLIENT = "bench-latency"
PERCENTILES = ((50.0, "p50"), (99.0, "p99"), (99.9, "p99.9"), (100.0, "max"))
#: (way of sending, percentile) -> what "order to report" should be at most, in two round trips.
TARGETS = {
    ("closed loop", "p50"): 1.0,
    ("500/s", "p50"): 1.25,
    ("500/s", "p99"): 3.0,
    ("half of max", "p50"): 10.0,
    ("half of max", "p99"): 20.0,
}
RATE = 500.0
#: Before an order is due its sender stops sleeping, since a timer wakes it late: for this share of
#: the time between two orders, so that it takes no processor from what it measures.
EARLY = 0.1


class Feed:
    """One blocking read of a stream after another, on a connection of its own."""

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
        """Read what the socket has; records as (name, words) once a reply is complete."""
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
    """Sends orders, and notes for each how long its report and its committed position took."""

    def __init__(self, world: World) -> None:
        keys = world.keys
        reports, positions = keys.member("reports:*", CLIENT), keys.named("positions")
        self._pipe = Pipe(world.socket)
        self._reports = Feed(world.socket, reports, world.end_of(reports))
        self._positions = Feed(world.socket, positions, world.end_of(positions))
        self._sent: dict[str, float] = {}
        self._fills: dict[str, deque[tuple[int, float]]] = defaultdict(deque)
        self._versions: dict[str, int] = defaultdict(int)
        self._uncommitted = 0
        self.to_report: list[float] = []
        self.to_position: list[float] = []

    def close(self) -> None:
        """Close the connections."""
        for one in (self._pipe, self._reports, self._positions):
            one.close()

    def send(self, entries: Sequence[Entry], at: float) -> None:
        """Send the entries now; their latency counts from ``at``."""
        self._sent |= {order_id: at for entry in entries for order_id in entry.order_ids}
        self._pipe.put(b"".join(entry.data for entry in entries))

    @property
    def reported(self) -> bool:
        """Whether every order sent has its report."""
        return not self._sent

    @property
    def settled(self) -> bool:
        """Whether every order sent has its report, and every fill is in a position."""
        return not self._sent and not self._uncommitted

    def hear(self, wait_s: float) -> None:
        """Take reports and positions, waiting up to ``wait_s`` for some."""
        ready, _, _ = select.select([self._reports, self._positions], [], [], max(wait_s, 0.0))
        now = time.perf_counter()
        if self._reports in ready:
            for order_id, words in self._reports.take():
                self._report(order_id, words[4], now)
        if self._positions in ready:
            for symbol, words in self._positions.take():
                self._commit(symbol, int(words[2]), now)
        self._pipe.move()

    def _report(self, order_id: str, fill_id: str, now: float) -> None:
        sent = self._sent.pop(order_id)
        self.to_report.append(now - sent)
        if fill_id != "-":
            symbol, _, seq = fill_id.rpartition("-")
            self._uncommitted += 1
            self._fills[symbol].append((int(seq), sent))
            # The position may have come first, since it came over another connection.
            self._commit(symbol, self._versions[symbol], now)

    def _commit(self, symbol: str, version: int, now: float) -> None:
        self._versions[symbol] = version
        fills = self._fills[symbol]
        while fills and fills[0][0] <= version:
            self.to_position.append(now - fills.popleft()[1])
            self._uncommitted -= 1


def closed_loop(world: World, entries: Sequence[Entry]) -> Probe:
    """Each order is sent when the report of the one before is there."""
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
    """Orders at random instants; latency counts from the instant, also when sent a bit later."""
    rng = random.Random(seed)
    probe = Probe(world)
    try:
        due, next_one = time.perf_counter(), 0
        while next_one < len(entries):
            now = time.perf_counter()
            while next_one < len(entries) and due <= now:
                probe.send([entries[next_one]], due)
                next_one += 1
                due += rng.expovariate(rate)
            probe.hear(due - time.perf_counter() - EARLY / rate)
        _until(lambda: probe.settled, probe)
        return probe
    finally:
        probe.close()


def _until(done: Any, probe: Probe) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {PATIENCE_S:.0f} s for reports and committed positions")
        probe.hear(1.0)


def measure_latency(world: World, repeats: int, orders: int, burst: int, seed: int) -> list[Figure]:
    """All ways of sending in turn, each beside the round trip of the same moment.

    ``orders`` are sent in closed loop and at 500/s; ``burst`` to find the maximum rate, and again
    at half of it.
    """
    world.start_processes()
    found: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    trips, rates = [], []
    for number in range(repeats):
        for way in ("closed loop", "500/s", "half of max"):
            before = round_trip_s(world, 200)
            run = f"{way[0]}{number}"
            if way == "half of max":
                rates.append(full_load(world, f"m{number}", burst, seed, 1).rate / 2)
            supply = Orders(world.config.symbols, CLIENT, run, seed)
            if way == "closed loop":
                probe = closed_loop(world, supply.entries(orders, world.orders_key))
            else:
                rate, count = (RATE, orders) if way == "500/s" else (rates[-1], burst)
                entries = supply.entries(count, world.orders_key)
                probe = poisson(world, entries, rate, seed + number)
            trips += [before, round_trip_s(world, 200)]
            trip = 2 * (trips[-1] + trips[-2]) / 2
            for what, times in (("report", probe.to_report), ("position", probe.to_position)):
                for percent, name in PERCENTILES:
                    found[way, what, name].append(percentile(times, percent) / trip)
    figures = [
        Figure("latency", "two durable round trips", "us", tuple(2e6 * trip for trip in trips)),
        Figure("latency", "half of the maximum rate", "/s", tuple(rates)),
    ]
    for (way, what, name), values in found.items():
        target = TARGETS.get((way, name)) if what == "report" else None
        label = f"{way}: order to {what}, {name}"
        figures.append(Figure("latency", label, "x", tuple(values), target, at_most=True))
    return figures
