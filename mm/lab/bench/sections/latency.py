"""Section ``latency``: from sending an order to its report, its position and the next quote."""

from __future__ import annotations

from collections import defaultdict

from mm.lab.bench.baseline import round_trip_s
from mm.lab.bench.drive import ACCEPTED_SHARE, Acceptance, full_load
from mm.lab.bench.figure import Figure, Samples, percentile
from mm.lab.bench.load import Orders
from mm.lab.bench.options import BenchRun
from mm.lab.bench.probe import CLIENT, Probe, closed_loop, poisson
from mm.lab.bench.world import World

PERCENTILES = ((50.0, "p50"), (99.0, "p99"), (99.9, "p99.9"), (100.0, "max"))
#: (way of sending, what, percentile) -> the most it should be, in two durable round trips.
TARGETS = {
    ("closed loop", "report", "p50"): 1.0,
    ("closed loop", "position", "p50"): 2.5,
    ("20/s", "quote", "p50"): 8.0,
    ("500/s", "report", "p50"): 1.25,
    ("500/s", "report", "p99"): 8.0,
    ("500/s", "position", "p50"): 2.5,
    ("500/s", "quote", "p50"): 12.0,
    ("500/s", "quote", "p99"): 60.0,
    ("half of max", "report", "p50"): 10.0,
    ("half of max", "report", "p99"): 20.0,
}
#: The ways of sending at a fixed rate, in orders a second.
RATES = {"20/s": 20.0, "500/s": 500.0}
WAYS = ("closed loop", *RATES, "half of max")
#: The longest slice of a fixed rate.
SLICE_S = 10.0


def measure_latency(run: BenchRun) -> list[Figure]:
    """Measure all ways of sending in turn, each in round trips of the same moment.

    Each repeat's times are kept among the samples of the result.
    """
    found: dict[tuple[str, str, str], list[tuple[float, float]]] = defaultdict(list)
    trips: list[float] = []
    rates: list[float] = []
    shares: list[float] = []
    with run.world("latency") as world:
        world.start_processes()
        for number in range(run.repeats):
            for way in WAYS:
                before = round_trip_s(world, 200)
                probe = _send(run, world, way, number, rates, shares)
                trips += [before, round_trip_s(world, 200)]
                two_trips = trips[-1] + trips[-2]
                for what, times in _times(probe).items():
                    name = f"{way}: order to {what}"
                    run.result.samples.append(Samples("latency", name, number, two_trips, times))
                    for percent, rank in PERCENTILES:
                        seconds = percentile(times, percent)
                        found[way, what, rank].append((seconds / two_trips, 1e3 * seconds))
    figures = [
        Figure("latency", "two durable round trips", "us", tuple(2e6 * trip for trip in trips)),
        Figure("latency", "half of the maximum rate", "/s", tuple(rates)),
        Figure("latency", "half of max: proposals accepted", "x", tuple(shares), ACCEPTED_SHARE),
    ]
    for (way, what, rank), values in found.items():
        multiples, milliseconds = zip(*values, strict=True)
        figures.append(
            Figure(
                "latency",
                f"{way}: order to {what}, {rank}",
                "x",
                multiples,
                TARGETS.get((way, what, rank)),
                at_most=True,
                milliseconds=milliseconds,
            )
        )
    return figures


def _times(probe: Probe) -> dict[str, list[float]]:
    """The seconds of every order, by what they lead to; nothing where no order came to it."""
    times = {"report": probe.to_report, "position": probe.to_position, "quote": probe.to_quote}
    return {what: seconds for what, seconds in times.items() if seconds}


def _send(
    run: BenchRun, world: World, way: str, number: int, rates: list[float], shares: list[float]
) -> Probe:
    """Send the orders of one repeat in one way.

    Half of the maximum rate is added to ``rates``, and the share of the proposals that were
    accepted at that rate to ``shares``.
    """
    burst, seed = run.size.orders, run.seed
    if way == "half of max":
        rates.append(full_load(world, f"m{number}", burst, seed, 1).rate / 2)
    supply = Orders(world.config.symbols, CLIENT, f"{way[:2]}{number}", seed)
    if way == "closed loop":
        return closed_loop(world, supply.entries(run.size.latency_orders, world.orders_key))
    if way == "half of max":
        accepted = Acceptance(world)
        probe = poisson(world, supply.entries(burst, world.orders_key), rates[-1], seed + number)
        shares.append(accepted.share())
        return probe
    rate = RATES[way]
    count = min(run.size.latency_orders, int(SLICE_S * rate))
    return poisson(world, supply.entries(count, world.orders_key), rate, seed + number)
