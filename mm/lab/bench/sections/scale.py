"""What grows: symbols, past orders, the ledger; and the time to be back after a kill."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TypeAlias

from mm.lab.bench.figure import Figure
from mm.lab.bench.load import Orders, preload
from mm.lab.bench.sections.throughput import CLIENTS, committed_too, matched
from mm.lab.bench.world import LONG_MS, PATIENCE_S, World, close_all, config
from mm.market import Config
from mm.store import execute

SYMBOLS_SHARE, HISTORY_SHARE, LEDGER_SHARE = 0.4, 0.9, 0.9
#: More than any slice trades, so that quotes last without makers.
DEEP_LOTS = 10_000_000
#: Past orders are sent in entries of this many, and in parts of so many.
BULK, PART = 100, 100_000

#: The short deduplication window is a millisecond for this many fills: it is over several times
#: while the ledger is made, and hardly once while it is measured.
FILLS_A_WINDOW_MS = 200

#: Starts a world of this name with this configuration.
Start: TypeAlias = Callable[[str, Config], World]


def deep(count: int, window_ms: int = LONG_MS) -> Config:
    """A configuration whose quotes outlast every slice."""
    return config(count, DEEP_LOTS, LONG_MS, window_ms)


def fill_up(world: World, orders: int, seed: int) -> None:
    """Send, match and commit this many orders, each of which fills."""
    supply = Orders(world.config.symbols, CLIENTS[1], "past", seed)
    world.quote_all(DEEP_LOTS)
    for start in range(0, orders, PART):
        part = min(PART, orders - start)
        preload(world.socket, supply.entries(part, world.orders_key, BULK))
        world.match_all()
        world.commit_all()


def _in_turn(
    worlds: Sequence[World], repeats: int, orders: int, seed: int
) -> tuple[list[list[float]], list[list[float]]]:
    """Orders matched, and fills committed, a second: a list of repeats for each world."""
    match: list[list[float]] = [[] for _ in worlds]
    commit: list[list[float]] = [[] for _ in worlds]
    for world in worlds:
        matched(world, "warm", orders // 4, seed)
    for number in range(repeats):
        for place, world in enumerate(worlds):
            rate, committed = committed_too(world, f"s{number}", orders, seed)
            match[place].append(rate)
            commit[place].append(committed)
    return match, commit


def _share(some: Sequence[float], base: Sequence[float]) -> tuple[float, ...]:
    return tuple(one / other for one, other in zip(some, base, strict=True))


def symbols(
    start: Start, counts: Sequence[int], repeats: int, orders: int, seed: int
) -> list[Figure]:
    """Matching from a backlog with few and with many symbols, in turn."""
    worlds: list[World] = []
    try:
        worlds += [start(f"{count} symbols", deep(count)) for count in counts]
        match, commit = _in_turn(worlds, repeats, orders, seed)
    except BaseException:
        close_all(worlds, False)
        raise
    close_all(worlds)
    figures = []
    for count, rates, commits in zip(counts, match, commit, strict=True):
        figures.append(Figure("symbols", f"{count:,} symbols: orders matched", "/s", tuple(rates)))
        if count != counts[0]:
            target = SYMBOLS_SHARE if count == counts[-1] else None
            label = f"{count:,} symbols: matching, share of {counts[0]:,}"
            figures.append(Figure("symbols", label, "x", _share(rates, match[0]), target))
            label = f"{count:,} symbols: committing, share of {counts[0]:,}"
            figures.append(Figure("symbols", label, "x", _share(commits, commit[0])))
    return figures


def history(
    start: Start, past: int, ledger: int, repeats: int, orders: int, seed: int
) -> list[Figure]:
    """Matching with nothing behind it, with past orders, and with a long ledger; then a kill.

    The long ledger is made with a short deduplication window, and its orders are forgotten before
    anything is measured, so that it is the ledger alone that is long.
    """
    worlds: list[World] = []
    try:
        short_ms = max(1_000, ledger // FILLS_A_WINDOW_MS)
        for name, window_ms in (("fresh", LONG_MS), ("past", LONG_MS), ("ledger", short_ms)):
            worlds.append(start(name, deep(20, window_ms)))
        fill_up(worlds[1], past, seed)
        fill_up(worlds[2], ledger, seed)
        # An order is remembered for two windows at most.
        time.sleep(2 * short_ms / 1000)
        match, commit = _in_turn(worlds, repeats, orders, seed)
        figures = [
            Figure("history", "nothing before: orders matched", "/s", tuple(match[0])),
            *_against("past orders", past, HISTORY_SHARE, match[1], match[0]),
            *_against("past orders, committing", past, None, commit[1], commit[0]),
            *_against("fills in the ledger", ledger, LEDGER_SHARE, match[2], match[0]),
            *_against("fills in the ledger, committing", ledger, None, commit[2], commit[0]),
            *_recovery(worlds[1], repeats, past, seed),
        ]
    except BaseException:
        close_all(worlds, False)
        raise
    close_all(worlds)
    return figures


def _against(
    what: str, count: int, target: float | None, some: Sequence[float], base: Sequence[float]
) -> list[Figure]:
    return [Figure("history", f"{count:,} {what}: share of none", "x", _share(some, base), target)]


def _recovery(world: World, repeats: int, past: int, seed: int) -> list[Figure]:
    """Kill the server: seconds until it has loaded, and until an order is filled again."""
    world.start_processes()
    loads, trades = [], []
    for number in range(repeats):
        supply = Orders(world.config.symbols, CLIENTS[0], f"after{number}", seed)
        (entry,) = supply.entries(1, world.orders_key)
        began = time.perf_counter()
        world.kill_server()
        world.server.start()
        loads.append(time.perf_counter() - began)
        preload(world.socket, [entry])
        _await_fill(world, entry.order_ids[0])
        trades.append(time.perf_counter() - began)
    about = f"{past:,} orders and fills"
    return [
        Figure("recovery", f"kill to loaded, {about}", "s", tuple(loads)),
        Figure("recovery", f"kill to the first fill, {about}", "s", tuple(trades)),
    ]


def _await_fill(world: World, order_id: str) -> None:
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
