"""``mm bench``: every section in turn, each on throwaway systems, in one run."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from redis.exceptions import RedisError

from mm.errors import MMError
from mm.host import allocator, default_binary, identify
from mm.lab.bench.figure import Figure, Result
from mm.lab.bench.sections.cpu import measure_cpu
from mm.lab.bench.sections.hold import measure_hold
from mm.lab.bench.sections.latency import measure_latency
from mm.lab.bench.sections.raw import has_tool, measure_raw
from mm.lab.bench.sections.rivals import measure_rivals
from mm.lab.bench.sections.scale import DEEP_LOTS, Start, history, symbols
from mm.lab.bench.sections.throughput import end_to_end, matching, relaxed
from mm.lab.bench.world import LONG_MS, World, close_all, config

#: Quotes of the live sections: about a tenth of a second of one side's flow at full load.
SIZE_LOTS = 1_250
SYMBOLS = 20


@dataclass(frozen=True)
class Size:
    """How much is measured: orders a slice, and so on."""

    orders: int = 100_000
    latency_orders: int = 3_000
    scale_orders: int = 50_000
    counts: Sequence[int] = (10, 100, 1_000, 10_000)
    past: int = 1_000_000
    ledger: int = 5_000_000
    cpu_s: float = 10.0
    theirs: int = 8_000


#: For the form and the invariants only: its figures mean nothing.
QUICK = Size(2_000, 100, 1_000, (10, 50), 3_000, 5_000, 1.0, 200)


@dataclass(frozen=True)
class BenchOptions:
    """What to measure, and on what."""

    binary: Path | None
    repeats: int
    seed: int
    sections: Sequence[str]
    size: Size
    minutes: float
    say: Callable[[str], None]


def machine(options: BenchOptions) -> dict[str, str]:
    """What this ran on, for whoever reads the figures."""
    name, version = identify(options.binary or default_binary())
    model = platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    cores = 0
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition(":")
            cores += key.strip() == "processor"
            model = value.strip() if key.strip() == "model name" else model
    return {
        "cpu": f"{model}, {cores} cores",
        "system": f"{platform.system()} {platform.release()}",
        "server": f"{name} {version}",
        "allocator": allocator().get("LD_PRELOAD", "the server's own"),
        "Python": platform.python_version(),
        "seed": str(options.seed),
    }


def _on(result: Result, options: BenchOptions, name: str, ttl_ms: int = 30_000) -> World:
    return World.start(result, name, config(SYMBOLS, SIZE_LOTS, ttl_ms), options.binary)


def _closing(worlds: Sequence[World], measure: Callable[[], list[Figure]]) -> list[Figure]:
    try:
        found = measure()
    except BaseException:
        close_all(worlds, False)
        raise
    close_all(worlds)
    return found


def _raw(result: Result, options: BenchOptions) -> list[Figure]:
    world = _on(result, options, "raw")
    if not has_tool():
        result.notes.append("raw: redis-benchmark is not installed; a stated substitute was used")
    return _closing([world], lambda: measure_raw(world, options.repeats, 2 * options.size.orders))


def _matching(result: Result, options: BenchOptions) -> list[Figure]:
    deep = config(SYMBOLS, DEEP_LOTS, LONG_MS)
    world = World.start(result, "matching", deep, options.binary)
    size, seed = options.size, options.seed
    return _closing([world], lambda: matching(world, options.repeats, size.orders, seed))


def _end_to_end(result: Result, options: BenchOptions) -> list[Figure]:
    world = _on(result, options, "end-to-end")
    size, seed = options.size, options.seed
    return _closing([world], lambda: end_to_end(world, options.repeats, size.orders, seed))


def _relaxed(result: Result, options: BenchOptions) -> list[Figure]:
    settings = config(SYMBOLS, SIZE_LOTS, durability="relaxed")
    world = World.start(result, "relaxed", settings, options.binary)
    size, seed = options.size, options.seed
    return _closing([world], lambda: relaxed(world, options.repeats, size.orders, seed))


def _latency(result: Result, options: BenchOptions) -> list[Figure]:
    world = _on(result, options, "latency")
    size, seed = options.size, options.seed
    orders, burst = size.latency_orders, size.orders
    return _closing([world], lambda: measure_latency(world, options.repeats, orders, burst, seed))


def _symbols(result: Result, options: BenchOptions) -> list[Figure]:
    size = options.size
    start = _starter(result, options)
    return symbols(start, size.counts, options.repeats, size.scale_orders, options.seed)


def _history(result: Result, options: BenchOptions) -> list[Figure]:
    size = options.size
    start = _starter(result, options)
    return history(start, size.past, size.ledger, options.repeats, size.scale_orders, options.seed)


def _starter(result: Result, options: BenchOptions) -> Start:
    return lambda name, settings: World.start(result, name, settings, options.binary)


def _load(result: Result, options: BenchOptions) -> list[Figure]:
    if not Path("/proc/self/stat").exists():
        result.notes.append("load: left out, this system has no /proc to read CPU times from")
        return []
    world = _on(result, options, "load")
    return _closing([world], lambda: measure_cpu(world, options.repeats, options.size.cpu_s))


def _alternatives(result: Result, options: BenchOptions) -> list[Figure]:
    size, repeats, seed = options.size, options.repeats, options.seed
    other = _on(result, options, "an alternative's server")
    try:
        ours = _on(result, options, "alternatives")
        return _closing(
            [ours],
            lambda: measure_rivals(ours, other, repeats, size.orders, size.theirs, seed),
        )
    finally:
        # Nothing of this system is left in it to audit.
        other.close(False)


def _sustained(result: Result, options: BenchOptions) -> list[Figure]:
    burst = 10 * options.size.orders
    return measure_hold(result, options.minutes, burst, options.seed, options.binary)


SECTIONS: dict[str, Callable[[Result, BenchOptions], list[Figure]]] = {
    "raw": _raw,
    "matching": _matching,
    "end-to-end": _end_to_end,
    "relaxed": _relaxed,
    "latency": _latency,
    "symbols": _symbols,
    "history": _history,
    "load": _load,
    "alternatives": _alternatives,
    "sustained": _sustained,
}


def run_bench(options: BenchOptions) -> Result:
    """Measure the sections asked for, in the order of :data:`SECTIONS`.

    One that cannot be measured to its end is a problem of the result, and the next one follows.
    """
    result = Result(machine=machine(options))
    for name, measure in SECTIONS.items():
        if name in options.sections:
            options.say(name)
            try:
                result.figures += measure(result, options)
            except (MMError, RedisError, OSError) as error:
                result.problems.append(f"{name}: not measured to its end: {error}")
    return result
