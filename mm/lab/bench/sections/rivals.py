"""The ordinary alternatives, which do the same work: the programs in ``rivals``, as they are."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from mm.lab.bench.figure import Figure
from mm.lab.bench.sections.throughput import full_load
from mm.lab.bench.world import World

TIMES = 35.0
PROGRAMS = {
    "WATCH/MULTI, redis-py, 4 workers": ("watch_multi", True),
    "PostgreSQL, a transaction an order, 4 workers": ("postgres", False),
}


def _run(world: World, program: str, needs_url: bool, orders: int, seed: int) -> dict[str, Any]:
    """One run of an alternative, on the world's server in keys of its own if it needs one."""
    command = [sys.executable, "-m", f"mm.lab.bench.rivals.{program}"]
    command += ["--orders", str(orders), "--symbols", str(len(world.config.symbols))]
    command += ["--seed", str(seed)]
    if needs_url:
        world.scripts.client.flushall()
        command += ["--url", world.server.url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    if not done.stdout.strip():
        last = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        return {"failed": f"exit status {done.returncode}: {last[0]}"}
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def measure_rivals(
    world: World, other: World, repeats: int, orders: int, theirs: int, seed: int
) -> list[Figure]:
    """End to end here and there in turn; ``other`` is an empty server that an alternative uses.

    They do ``theirs`` orders each time, which takes them as long as ``orders`` take here.
    """
    result = world.result
    world.start_processes()
    full_load(world, "warm", orders // 4, seed, 1)
    ours: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    rates: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    for number in range(repeats):
        for name, (program, needs_url) in PROGRAMS.items():
            said = _run(other, program, needs_url, theirs, seed + number)
            if "skipped" in said:
                if number == 0:
                    result.notes.append(f"alternatives: {name} left out: {said['skipped']}")
                continue
            wrong = [check for check, good in said.get("checks", {}).items() if not good]
            if "failed" in said or wrong:
                result.problems.append(f"{name}: {said.get('failed') or ', '.join(wrong)}")
                continue
            rates[name].append(said["orders_per_s"])
            load = full_load(world, f"p{number}.{program[0]}", orders, seed, 1)
            ours[name].append(load.rate / said["orders_per_s"])
    figures = []
    for name, found in rates.items():
        if found:
            figures.append(Figure("alternatives", name, "/s", tuple(found)))
            label = f"end to end, times {name.partition(',')[0]}"
            figures.append(Figure("alternatives", label, "x", tuple(ours[name]), TIMES))
    return figures
