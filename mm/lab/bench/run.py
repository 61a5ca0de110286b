"""``mm bench``: every section in turn, each on throwaway systems, in one run."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from redis.exceptions import RedisError

from mm.errors import MMError
from mm.host import allocator, default_binary, identify
from mm.lab.bench.figure import Figure, Result
from mm.lab.bench.options import BenchOptions, BenchRun
from mm.lab.bench.sections.archive import measure_archive
from mm.lab.bench.sections.cpu import measure_cpu
from mm.lab.bench.sections.hold import measure_sustained
from mm.lab.bench.sections.http import measure_http
from mm.lab.bench.sections.latency import measure_latency
from mm.lab.bench.sections.logs import measure_logs
from mm.lab.bench.sections.raw import measure_raw
from mm.lab.bench.sections.rivals import measure_rivals
from mm.lab.bench.sections.scale import measure_history, measure_symbols
from mm.lab.bench.sections.scrape import measure_scrape
from mm.lab.bench.sections.spread import measure_failover, measure_partitions, measure_replicas
from mm.lab.bench.sections.start import measure_start
from mm.lab.bench.sections.throughput import (
    measure_end_to_end,
    measure_matching,
    measure_relaxed,
)
from mm.lab.bench.sections.view import measure_view

#: The sections in their order: name -> what measures it.
SECTIONS: dict[str, Callable[[BenchRun], list[Figure]]] = {
    "raw": measure_raw,
    "matching": measure_matching,
    "end-to-end": measure_end_to_end,
    "relaxed": measure_relaxed,
    "latency": measure_latency,
    "symbols": measure_symbols,
    "history": measure_history,
    "load": measure_cpu,
    "view": measure_view,
    "archive": measure_archive,
    "scrape": measure_scrape,
    "logs": measure_logs,
    "start": measure_start,
    "http": measure_http,
    "alternatives": measure_rivals,
    "partitions": measure_partitions,
    "replicas": measure_replicas,
    "failover": measure_failover,
    "sustained": measure_sustained,
}


def run_bench(options: BenchOptions) -> Result:
    """Measure the chosen sections, in the order of :data:`SECTIONS`.

    A section that fails is a problem of the result, and the next one follows.
    """
    run = BenchRun(options, Result(machine=machine(options)))
    for name, measure in SECTIONS.items():
        if name in options.sections:
            options.say(name)
            try:
                figures = measure(run)
                if not options.judged:
                    figures = [replace(figure, target=None) for figure in figures]
                run.result.figures += figures
            except (MMError, RedisError, OSError) as error:
                run.result.problems.append(f"{name}: not measured to its end: {error}")
    if not options.judged:
        run.result.notes.append("a quick run, for its form: its figures mean nothing")
    return run.result


def machine(options: BenchOptions) -> dict[str, str]:
    """What the run was measured on: processor, system, server, versions."""
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
