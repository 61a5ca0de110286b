"""Section ``latency``: from sending an order to its report, and to the position with its fill."""

from __future__ import annotations

from collections import defaultdict

from mm.lab.bench.baseline import round_trip_s
from mm.lab.bench.drive import full_load
from mm.lab.bench.figure import Figure, percentile
from mm.lab.bench.load import Orders
from mm.lab.bench.options import BenchRun
from mm.lab.bench.probe import CLIENT, Probe, closed_loop, poisson
from mm.lab.bench.world import World

PERCENTILES = ((50.0, "p50"), (99.0, "p99"), (99.9, "p99.9"), (100.0, "max"))
#: (way of sending, percentile) -> the most that "order to report" should be, in two round trips.
TARGETS = {
    ("closed loop", "p50"): 1.0,
    ("500/s", "p50"): 1.25,
    ("500/s", "p99"): 3.0,
    ("half of max", "p50"): 10.0,
    ("half of max", "p99"): 20.0,
}
WAYS = ("closed loop", "500/s", "half of max")
RATE = 500.0


def measure_latency(run: BenchRun) -> list[Figure]:
    """Measure all ways of sending in turn, each in round trips of the same moment."""
    found: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    trips: list[float] = []
    rates: list[float] = []
    with run.world("latency") as world:
        world.start_processes()
        for number in range(run.repeats):
            for way in WAYS:
                before = round_trip_s(world, 200)
                probe = _send(run, world, way, number, rates)
                trips += [before, round_trip_s(world, 200)]
                two_trips = trips[-1] + trips[-2]
                for what, times in (("report", probe.to_report), ("position", probe.to_position)):
                    for percent, name in PERCENTILES:
                        found[way, what, name].append(percentile(times, percent) / two_trips)
    figures = [
        Figure("latency", "two durable round trips", "us", tuple(2e6 * trip for trip in trips)),
        Figure("latency", "half of the maximum rate", "/s", tuple(rates)),
    ]
    for (way, what, name), values in found.items():
        target = TARGETS.get((way, name)) if what == "report" else None
        label = f"{way}: order to {what}, {name}"
        figures.append(Figure("latency", label, "x", tuple(values), target, at_most=True))
    return figures


def _send(run: BenchRun, world: World, way: str, number: int, rates: list[float]) -> Probe:
    """Send the orders of one repeat in one way; half of the maximum rate is added to ``rates``."""
    burst, seed = run.size.orders, run.seed
    if way == "half of max":
        rates.append(full_load(world, f"m{number}", burst, seed, 1).rate / 2)
    supply = Orders(world.config.symbols, CLIENT, f"{way[0]}{number}", seed)
    if way == "closed loop":
        return closed_loop(world, supply.entries(run.size.latency_orders, world.orders_key))
    rate, count = (RATE, run.size.latency_orders) if way == "500/s" else (rates[-1], burst)
    return poisson(world, supply.entries(count, world.orders_key), rate, seed + number)
