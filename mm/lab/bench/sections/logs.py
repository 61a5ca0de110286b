"""Section ``logs``: what a log with every order costs the market, against one with summaries."""

from __future__ import annotations

from mm.host import ChildPlan, LogOptions
from mm.lab.bench.drive import full_load
from mm.lab.bench.figure import Figure
from mm.lab.bench.options import BenchRun
from mm.lab.bench.sections.view import moderate


def measure_logs(run: BenchRun) -> list[Figure]:
    """Pairs of systems, in turns: the logs of one name every order, as JSON lines."""
    rates: list[float] = []
    server: list[float] = []
    for number in range(run.repeats):
        full: dict[bool, float] = {}
        used: dict[bool, float] = {}
        for detail in (number % 2 == 0, number % 2 == 1):
            with run.world(f"logs-{number}{int(detail)}") as world:
                logs = LogOptions(detail, "json")
                world.start_children(ChildPlan(publishers=0, logs=logs))
                world.wait(world.all_quoted, "every symbol to be quoted")
                full_load(world, "warm", run.size.orders // 4, run.seed, 1)
                full[detail] = full_load(world, "full", run.size.orders, run.seed, 1).rate
                used[detail], _ = moderate(run, world, "some", None)
        rates.append(full[True] / full[False])
        server.append(used[True] / used[False])
    return [
        Figure("logs", "orders committed at full load, every order logged", "x", tuple(rates)),
        Figure("logs", "server's time at 500/s, every order logged", "x", tuple(server)),
    ]
