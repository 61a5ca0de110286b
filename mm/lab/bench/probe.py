"""Probes latency: sends orders, and times their reports, committed positions and new quotes."""

from __future__ import annotations

import random
import select
import time
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import hiredis

from mm.lab.bench.load import Entry, PipelinedConnection, connected, encode
from mm.lab.bench.measured import PATIENCE_S
from mm.lab.bench.world import World
from mm.store import text

CLIENT = "bench-latency"
#: A sender sleeps until this share of the time between two orders before an order is due, and until
#: EARLY_S at the earliest: a timer would wake it late, and a longer wait awake would take processor
#: time from what it measures.
EARLY, EARLY_S = 0.1, 0.001

#: The fields of a stream's entry, with their values.
Fields = list[tuple[str, str]]


class StreamFeed:
    """Reads a stream on a connection of its own: a blocking read after the other."""

    def __init__(self, path: Path, key: str, last: str) -> None:
        self._socket = connected(path)
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

    def take(self) -> list[Fields]:
        """Read what the socket has; the entries of a complete reply as pairs of field and value."""
        self._reader.feed(self._socket.recv(1 << 20))
        reply: Any = self._reader.gets()
        if reply is False:
            return []
        ((_, entries),) = reply
        self._last = text(entries[-1][0])
        self._ask()
        return [
            [(text(fields[i]), text(fields[i + 1])) for i in range(0, len(fields), 2)]
            for _, fields in entries
        ]


class VersionTimes:
    """Times orders until each symbol has come to the version that their fill made.

    ``seconds`` holds them, in the order in which they were complete.
    """

    def __init__(self) -> None:
        self._fills: dict[str, deque[tuple[int, float]]] = defaultdict(deque)
        self._versions: dict[str, int] = defaultdict(int)
        self.waiting = 0
        self.seconds: list[float] = []

    def expect(self, symbol: str, version: int, sent: float, now: float) -> None:
        """Count from ``sent``, until ``version`` or a later one has come."""
        self.waiting += 1
        self._fills[symbol].append((version, sent))
        # The version may have come before the report: it comes over another connection.
        self.reached(symbol, self._versions[symbol], now)

    def reached(self, symbol: str, version: int, now: float) -> None:
        """The symbol has come to ``version`` at ``now``."""
        self._versions[symbol] = max(version, self._versions[symbol])
        fills = self._fills[symbol]
        while fills and fills[0][0] <= version:
            self.seconds.append(now - fills.popleft()[1])
            self.waiting -= 1


class Probe:
    """Sends orders, and measures for each the seconds to its report, its position and its quote.

    ``to_report`` holds the seconds to the report, ``to_position`` those until a committed position
    includes the order's fill, and ``to_quote`` those until a quote is active that was made from
    such a position. Only an order that filled has the last two. ``quotes`` False leaves out the
    quotes and what reading them costs.
    """

    def __init__(self, world: World, quotes: bool = True) -> None:
        keys = world.keys
        reports, positions = keys.member("reports:*", CLIENT), keys.named("positions")
        self._orders = PipelinedConnection(world.socket)
        self._feeds: dict[StreamFeed, Callable[[Fields, float], None]] = {
            StreamFeed(world.socket, reports, world.end_of(reports)): self._take_reports,
            StreamFeed(world.socket, positions, world.end_of(positions)): self._take_positions,
        }
        if quotes:
            events = keys.named("quotes")
            feed = StreamFeed(world.socket, events, world.end_of(events))
            self._feeds[feed] = self._take_quotes
        self._quotes = quotes
        self._sent: dict[str, float] = {}
        self._positions, self._quoted = VersionTimes(), VersionTimes()
        self.to_report: list[float] = []
        self.to_position, self.to_quote = self._positions.seconds, self._quoted.seconds

    def close(self) -> None:
        """Close the connections."""
        self._orders.close()
        for feed in self._feeds:
            feed.close()

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
        """Whether every order sent has its report, and every fill its position and its quote."""
        return not (self._sent or self._positions.waiting or self._quoted.waiting)

    def listen(self, wait_s: float) -> None:
        """Take what is there of reports, positions and quotes, or comes within ``wait_s``."""
        ready, _, _ = select.select(list(self._feeds), [], [], max(wait_s, 0.0))
        now = time.perf_counter()
        for feed, take in self._feeds.items():
            if feed in ready:
                for fields in feed.take():
                    take(fields, now)
        self._orders.move()

    def _take_reports(self, fields: Fields, now: float) -> None:
        for order_id, line in fields:
            sent = self._sent.pop(order_id)
            self.to_report.append(now - sent)
            fill_id = line.split(" ")[4]
            if fill_id != "-":
                symbol, _, seq = fill_id.rpartition("-")
                # Fill N of a symbol makes version N of its position.
                self._positions.expect(symbol, int(seq), sent, now)
                if self._quotes:
                    self._quoted.expect(symbol, int(seq), sent, now)

    def _take_positions(self, fields: Fields, now: float) -> None:
        for symbol, line in fields:
            self._positions.reached(symbol, int(line.split(" ")[2]), now)

    def _take_quotes(self, fields: Fields, now: float) -> None:
        event = dict(fields)
        if event["event"] == "active":
            self._quoted.reached(event["symbol"], int(event["position_version"]), now)


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
            probe.listen(due - time.perf_counter() - min(EARLY / rate, EARLY_S))
        _until(lambda: probe.settled, probe)
        return probe
    finally:
        probe.close()


def _until(done: Callable[[], bool], probe: Probe) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {PATIENCE_S:.0f} s for reports, positions and quotes")
        probe.listen(1.0)
