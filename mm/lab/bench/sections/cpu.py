"""Section ``load``: how much of one core each process uses at a moderate load."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

from mm.lab.bench.figure import Figure
from mm.lab.bench.options import BenchRun
from mm.lab.bench.world import World

RATE, TARGET_PERCENT = 500, 25.0
WARM_S = 3.0


def cpu_s(pid: int) -> float:
    """User and system seconds that a process has used; OSError where /proc does not say."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def pids(world: World) -> dict[str, int]:
    """The process ids of the server and of every child, by name."""
    assert world.server.process is not None
    children = world.supervisor.children.values()
    running = {child.name: child.process.pid for child in children if child.process is not None}
    return {"server": world.server.process.pid} | running


def measure_cpu(run: BenchRun) -> list[Figure]:
    """All processes and the shipped publisher at 500 orders a second, one window per repeat."""
    if not Path("/proc/self/stat").exists():
        run.result.notes.append("load: left out, this system has no /proc to read CPU times from")
        return []
    found: dict[str, list[float]] = {}
    rates = []
    with run.world("load") as world:
        world.start_processes()
        where = ("--data-dir", str(world.data_dir.path), "--id", "1")
        world.supervisor.add("publisher-1", "publisher", "--rate", str(RATE), *where)
        time.sleep(WARM_S)
        for _ in range(run.repeats):
            rate, percents = _window(world, run.size.cpu_s)
            rates.append(rate)
            for name, percent in percents.items():
                found.setdefault(name, []).append(percent)
        world.supervisor.stop("publisher")
    total = tuple(map(sum, zip(*found.values(), strict=True)))
    about = f"at {RATE} orders/s"
    return [
        Figure("load", f"orders matched {about}", "/s", tuple(rates)),
        Figure("load", f"all processes {about}", "% core", total, TARGET_PERCENT, at_most=True),
        *(Figure("load", f"{name} {about}", "% core", tuple(v)) for name, v in found.items()),
    ]


def _window(world: World, seconds: float) -> tuple[float, dict[str, float]]:
    """Orders matched per second in one window, and each process's percentage of a core."""
    processes = pids(world)
    orders, began = world.cursor("exchange_records"), time.perf_counter()
    before = _cpu_times(processes)
    time.sleep(seconds)
    after = _cpu_times(processes)
    took = time.perf_counter() - began
    rate = (world.cursor("exchange_records") - orders) / took
    return rate, {name: 100 * (after[name] - before[name]) / took for name in before}


def _cpu_times(processes: Mapping[str, int]) -> dict[str, float]:
    return {name: cpu_s(pid) for name, pid in processes.items()}
