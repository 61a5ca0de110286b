"""Sections ``matching``, ``end-to-end`` and ``relaxed``: orders per second."""

from __future__ import annotations

from collections.abc import Sequence

from mm.lab.bench.baseline import PACKED, xadd_per_s
from mm.lab.bench.drive import ACCEPTED_SHARE, Slice, full_load, match_backlog
from mm.lab.bench.figure import Figure
from mm.lab.bench.options import SIZE_LOTS, SYMBOLS, BenchRun
from mm.lab.bench.world import bench_config, deep_config

#: The targets: see docs/PERFORMANCE.md.
MATCHING_SHARE, SINGLE_SHARE, BULK_SHARE = 0.72, 0.34, 0.45
REQUOTES = 50.0


def measure_matching(run: BenchRun) -> list[Figure]:
    """Matching alone, each repeat between two of RAW; and how many bytes an order takes."""
    orders = run.size.orders
    rates, shares, packed_shares = [], [], []
    raw_bytes = 0
    with run.world("matching", deep_config(SYMBOLS)) as world:
        memory, log = world.used_memory(), world.log_bytes()
        for number in range(run.repeats):
            log_before = world.log_bytes()
            before = xadd_per_s(world, orders)
            packed = xadd_per_s(world, orders, PACKED)
            raw_bytes += world.log_bytes() - log_before
            rate = match_backlog(world, f"m{number}", orders, run.seed).matched
            log_before = world.log_bytes()
            after = xadd_per_s(world, orders)
            raw_bytes += world.log_bytes() - log_before
            rates.append(rate)
            shares.append(rate / ((before + after) / 2))
            packed_shares.append(rate / packed)
        done = run.repeats * orders
        grown = (world.used_memory() - memory) / done
        written = (world.log_bytes() - log - raw_bytes) / done
    return [
        Figure("matching", "orders matched from a backlog", "/s", tuple(rates)),
        Figure("matching", "share of RAW", "x", tuple(shares), MATCHING_SHARE),
        Figure("matching", "share of XADD of the packed entry", "x", tuple(packed_shares)),
        Figure("matching", "memory, an order with its fill and report", "B", (grown,)),
        Figure("matching", "log, an order with its fill and report", "B", (written,)),
    ]


def measure_end_to_end(run: BenchRun) -> list[Figure]:
    """All processes live: single orders and bulk entries, each repeat between two of RAW."""
    orders, figures = run.size.orders, []
    with run.world("end-to-end") as world:
        world.start_processes()
        full_load(world, "warm", orders // 4, run.seed, 1)
        for name, bulk in (("single orders", 1), ("20 an entry", 20)):
            slices, shares = [], []
            for number in range(run.repeats):
                before = xadd_per_s(world, orders)
                slices.append(full_load(world, f"e{bulk}.{number}", orders, run.seed, bulk))
                after = xadd_per_s(world, orders)
                shares.append(slices[-1].rate / ((before + after) / 2))
            figures += _end_to_end_figures(name, bulk, slices, shares)
    return figures


def _end_to_end_figures(
    name: str, bulk: int, slices: Sequence[Slice], shares: Sequence[float]
) -> list[Figure]:
    """The figures of one way of sending; only single orders have every target."""

    def figure(
        what: str,
        unit: str,
        values: Sequence[float],
        target: float | None = None,
        at_most: bool = False,
    ) -> Figure:
        return Figure("end-to-end", f"{name}: {what}", unit, tuple(values), target, at_most)

    single = bulk == 1
    accepted, requotes = [one.accepted for one in slices], [one.requotes for one in slices]
    return [
        figure("orders committed", "/s", [one.rate for one in slices]),
        figure("share of RAW", "x", shares, SINGLE_SHARE if single else BULK_SHARE),
        figure("proposals accepted", "x", accepted, ACCEPTED_SHARE if single else None),
        figure("re-quotes a symbol", "/s", requotes, REQUOTES if single else None),
        figure(
            "marketable orders not filled", "", [float(one.unfilled) for one in slices], 0.0, True
        ),
    ]


def measure_relaxed(run: BenchRun) -> list[Figure]:
    """What waiting for the disk costs: fsync once a second against always, one after the other."""
    orders = run.size.orders
    times, rates = [], []
    config = bench_config(SYMBOLS, SIZE_LOTS, durability="relaxed")
    with run.world("relaxed", config) as world:
        world.start_processes()
        full_load(world, "warm", orders // 4, run.seed, 1)
        for number in range(run.repeats):
            found = {}
            for setting in ("always", "everysec"):
                world.scripts.client.config_set("appendfsync", setting)
                found[setting] = full_load(world, f"{setting}{number}", orders, run.seed, 1).rate
            rates.append(found["everysec"])
            times.append(found["everysec"] / found["always"])
    return [
        Figure("relaxed", "single orders with --durability relaxed (everysec)", "/s", tuple(rates)),
        Figure("relaxed", "as a multiple of durability always", "x", tuple(times)),
    ]
