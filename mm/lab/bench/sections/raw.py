"""Section ``raw``: what the server does without this system."""

from __future__ import annotations

from mm.lab.bench.baseline import PACKED, evalsha_per_s, has_tool, round_trip_s, xadd_per_s
from mm.lab.bench.figure import Figure
from mm.lab.bench.options import BenchRun


def measure_raw(run: BenchRun) -> list[Figure]:
    """Measure each raw figure once per repeat, one after the other."""
    count = 2 * run.size.orders
    by = "redis-benchmark -P 500 -c 4"
    if not has_tool():
        run.result.notes.append(
            "raw: redis-benchmark is not installed; a stated substitute was used"
        )
        by = "substitute: 4 connections, 500 in flight"
    xadd, packed, evalsha, trips = [], [], [], []
    with run.world("raw") as world:
        for _ in range(run.repeats):
            xadd.append(xadd_per_s(world, count))
            packed.append(xadd_per_s(world, count, PACKED))
            evalsha.append(evalsha_per_s(world, count))
            trips.append(round_trip_s(world, max(50, count // 500)) * 1e6)
    return [
        Figure("raw", "RAW: XADD of six fields", "/s", tuple(xadd), note=by),
        Figure("raw", "XADD of the packed order entry", "/s", tuple(packed), note=by),
        Figure("raw", "EVALSHA of a script that does nothing", "/s", tuple(evalsha)),
        Figure("raw", "durable round trip (XADD, one client)", "us", tuple(trips)),
    ]
