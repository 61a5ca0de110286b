"""Sections ``symbols`` and ``history``: what grows, and the time to recover from a kill."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack

from mm.lab.bench.drive import CLIENTS, BacklogRates, match_backlog
from mm.lab.bench.figure import Figure
from mm.lab.bench.load import Orders, preload
from mm.lab.bench.measured import PATIENCE_S
from mm.lab.bench.options import SYMBOLS, BenchRun
from mm.lab.bench.world import DEEP_LOTS, LONG_MS, World, deep_config
from mm.store import execute

SYMBOLS_SHARE, HISTORY_SHARE, LEDGER_SHARE = 0.4, 0.9, 0.9
#: Past orders are sent in entries of BULK orders, and in parts of PART orders.
BULK, PART = 100, 100_000
#: The short deduplication window has a millisecond for this many fills. It ends several times
#: while the ledger is made, and hardly once while it is measured.
FILLS_A_WINDOW_MS = 200


def measure_symbols(run: BenchRun) -> list[Figure]:
    """Matching from a backlog with few and with many symbols, in turn."""
    counts = run.size.symbol_counts
    with ExitStack() as stack:
        worlds = [
            stack.enter_context(run.world(f"{count} symbols", deep_config(count)))
            for count in counts
        ]
        rates = _in_turn(run, worlds)
    figures = []
    for count, found in zip(counts, rates, strict=True):
        matched = [one.matched for one in found]
        figures.append(
            Figure("symbols", f"{count:,} symbols: orders matched", "/s", tuple(matched))
        )
        if count != counts[0]:
            target = SYMBOLS_SHARE if count == counts[-1] else None
            label = f"{count:,} symbols: matching, share of {counts[0]:,}"
            matching, committing = _shares(found, rates[0])
            figures.append(Figure("symbols", label, "x", matching, target))
            label = f"{count:,} symbols: committing, share of {counts[0]:,}"
            figures.append(Figure("symbols", label, "x", committing))
    return figures


def measure_history(run: BenchRun) -> list[Figure]:
    """Matching with nothing behind it, with past orders, and with a long ledger; then a kill.

    The long ledger is made with a short deduplication window. Its orders are forgotten before
    anything is measured, so that only the ledger is long.
    """
    past, ledger = run.size.past_orders, run.size.ledger_fills
    short_ms = max(1_000, ledger // FILLS_A_WINDOW_MS)
    windows = (("fresh", LONG_MS), ("past", LONG_MS), ("ledger", short_ms))
    with ExitStack() as stack:
        worlds = [
            stack.enter_context(run.world(name, deep_config(SYMBOLS, window_ms)))
            for name, window_ms in windows
        ]
        fill_up(worlds[1], past, run.seed)
        fill_up(worlds[2], ledger, run.seed)
        # An order is remembered for two windows at most.
        time.sleep(2 * short_ms / 1000)
        fresh, with_past, with_ledger = _in_turn(run, worlds)
        recovery = _measure_recovery(run, worlds[1])
    matched = tuple(one.matched for one in fresh)
    return [
        Figure("history", "nothing before: orders matched", "/s", matched),
        *_history_figures("past orders", past, HISTORY_SHARE, with_past, fresh),
        *_history_figures("fills in the ledger", ledger, LEDGER_SHARE, with_ledger, fresh),
        *recovery,
    ]


def _history_figures(
    what: str,
    count: int,
    target: float,
    rates: Sequence[BacklogRates],
    base: Sequence[BacklogRates],
) -> list[Figure]:
    matching, committing = _shares(rates, base)
    return [
        Figure("history", f"{count:,} {what}: share of none", "x", matching, target),
        Figure("history", f"{count:,} {what}, committing: share of none", "x", committing),
    ]


def _in_turn(run: BenchRun, worlds: Sequence[World]) -> list[list[BacklogRates]]:
    """Measure the worlds one after the other, repeat by repeat; a list of repeats for each."""
    orders = run.size.scale_orders
    for world in worlds:
        match_backlog(world, "warm", orders // 4, run.seed)
    rates: list[list[BacklogRates]] = [[] for _ in worlds]
    for number in range(run.repeats):
        for world, found in zip(worlds, rates, strict=True):
            found.append(match_backlog(world, f"s{number}", orders, run.seed))
    return rates


def _shares(
    rates: Sequence[BacklogRates], base: Sequence[BacklogRates]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Matching and committing as shares of the base, repeat by repeat."""
    pairs = list(zip(rates, base, strict=True))
    return (
        tuple(one.matched / other.matched for one, other in pairs),
        tuple(one.committed / other.committed for one, other in pairs),
    )


def fill_up(world: World, orders: int, seed: int, run: str = "past") -> None:
    """Send, match and commit this many orders, each of which fills."""
    supply = Orders(world.config.symbols, CLIENTS[1], run, seed)
    world.quote_all(DEEP_LOTS)
    for start in range(0, orders, PART):
        part = min(PART, orders - start)
        preload(world.socket, supply.entries(part, world.orders_key, BULK))
        world.match_all()
        world.commit_all()


def _measure_recovery(run: BenchRun, world: World) -> list[Figure]:
    """Kill the server: seconds until it has loaded its data, and until an order is filled again."""
    world.start_processes()
    loads, trades = [], []
    for number in range(run.repeats):
        supply = Orders(world.config.symbols, CLIENTS[0], f"after{number}", run.seed)
        (entry,) = supply.entries(1, world.orders_key)
        began = time.perf_counter()
        world.kill_server()
        world.server.start()
        loads.append(time.perf_counter() - began)
        preload(world.socket, [entry])
        _wait_for_fill(world, entry.order_ids[0])
        trades.append(time.perf_counter() - began)
    about = f"{run.size.past_orders:,} orders and fills"
    return [
        Figure("recovery", f"kill to loaded, {about}", "s", tuple(loads)),
        Figure("recovery", f"kill to the first fill, {about}", "s", tuple(trades)),
    ]


def _wait_for_fill(world: World, order_id: str) -> None:
    """Wait for the order's report; one that is not a fill is a problem of the result."""
    stream = world.keys.member("reports:*", CLIENTS[0])
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        last = execute(world.scripts.client, "XREVRANGE", stream, "+", "-", "COUNT", 1)
        line = last[0][1].get(order_id.encode()) if last else None
        if line is not None:
            if not line.startswith(b"filled "):
                world.result.problems.append(f"{world.name}: after the kill, {line.decode()!r}")
            return
        time.sleep(0.002)
    raise TimeoutError(f"{world.name}: no report {PATIENCE_S:.0f} s after the server was killed")
