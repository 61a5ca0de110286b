"""Section ``archive``: what archiving costs at full load, and a market with a long past."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace

from mm.archivist import Archivist
from mm.audit import audit
from mm.lab.bench.drive import full_load
from mm.lab.bench.figure import Figure
from mm.lab.bench.options import SYMBOLS, BenchRun
from mm.lab.bench.sections.cpu import cpu_s, pids
from mm.lab.bench.sections.scale import fill_up
from mm.lab.bench.world import World, deep_config
from mm.store import archived_fills

#: The long past is made with a short deduplication window: its orders are not what is measured.
WINDOW_MS = 2_000
#: The past is made in so many parts, and measured after the first and after the last.
PARTS = 10


def measure_archive(run: BenchRun) -> list[Figure]:
    """Full loads with and without an archivist in turns, then a past of many fills."""
    return [*_measure_cost(run), *_measure_past(run)]


def _measure_cost(run: BenchRun) -> list[Figure]:
    """Pairs of full loads. Without it the archivist is stopped, and archives all afterwards."""
    orders = run.size.orders
    rates, behind, used, catching = [], [], [], []
    with run.world("archive") as world:
        world.start_processes()
        full_load(world, "warm", orders // 4, run.seed, 1)
        pid = pids(world)["archivist-1"]
        for number in range(run.repeats):
            found: dict[bool, float] = {}
            for archived in (number % 2 == 0, number % 2 == 1):
                _catch_up(world)
                before, past = cpu_s(pid), world.position_versions()
                os.kill(pid, signal.SIGCONT if archived else signal.SIGSTOP)
                found[archived] = full_load(
                    world, f"a{number}{archived:d}", orders, run.seed, 1
                ).rate
                waiting = world.position_versions() - _archived(world)
                fills = world.position_versions() - past
                os.kill(pid, signal.SIGCONT)
                took = _catch_up(world)
                if archived:
                    behind.append(100 * waiting / fills)
                    used.append(1e6 * (cpu_s(pid) - before) / fills)
                else:
                    catching.append(waiting / took)
            rates.append(found[True] / found[False])
    return [
        Figure("archive", "orders committed at full load, archived against not", "x", tuple(rates)),
        Figure("archive", "not archived yet at its end", "% of fills", tuple(behind)),
        Figure("archive", "archivist's time a fill, with its order", "us", tuple(used)),
        Figure("archive", "fills archived afterwards, nothing else to do", "/s", tuple(catching)),
    ]


def _archived(world: World) -> int:
    return archived_fills(world.scripts.archive_state().heads or {})


def _catch_up(world: World) -> float:
    """Wait until every fill is archived; the seconds that it took."""
    began = time.perf_counter()
    world.wait(lambda: _archived(world) == world.position_versions(), "all fills to be archived")
    return time.perf_counter() - began


def _measure_past(run: BenchRun) -> list[Figure]:
    """A past of many fills, made in parts: memory, restart and audit after the first and all."""
    fills = run.size.archived_fills
    part = fills // PARTS
    config = deep_config(SYMBOLS, WINDOW_MS)
    # Streams of bounded length are at their bounds after the first part: what grows later is seen.
    config = replace(config, keep_orders=part // 10, keep_reports=100, keep_updates=100)
    config = replace(config, archive_mb=100)
    memory, whole, restarts = [], [], []
    with run.world("past", config) as world:
        archivist = world.process(Archivist)
        assert isinstance(archivist, Archivist)
        archivist.directory = world.data_dir.path
        spent = 0.0
        for number in range(PARTS):
            fill_up(world, part, run.seed, f"p{number}")
            began = time.perf_counter()
            while archivist.step():
                pass
            spent += time.perf_counter() - began
            if number in (0, PARTS - 1):
                # An order is remembered for two windows at most.
                time.sleep(2 * WINDOW_MS / 1000)
                memory.append(float(world.used_memory()))
                whole.append(_audit_s(world))
                archivist.close()
                restarts.append(_restarts_s(world, run.repeats))
                archivist.open()
        size = sum(one.stat().st_size for one in world.data_dir.path.glob("archive*"))
        since = _audit_s(world, since_ms=int(1e15))
        archivist.close()

    def figure(what: str, unit: str, value: float) -> Figure:
        return Figure("archive", f"{fills:,} fills: {what}", unit, (value,))

    return [
        figure("archived", "/s", fills / spent),
        figure("file, a fill", "B", size / fills),
        figure(f"server's memory, against {part:,}", "x", memory[1] / memory[0]),
        Figure(
            "archive",
            f"{fills:,} fills: kill to loaded, against {part:,}",
            "x",
            tuple(late / early for early, late in zip(*restarts, strict=True)),
            milliseconds=tuple(1e3 * late for late in restarts[1]),
        ),
        figure("whole audit, a fill", "us", 1e6 * whole[1] / fills),
        figure("audit since the last marks, against whole", "x", since / whole[1]),
    ]


def _restarts_s(world: World, repeats: int) -> list[float]:
    """The seconds from a kill until the server has loaded its data again, so many times.

    A start after a kill rewrites the log. So the first restart, which is not counted, leaves a log
    of what there is, without how it came to be.
    """
    found = []
    for _ in range(repeats + 1):
        began = time.perf_counter()
        world.kill_server()
        world.server.start()
        found.append(time.perf_counter() - began)
    return found[1:]


def _audit_s(world: World, since_ms: int | None = None) -> float:
    """The seconds of an audit; its violations are problems of the result."""
    began = time.perf_counter()
    found = audit(world.scripts, since_ms=since_ms)
    took = time.perf_counter() - began
    for check in found.checks:
        world.result.problems += [f"past: {check.name}: {one}" for one in check.violations[:3]]
    return took
