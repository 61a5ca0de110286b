"""Section ``load``: how much of one core each process uses at a moderate load, and at rest."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from mm.lab.bench.figure import Figure
from mm.lab.bench.options import SIZE_LOTS, BenchRun
from mm.lab.bench.world import World, bench_config

RATE, TARGET_PERCENT = 500, 25.0
IDLE_SYMBOLS, IDLE_PERCENT = 8, 2.0
WARM_S = 3.0
#: With limits so far from the reference 77 % of the orders cross, as in the figures of before.
AGGRESSIVENESS = 200


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
    """All processes at 500 orders a second, and those of a market without orders."""
    if not Path("/proc/self/stat").exists():
        run.result.notes.append("load: left out, this system has no /proc to read CPU times from")
        return []
    return [*_measure_load(run), *_measure_idle(run)]


def _measure_load(run: BenchRun) -> list[Figure]:
    """The shipped publisher sends the orders; one window per repeat."""
    with run.world("load") as world:
        world.start_processes()
        where = ("--data-dir", str(world.data_dir.path), "--id", "1")
        flow = ("--rate", str(RATE), "--aggressiveness", str(AGGRESSIVENESS))
        world.supervisor.add("publisher-1", "publisher", *flow, *where)
        time.sleep(WARM_S)
        windows = [_window(world, run.size.cpu_s) for _ in range(run.repeats)]
        world.supervisor.stop("publisher")
    about = f"at {RATE} orders/s"
    rates = tuple(rate for rate, _ in windows)
    return [
        Figure("load", f"orders matched {about}", "/s", rates),
        *_shares_of_a_core(about, TARGET_PERCENT, [percents for _, percents in windows]),
    ]


def _measure_idle(run: BenchRun) -> list[Figure]:
    """Every symbol stays quoted, with the shipped lifetime of a quote, and no order comes.

    As in every section, ``mm up`` itself is not among the processes: the benchmark stands for it.
    """
    config = bench_config(IDLE_SYMBOLS, SIZE_LOTS)
    with run.world("idle", config) as world:
        world.start_processes()
        time.sleep(WARM_S)
        windows = [_window(world, run.size.idle_s)[1] for _ in range(run.repeats)]
    return _shares_of_a_core(f"idle, {IDLE_SYMBOLS} symbols quoted", IDLE_PERCENT, windows)


def _shares_of_a_core(
    about: str, target: float, windows: Sequence[Mapping[str, float]]
) -> list[Figure]:
    """The sum of all processes, then each of them."""
    total = tuple(sum(percents.values()) for percents in windows)
    return [
        Figure("load", f"all processes {about}", "% core", total, target, at_most=True),
        *(
            Figure("load", f"{name} {about}", "% core", tuple(one[name] for one in windows))
            for name in windows[0]
        ),
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
