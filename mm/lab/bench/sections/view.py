"""Section ``view``: what the live view costs the market, at full load and at a moderate one."""

from __future__ import annotations

import time

from mm.lab.bench.drive import full_load
from mm.lab.bench.figure import Figure
from mm.lab.bench.load import Orders
from mm.lab.bench.options import BenchRun
from mm.lab.bench.probe import CLIENT, poisson
from mm.lab.bench.sections.cpu import cpu_s
from mm.lab.bench.watcher import Watcher
from mm.lab.bench.world import World

#: Seconds until the view has drawn its first frames.
WARM_S = 2.0
#: Orders a second of the moderate load, and the seconds of one window of it.
RATE, SLICE_S = 500.0, 6.0


def measure_view(run: BenchRun) -> list[Figure]:
    """Pairs with and without `mm watch` on a terminal, in turns; the order alternates.

    The ratios are of the rate of a full load, and of the processor time of the server at 500 orders
    a second: there the view must cost the market nothing measurable.
    """
    rates: list[float] = []
    server: list[float] = []
    shares: list[float] = []
    with run.world("view") as world:
        world.start_processes()
        full_load(world, "warm", run.size.orders // 4, run.seed, 1)
        for number in range(run.repeats):
            full: dict[bool, float] = {}
            used: dict[bool, float] = {}
            for watched in (number % 2 == 0, number % 2 == 1):
                watcher = Watcher(world) if watched else None
                try:
                    time.sleep(WARM_S)
                    name = f"v{number}{int(watched)}"
                    full[watched] = full_load(world, name, run.size.orders, run.seed, 1).rate
                    pid = watcher.pid if watcher else None
                    used[watched], share = moderate(run, world, f"{name}m", pid)
                finally:
                    if watcher:
                        watcher.close()
                shares += [share] if watched else []
            rates.append(full[True] / full[False])
            server.append(used[True] / used[False])
    return [
        Figure("view", "orders committed at full load, watched against not", "x", tuple(rates)),
        Figure("view", "server's time at 500/s, watched against not", "x", tuple(server)),
        Figure("view", "the view at 500/s", "% core", tuple(shares)),
    ]


def moderate(run: BenchRun, world: World, name: str, pid: int | None) -> tuple[float, float]:
    """The server's processor seconds for an order at 500/s, and the percentage of a core of a pid.

    The percentage is 0 without a pid.
    """
    assert world.server.process is not None
    count = min(run.size.latency_orders, int(SLICE_S * RATE))
    supply = Orders(world.config.symbols, CLIENT, name, run.seed)
    entries = supply.entries(count, world.orders_key)
    pids = [world.server.process.pid, *([pid] if pid else [])]
    before, began = [cpu_s(one) for one in pids], time.perf_counter()
    poisson(world, entries, RATE, run.seed)
    took = time.perf_counter() - began
    used = [cpu_s(one) - past for one, past in zip(pids, before, strict=True)]
    return max(used[0], 0.01) / count, 100 * used[-1] / took if pid else 0.0
