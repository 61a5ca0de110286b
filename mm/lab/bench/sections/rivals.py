"""Section ``alternatives``: the programs in ``rivals``, which do the same work in ordinary ways."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
from typing import Any

from mm.host import module_command, module_environment
from mm.lab.bench.drive import full_load
from mm.lab.bench.figure import Figure
from mm.lab.bench.options import BenchRun
from mm.lab.bench.world import World

TIMES = 22.0
#: Name -> (module of ``rivals``, whether it uses a server of ours).
PROGRAMS = {
    "WATCH/MULTI, redis-py, 4 workers": ("watch_multi", True),
    "PostgreSQL, a transaction an order, 4 workers": ("postgres", False),
}

#: Seconds that a broken-off rival may take to stop what it started.
ENDING_S = 10


def measure_rivals(run: BenchRun) -> list[Figure]:
    """Measure this system and each rival in turn; a rival's server is a world without a system.

    A rival does ``rival_orders``, which takes it about as long as ``orders`` take here.
    """
    ratios: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    rates: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    # Rivals empty their server: nothing of this system is left on it to audit.
    with (
        run.world("an alternative's server", audited=False) as other,
        run.world("alternatives") as world,
    ):
        world.start_processes()
        full_load(world, "warm", run.size.orders // 4, run.seed, 1)
        for number in range(run.repeats):
            for name, (program, _) in PROGRAMS.items():
                rate = _rival_rate(run, other, name, number)
                if rate is None:
                    continue
                rates[name].append(rate)
                label = f"p{number}.{program[0]}"
                load = full_load(world, label, run.size.orders, run.seed, 1)
                ratios[name].append(load.rate / rate)
    figures = []
    for name, found in rates.items():
        if found:
            figures.append(Figure("alternatives", name, "/s", tuple(found)))
            label = f"end to end, times {name.partition(',')[0]}"
            figures.append(Figure("alternatives", label, "x", tuple(ratios[name]), TIMES))
    return figures


def _rival_rate(run: BenchRun, other: World, name: str, number: int) -> float | None:
    """Orders per second of one run of a rival; None when it did not run, or ran wrongly.

    A rival that lacks its programs is a note of the result, one that went wrong a problem.
    """
    program, needs_url = PROGRAMS[name]
    printed = _run_rival(other, program, needs_url, run.size.rival_orders, run.seed + number)
    if "skipped" in printed:
        if number == 0:
            run.result.notes.append(f"alternatives: {name} left out: {printed['skipped']}")
        return None
    wrong = [check for check, good in printed.get("checks", {}).items() if not good]
    if "failed" in printed or wrong:
        run.result.problems.append(f"{name}: {printed.get('failed') or ', '.join(wrong)}")
        return None
    return float(printed["orders_per_s"])


def _run_rival(
    world: World, program: str, needs_url: bool, orders: int, seed: int
) -> dict[str, Any]:
    """What a rival printed; ``failed`` says why when it printed nothing."""
    command = module_command(f"mm.lab.bench.rivals.{program}")
    command += ["--orders", str(orders), "--symbols", str(len(world.config.symbols))]
    command += ["--seed", str(seed)]
    if needs_url:
        world.scripts.client.flushall()
        command += ["--url", world.server.url]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=module_environment(),
    ) as process:
        try:
            out, err = process.communicate(timeout=900)
        except BaseException:
            # It may have started a server of its own, which it ends after this signal.
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(ENDING_S)
            process.kill()
            raise
    if not out.strip():
        last = err.strip().splitlines()[-1:] or ["it printed nothing"]
        return {"failed": f"exit status {process.returncode}: {last[0]}"}
    printed: dict[str, Any] = json.loads(out)
    return printed
