"""What the processes cost at a moderate load: shares of one core."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

from mm.lab.bench.figure import Figure
from mm.lab.bench.world import World

RATE, TARGET_PERCENT = 500, 25.0
WARM_S = 3.0


def cpu_s(pid: int) -> float:
    """User and system seconds that a process has used; OSError where /proc does not tell."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def pids(world: World) -> dict[str, int]:
    """The process ids of the server and of every child, by name."""
    assert world.supervisor is not None
    assert world.server.process is not None
    children = world.supervisor.children.values()
    running = {child.name: child.process.pid for child in children if child.process is not None}
    return {"server": world.server.process.pid} | running


def _used(before: Mapping[str, float], after: Mapping[str, float], took: float) -> dict[str, float]:
    return {name: 100 * (after[name] - before[name]) / took for name in before}


def measure_cpu(world: World, repeats: int, seconds: float) -> list[Figure]:
    """All processes and the shipped publisher at 500 orders a second, window after window."""
    supervisor = world.start_processes()
    where = ("--data-dir", str(world.server.data_dir.path), "--id", "1")
    supervisor.add("publisher-1", "publisher", "--rate", str(RATE), *where)
    time.sleep(WARM_S)
    found: dict[str, list[float]] = {}
    rates = []
    for _ in range(repeats):
        processes = pids(world)
        orders, began = world.cursor("exchange_records"), time.perf_counter()
        before = {name: cpu_s(pid) for name, pid in processes.items()}
        time.sleep(seconds)
        after = {name: cpu_s(pid) for name, pid in processes.items()}
        took = time.perf_counter() - began
        rates.append((world.cursor("exchange_records") - orders) / took)
        for name, percent in _used(before, after, took).items():
            found.setdefault(name, []).append(percent)
    supervisor.stop("publisher")
    total = tuple(map(sum, zip(*found.values(), strict=True)))
    about = f"at {RATE} orders/s"
    return [
        Figure("load", f"orders matched {about}", "/s", tuple(rates)),
        Figure("load", f"all processes {about}", "% core", total, TARGET_PERCENT, at_most=True),
        *(Figure("load", f"{name} {about}", "% core", tuple(v)) for name, v in found.items()),
    ]
