"""Section ``sustained``: minutes at four fifths of the maximum rate.

Rate, lag and memory must stay flat, also while the log is rewritten.
"""

from __future__ import annotations

import contextlib
import itertools
import statistics
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

from mm.lab.bench.drive import CLIENTS, full_load
from mm.lab.bench.figure import Figure, percentile
from mm.lab.bench.load import Entry, Orders, PipelinedConnection
from mm.lab.bench.measured import PATIENCE_S
from mm.lab.bench.options import SIZE_LOTS, SYMBOLS, BenchRun
from mm.lab.bench.probe import CLIENT, Probe
from mm.lab.bench.watcher import Watcher
from mm.lab.bench.world import World, bench_config
from mm.store import execute

SHARE = 0.8
PROBE_S, SAMPLE_S, TICK_S = 0.05, 1.0, 0.002
SUPPLY = 2_000
#: A run too short for a sample a second is sampled more often.
SAMPLES = 12
#: A run with fewer goes on until it has them, however slow the machine is: a third needs two.
LEAST_SAMPLES = 6


class Hold:
    """One sustained run on a world whose processes are live.

    ``series`` gets a sample a second: counters, sizes in bytes and times in milliseconds.
    """

    def __init__(self, world: World, rate: float, seed: int) -> None:
        self.world = world
        self.rate = rate
        self._connection = PipelinedConnection(world.socket)
        self._probe = Probe(world, quotes=False)
        self._supply = Orders(world.config.symbols, CLIENTS[0], "hold", seed)
        self._probes = Orders(world.config.symbols, CLIENT, "probe", seed)
        self._entries: deque[Entry] = deque()
        self.sent = 0
        self.series: list[dict[str, float]] = []

    def run(self, seconds: float) -> None:
        """Send at the rate, probe the latency, and add samples to ``series``.

        It lasts so many seconds, and longer where that gives fewer samples than three thirds need.
        """
        began = time.perf_counter()
        start = self.world.cursor("exchange_records")
        probe_at = sample_at = began
        every_s = min(SAMPLE_S, seconds / SAMPLES)
        while (now := time.perf_counter()) < began + seconds or len(self.series) < LEAST_SAMPLES:
            self._send(int((now - began) * self.rate) - self.sent)
            if now >= probe_at:
                self._probe.send(self._probes.entries(1, self.world.orders_key), now)
                probe_at += PROBE_S
            if now >= sample_at:
                self._sample(now - began, start)
                # None is made up for: two in one millisecond would give no rate.
                sample_at = max(sample_at, now) + every_s
            self._probe.listen(TICK_S)

    def finish(self) -> None:
        """Wait for the last commit, and close the connections."""
        self._connection.finish(self.sent)
        # A run that could not keep up has a backlog. Its figures show that, and it is audited too.
        patience_s = max(PATIENCE_S, self.series[-1]["at_s"])
        self.world.wait(self.world.drained, "the backlog to drain", patience_s)
        self._connection.close()
        self._probe.close()

    def _send(self, count: int) -> None:
        if count <= 0:
            return
        while len(self._entries) < count:
            self._entries.extend(self._supply.entries(SUPPLY, self.world.orders_key))
        self._connection.put(b"".join([self._entries.popleft().data for _ in range(count)]))
        self.sent += count

    def _sample(self, at: float, start: int) -> None:
        client = self.world.scripts.client
        info: dict[str, Any] = client.info()
        ledger = execute(client, "MEMORY", "USAGE", self.world.keys.named("fills")) or 0
        times = self._probe.to_report
        matched = self.world.cursor("exchange_records") - start
        self.series.append(
            {
                "at_s": round(at, 3),
                "matched": matched,
                "lag_orders": max(0, self.sent - matched),
                "committed": self.world.position_versions(),
                "memory_bytes": info["used_memory"] - ledger,
                "ledger_bytes": ledger,
                "log_bytes": info["aof_current_size"],
                "rewriting": info["aof_rewrite_in_progress"],
                "report_p50_ms": 1e3 * percentile(times, 50) if times else 0.0,
                "report_max_ms": 1e3 * max(times, default=0.0),
            }
        )
        times.clear()


def thirds(series: Sequence[dict[str, float]]) -> list[Sequence[dict[str, float]]]:
    """The samples in three parts of equal length; up to two samples at the end are left out."""
    size = len(series) // 3
    return [series[part * size : (part + 1) * size] for part in range(3)]


def figures(series: Sequence[dict[str, float]], rate: float) -> list[Figure]:
    """The last third of the samples against the first, and what a rewrite costs.

    The rate has no figure when nothing was matched in the first third.
    """
    first, _, last = thirds(series)

    def per_s(part: Sequence[dict[str, float]], name: str) -> float:
        return (part[-1][name] - part[0][name]) / (part[-1]["at_s"] - part[0]["at_s"])

    def middle(part: Sequence[dict[str, float]], name: str) -> float:
        return statistics.median(sample[name] for sample in part)

    def against(name: str) -> tuple[float, ...]:
        return (middle(last, name) / max(middle(first, name), 1e-9),)

    during = [one["report_max_ms"] for one in series if one["rewriting"]]
    other = [one["report_max_ms"] for one in series[1:] if not one["rewriting"]]
    rewrites = sum(b["rewriting"] > a["rewriting"] for a, b in itertools.pairwise(series))
    at_first, at_last = per_s(first, "matched"), per_s(last, "matched")
    lag = max(one["lag_orders"] for one in series) / rate
    found = [
        Figure("sustained", "orders sent", "/s", (rate,)),
        Figure("sustained", "rate, last third against first", "x", (at_last / at_first,))
        if at_first
        else None,
        Figure("sustained", "report p50, last third against first", "x", against("report_p50_ms")),
        Figure("sustained", "memory beyond the ledger, last third", "x", against("memory_bytes")),
        Figure("sustained", "longest lag of the exchange", "s", (lag,)),
        Figure("sustained", "rewrites of the log", "", (float(rewrites),)),
        Figure("sustained", "slowest report of a second, median", "ms", (statistics.median(other),))
        if other
        else None,
        Figure("sustained", "slowest report while rewriting", "ms", (max(during),))
        if during
        else None,
        Figure("sustained", "slowest report otherwise", "ms", (max(other),)) if other else None,
    ]
    return [figure for figure in found if figure is not None]


def measure_sustained(run: BenchRun) -> list[Figure]:
    """The whole run, on a system with rewrites of the log as shipped and ``mm watch`` open.

    Orders are remembered for a tenth of the run, so that bounded memory reaches its bound.
    """
    seconds = 60 * run.options.minutes
    burst = 10 * run.size.orders
    config = bench_config(SYMBOLS, SIZE_LOTS, window_ms=max(1_000, int(100 * seconds)))
    with run.world("sustained", config, rewrites=True) as world:
        world.start_processes()
        with contextlib.closing(Watcher(world)) as watcher:
            world.wait(lambda: watcher.drawn > 0, "mm watch to draw")
            # A burst long enough for a rewrite of the log gives a rate that lasts.
            rate = SHARE * full_load(world, "max", burst, run.seed, 1).rate
            hold = Hold(world, rate, run.seed)
            hold.run(seconds)
        run.result.series += hold.series
        hold.finish()
    return figures(hold.series, hold.rate)
