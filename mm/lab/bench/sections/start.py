"""Section ``start``: what a command's start costs, against those of Python and its libraries."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from mm.host import exit_reason, module_command, module_environment
from mm.lab.bench.figure import Figure
from mm.lab.bench.options import BenchRun

#: The names of the programs: two yardsticks, and what is measured by them.
PYTHON, LIBRARIES, HELP, POSITIONS = "Python", "click, redis and rich", "mm --help", "mm positions"
CLIENT = "import of OrderClient"
#: The most that each should take, in starts of each yardstick: see docs/PERFORMANCE.md.
TARGETS = {
    (HELP, PYTHON): 3.0,
    (HELP, LIBRARIES): 0.4,
    (POSITIONS, LIBRARIES): 3.0,
    (CLIENT, PYTHON): None,
}


def measure_start(run: BenchRun) -> list[Figure]:
    """Start each program in turn, several times a repeat; the least processor time of each counts.

    A start only computes. What else runs on the machine can add to its processor time and takes
    nothing away, so the least one is the nearest to the truth.
    """
    # Its symbols are set up and nothing else, so that the command shows a system and not an error.
    with run.world("start", audited=False) as world:
        positions = [*module_command("mm"), "positions", "--data-dir", str(world.data_dir.path)]
        programs = _programs() | {POSITIONS: positions}
        environment = module_environment()
        return _figures(
            [_least(programs, run.size.starts, environment) for _ in range(run.repeats)]
        )


def measure_start_of(tree: Path, starts: int) -> list[Figure]:
    """The same of the package in a source tree, once, without a system of its own."""
    environment = module_environment()
    others = environment.get("PYTHONPATH")
    environment["PYTHONPATH"] = os.pathsep.join([str(tree), *([others] if others else [])])
    return _figures([_least(_programs(), starts, environment)])


def _programs() -> dict[str, Sequence[str]]:
    python = [sys.executable, "-P", "-c"]
    return {
        PYTHON: [*python, "pass"],
        LIBRARIES: [*python, "import click, redis, rich.console"],
        HELP: [*module_command("mm"), "--help"],
        CLIENT: [*python, "from mm import OrderClient"],
    }


def _figures(found: Sequence[Mapping[str, float]]) -> list[Figure]:
    """Each program that was measured, in starts of its yardsticks; an item a repeat."""
    return [
        Figure(
            "start",
            f"{name}, in starts of {yardstick}",
            "x",
            tuple(one[name] / one[yardstick] for one in found),
            target,
            at_most=True,
            milliseconds=tuple(1e3 * one[name] for one in found),
        )
        for (name, yardstick), target in TARGETS.items()
        if name in found[0]
    ]


def _least(
    programs: Mapping[str, Sequence[str]], starts: int, environment: Mapping[str, str]
) -> dict[str, float]:
    """The least processor seconds of each program's starts, which take turns."""
    least = dict.fromkeys(programs, float("inf"))
    for _ in range(starts):
        for name, command in programs.items():
            least[name] = min(least[name], processor_s(name, command, environment))
    return least


def processor_s(name: str, command: Sequence[str], environment: Mapping[str, str]) -> float:
    """The processor seconds of a program from its start to its end; OSError when it fails."""
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment,
    ) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise OSError(f"{name}: {exit_reason(process.returncode)}")
    return used.ru_utime + used.ru_stime
