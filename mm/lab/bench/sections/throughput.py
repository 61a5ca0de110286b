"""Throughput: matching alone from a backlog, and everything together under full load."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import Any

from mm.lab.bench.figure import Figure
from mm.lab.bench.load import Entry, Orders, Pipe, preload
from mm.lab.bench.sections.raw import PACKED, xadd_per_s
from mm.lab.bench.world import World
from mm.store import execute, text

#: What is asked of it: see docs/PERFORMANCE.md.
MATCHING_SHARE, SINGLE_SHARE, BULK_SHARE = 0.65, 0.35, 0.5
ACCEPTED_SHARE, REQUOTES = 0.85, 50.0
#: Orders without a report at a time, over both clients.
WINDOW = 4_000
CLIENTS = ("bench-1", "bench-2")
#: Connections that send, as many as RAW has, and bytes that each sends at a time: what the server
#: reads from one before it turns to the next. All that it reads in one turn shares an fsync.
CONNECTIONS, CHUNK = 4, 16_384


def matched(world: World, run: str, orders: int, seed: int, bulk: int = 1) -> float:
    """Preload a backlog, match it, commit its fills; orders a second of the matching."""
    return committed_too(world, run, orders, seed, bulk)[0]


def committed_too(
    world: World, run: str, orders: int, seed: int, bulk: int = 1
) -> tuple[float, float]:
    """As :func:`matched`; orders a second of the matching, and fills a second of committing."""
    supply = Orders(world.config.symbols, "bench-1", run, seed)
    preload(world.socket, supply.entries(orders, world.orders_key, bulk))
    world.quote_all(world.config.symbols[0].size_lots)
    before = world.position_versions()
    took = world.match_all()
    committing = world.commit_all()
    filled = world.position_versions() - before
    if filled != orders:
        world.result.problems.append(f"{world.name}: {orders - filled} of {orders} did not fill")
    return orders / took, filled / committing


def matching(world: World, repeats: int, orders: int, seed: int) -> list[Figure]:
    """Matching alone, each slice between two of RAW; and what an order costs in bytes."""
    rates, shares, packed_shares = [], [], []
    memory, log, done = world.used_memory(), world.log_bytes(), 0
    raw_bytes = 0
    for number in range(repeats):
        log_before = world.log_bytes()
        before = xadd_per_s(world, orders)
        packed = xadd_per_s(world, orders, PACKED)
        raw_bytes += world.log_bytes() - log_before
        rate = matched(world, f"m{number}", orders, seed)
        log_before = world.log_bytes()
        after = xadd_per_s(world, orders)
        raw_bytes += world.log_bytes() - log_before
        done += orders
        rates.append(rate)
        shares.append(rate / ((before + after) / 2))
        packed_shares.append(rate / packed)
    grown = (world.used_memory() - memory) / done
    written = (world.log_bytes() - log - raw_bytes) / done
    return [
        Figure("matching", "orders matched from a backlog", "/s", tuple(rates)),
        Figure("matching", "share of RAW", "x", tuple(shares), MATCHING_SHARE),
        Figure("matching", "share of XADD of the packed entry", "x", tuple(packed_shares)),
        Figure("matching", "memory, an order with its fill and report", "B", (grown,)),
        Figure("matching", "log, an order with its fill and report", "B", (written,)),
    ]


@dataclass(frozen=True)
class Slice:
    """One run under full load: orders a second until the last fill was committed, and so on."""

    rate: float
    accepted: float
    requotes: float
    unfilled: int


def full_load(world: World, run: str, orders: int, seed: int, bulk: int) -> Slice:
    """Send ``orders`` with a bounded number in flight, and wait for all reports and commits."""
    queues = [
        deque(Orders(world.config.symbols, client, run, seed).entries(part, world.orders_key, bulk))
        for client, part in zip(CLIENTS, (orders - orders // 2, orders // 2), strict=True)
    ]
    entries: deque[Entry] = deque()
    while any(queues):
        entries.extend(queue.popleft() for queue in queues if queue)
    listener = _Listener(world)
    committed = world.position_versions()
    time.sleep(1.1)  # so that the makers' last heartbeats count all that they have done
    versions, proposals = world.quote_versions(), _proposals(world)
    pipes = [Pipe(world.socket) for _ in range(CONNECTIONS)]
    began = time.perf_counter()
    sent = 0
    while listener.reports < orders:
        for pipe in pipes:
            data = b""
            while entries and sent - listener.reports < WINDOW and len(data) < CHUNK:
                data += entries[0].data
                sent += len(entries.popleft().order_ids)
            pipe.put(data)
        busy = any(pipe.unsent for pipe in pipes)
        listener.hear(1 if busy or (entries and sent - listener.reports < WINDOW) else 20)
    world.wait(
        lambda: world.position_versions() >= committed + listener.fills,
        "all fills to be committed",
    )
    took = time.perf_counter() - began
    requotes = (world.quote_versions() - versions) / len(world.config.symbols) / took
    for pipe in pipes:
        pipe.close()
    time.sleep(1.1)
    share = (world.quote_versions() - versions) / max(1, _proposals(world) - proposals)
    return Slice(orders / took, share, requotes, orders - listener.filled)


class _Listener:
    """Reads the reports of both clients and counts them."""

    def __init__(self, world: World) -> None:
        self._client = world.scripts.client
        self._last = {}
        for name in CLIENTS:
            stream = world.keys.member("reports:*", name)
            self._last[stream] = world.end_of(stream)
        self.reports = self.filled = self.fills = 0

    def hear(self, wait_ms: int) -> None:
        words: list[Any] = [*self._last, *self._last.values()]
        reply = execute(self._client, "XREAD", "BLOCK", wait_ms, "STREAMS", *words)
        for name, found in reply or []:
            self._last[name.decode()] = text(found[-1][0])
            for _, fields in found:
                self.reports += len(fields)
                whole = sum(line.startswith(b"filled ") for line in fields.values())
                self.filled += whole
                self.fills += whole + sum(
                    line.startswith(b"partially_filled ") for line in fields.values()
                )


def _proposals(world: World) -> int:
    """Proposals that the makers have made, by their heartbeats."""
    assert world.supervisor is not None
    names = [name for name in world.supervisor.children if name.startswith("maker")]
    counts = [
        execute(world.scripts.client, "HGET", world.keys.member("process:*", name), "count")
        for name in names
    ]
    return sum(int(count or 0) for count in counts)


def relaxed(world: World, repeats: int, orders: int, seed: int) -> list[Figure]:
    """What waiting for the disk costs: single orders with fsync once a second, and always, in turn.

    The world's configuration must allow both.
    """
    world.start_processes()
    full_load(world, "warm", orders // 4, seed, 1)
    times, rates = [], []
    for number in range(repeats):
        found = {}
        for setting in ("always", "everysec"):
            world.scripts.client.config_set("appendfsync", setting)
            found[setting] = full_load(world, f"{setting}{number}", orders, seed, 1).rate
        rates.append(found["everysec"])
        times.append(found["everysec"] / found["always"])
    return [
        Figure("relaxed", "single orders with --durability relaxed (everysec)", "/s", tuple(rates)),
        Figure("relaxed", "as a multiple of durability always", "x", tuple(times)),
    ]


def end_to_end(world: World, repeats: int, orders: int, seed: int) -> list[Figure]:
    """All processes live: single orders and bulk entries, each slice between two of RAW."""
    world.start_processes()
    full_load(world, "warm", orders // 4, seed, 1)
    figures = []
    for name, bulk, target in (("single orders", 1, SINGLE_SHARE), ("20 an entry", 20, BULK_SHARE)):
        slices, shares = [], []
        for number in range(repeats):
            before = xadd_per_s(world, orders)
            slices.append(full_load(world, f"e{bulk}.{number}", orders, seed, bulk))
            after = xadd_per_s(world, orders)
            shares.append(slices[-1].rate / ((before + after) / 2))
        part = "end-to-end"
        figures += [
            Figure(part, f"{name}: orders committed", "/s", tuple(one.rate for one in slices)),
            Figure(part, f"{name}: share of RAW", "x", tuple(shares), target),
            Figure(
                part,
                f"{name}: proposals accepted",
                "x",
                tuple(one.accepted for one in slices),
                ACCEPTED_SHARE if bulk == 1 else None,
            ),
            Figure(
                part,
                f"{name}: re-quotes a symbol",
                "/s",
                tuple(one.requotes for one in slices),
                REQUOTES if bulk == 1 else None,
            ),
            Figure(
                part,
                f"{name}: marketable orders not filled",
                "",
                tuple(float(one.unfilled) for one in slices),
                0.0,
                at_most=True,
            ),
        ]
    return figures
