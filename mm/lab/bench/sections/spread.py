"""Sections ``partitions``, ``replicas`` and ``failover``: more than one server."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from redis.exceptions import RedisError

from mm.errors import Unavailable
from mm.lab.bench.figure import Figure
from mm.lab.bench.measured import Part
from mm.lab.bench.options import SIZE_LOTS, SYMBOLS, BenchRun
from mm.lab.bench.spread import SpreadWorld
from mm.lab.bench.world import bench_config
from mm.market import Config, Order, Report
from mm.orders import OrderClient, PartitionClient
from mm.store import Keys, execute, open_client, text

#: Partitions that are compared, each on a server of its own.
COUNTS = (1, 2, 4)
#: A final report takes at most so many times what a report takes.
FINAL_TIMES = 2.0
#: Orders a second of the sender in section failover, and seconds that one may take.
FAILOVER_RATE, FAILOVER_S = 200, 30.0
CLIENT = "bench-failover"


def _config(partitions: int, replicas: int) -> Config:
    # With four servers a symbol has up to four times the flow of one.
    config = bench_config(SYMBOLS, max(COUNTS) * SIZE_LOTS)
    return replace(config, partitions=partitions, replicas=replicas)


def _world(run: BenchRun, name: str, partitions: int, replicas: int) -> SpreadWorld:
    return SpreadWorld(run.result, name, _config(partitions, replicas), run.options.binary)


def measure_partitions(run: BenchRun) -> list[Figure]:
    """The same load on 1, 2 and 4 partitions, each on a server of its own, in turns."""
    rates: dict[int, list[float]] = {count: [] for count in COUNTS}
    costs: dict[int, list[float]] = {count: [] for count in COUNTS}
    unfilled: list[float] = []
    for number in range(run.repeats):
        for count in COUNTS:
            with _world(run, f"{count} partitions", count, 0) as world:
                orders = run.size.orders // count
                world.load("warm", orders // 4, run.seed)
                found = world.load(f"p{number}", orders, run.seed)
            rates[count].append(found.rate)
            costs[count].append(found.cpu_us)
            unfilled.append(found.unfilled)
    figures = []
    for count in COUNTS:
        what = f"{count} on {count} servers" if count > 1 else "1 on 1 server"
        figures.append(_figure("partitions", f"{what}: orders committed", "/s", rates[count]))
        if count > 1:
            times = _ratios(rates[count], rates[1])
            figures.append(_figure("partitions", f"{what}: times that of 1", "x", times))
        figures.append(
            _figure("partitions", f"{what}: processor time an order", "us", costs[count])
        )
        if count > 1:
            times = _ratios(costs[count], costs[1])
            figures.append(_figure("partitions", f"{what}: times the cost of 1", "x", times))
    name = "marketable orders not filled"
    return [*figures, Figure("partitions", name, "", tuple(unfilled), 0.0, at_most=True)]


def measure_replicas(run: BenchRun) -> list[Figure]:
    """What one replica costs: in throughput, in processor time, and until a report is final."""
    rates: list[list[float]] = [[], []]
    costs: list[list[float]] = [[], []]
    times: list[float] = []
    milliseconds: list[float] = []
    for number in range(run.repeats):
        for replicas in (0, 1):
            with _world(run, f"{replicas} replicas", 1, replicas) as world:
                world.load("warm", run.size.orders // 4, run.seed)
                found = world.load(f"r{number}", run.size.orders, run.seed)
                rates[replicas].append(found.rate)
                costs[replicas].append(found.cpu_us)
                if replicas:
                    read, final = _to_final(world.parts[0], run.size.latency_orders)
                    times.append(final / read)
                    milliseconds.append(1000 * final)
    name = "order to final report, times order to report (median)"
    return [
        _figure("replicas", "1 replica: times the orders/s of none", "x", _ratios(*rates[::-1])),
        _figure("replicas", "1 replica: times the cost of none", "x", _ratios(*costs[::-1])),
        Figure(
            "replicas",
            name,
            "x",
            tuple(times),
            FINAL_TIMES,
            at_most=True,
            milliseconds=tuple(milliseconds),
        ),
    ]


def _to_final(part: Part, orders: int) -> tuple[float, float]:
    """The median seconds from an order to its report, and to its final one, order by order."""
    seconds: dict[bool, list[float]] = {False: [], True: []}
    clients = {}
    for is_final in seconds:
        name = f"bench-{'final' if is_final else 'read'}"
        connection = open_client(part.data_dir.url, tag=part.keys.prefix)
        clients[is_final] = PartitionClient(connection, part.keys, name)
        clients[is_final].submit(_order(part.config, name, 0))
    # What a client would do that takes a report for final at once.
    clients[False].take_as_final()
    for number in range(1, orders + 1):
        for is_final, client in clients.items():
            order = _order(part.config, client.client_id, number)
            began = time.perf_counter()
            client.submit(order)
            seconds[is_final].append(time.perf_counter() - began)
    for client in clients.values():
        client.close()
    return statistics.median(seconds[False]), statistics.median(seconds[True])


def _order(config: Config, client_id: str, number: int) -> Order:
    """An order that no quote meets."""
    symbol = config.symbols[number % len(config.symbols)]
    return Order(client_id, f"o{number}", symbol.name, "buy", 1, 1)


def measure_failover(run: BenchRun) -> list[Figure]:
    """Kill a primary while it trades: how long its partition fills nothing, and what is lost."""
    gaps: list[float] = []
    with _world(run, "failover", 2, 1) as world:
        sender = _Sender(world)
        for _ in range(run.repeats):
            gaps.append(_fail_over(world, sender))
        lost, doubled, finals = sender.finish()
    if not finals:
        run.result.problems.append("failover: no outcome became final")
    return [
        _figure("failover", "time without a fill", "s", gaps),
        Figure("failover", "final outcomes lost", "", (float(lost),), 0.0, at_most=True),
        Figure("failover", "orders filled twice", "", (float(doubled),), 0.0, at_most=True),
        Figure("failover", "final outcomes compared", "", (float(finals),)),
    ]


class _Sender:
    """Sends orders at a steady rate to one partition after the other, and remembers what is final.

    Each order is marketable.
    """

    def __init__(self, world: SpreadWorld) -> None:
        self._world = world
        self._client = OrderClient(open_client(world.data_dir.url), Keys(), CLIENT)
        self._names = [one.name for one in world.config.symbols]
        self._due = time.perf_counter()
        self._sent = 0
        self.final: dict[str, Report] = {}

    def step(self) -> None:
        """Send what is due, and read what has become final."""
        batch = []
        while self._due <= time.perf_counter():
            name = self._names[self._sent % len(self._names)]
            batch.append(Order(CLIENT, f"f{self._sent}", name, "buy", 1, 20_000))
            self._due += 1 / FAILOVER_RATE
            self._sent += 1
        try:
            self._client.send(batch)
            found = self._client.poll()
        except Unavailable:
            # Unanswered orders go again with the next poll.
            return
        self.final |= {report.order_id: report for report in found}

    def finish(self) -> tuple[int, int, int]:
        """Wait for all; how many final outcomes are lost, orders filled twice, and final ones."""

        def answered() -> bool:
            try:
                found = self._client.poll(50)
            except Unavailable:
                return False
            self.final |= {report.order_id: report for report in found}
            return not self._client.unanswered

        self._world.until("every order is answered", answered)
        self._client.close()
        fills = Counter[str]()
        for part in self._world.parts:
            for _, fields in execute(
                part.scripts.client, "XRANGE", part.keys.named("fills"), "-", "+"
            ):
                for line in list(fields.values()):
                    _, _, _, client_id, order_id, *_ = text(line).split()
                    fills[order_id] += client_id == CLIENT
        filled = [one for one in self.final.values() if one.cum_lots]
        lost = sum(not fills[one.order_id] for one in filled)
        return lost, sum(count > 1 for count in fills.values()), len(self.final)


def _fail_over(world: SpreadWorld, sender: _Sender) -> float:
    """Kill the primary of partition 0; the seconds until it fills again."""
    part = world.parts[0]
    _until_steady(world, sender)
    (victim,) = (server for server in world.server.servers if server.data_dir.socket == part.socket)
    killed = time.perf_counter()
    victim.kill()
    first: int | None = None

    def filled() -> bool:
        nonlocal first
        sender.step()
        fills = _fills(world, part)
        # What the primary has filled last may be gone.
        first = fills if first is None else first
        return fills is not None and first is not None and fills > first

    world.until("it fills again", filled, FAILOVER_S)
    return time.perf_counter() - killed


def _until_steady(world: SpreadWorld, sender: _Sender) -> None:
    """Trade until each partition has its replica and the sender has few unanswered orders."""

    def steady() -> bool:
        sender.step()
        try:
            linked = [
                part.scripts.client.info("replication").get("slave0", {}).get("state") == "online"
                for part in world.parts
            ]
        except (RedisError, OSError):
            return False
        return all(linked)

    world.until("each partition has its replica", steady)
    until = time.perf_counter() + 1.0
    world.until("it has traded on", lambda: steady() and time.perf_counter() > until)


def _fills(world: SpreadWorld, part: Part) -> int | None:
    """How many fills there are; None while no server has the partition."""
    try:
        return world.fills_of(part)
    except (RedisError, OSError):
        return None


def _ratios(values: Sequence[float], others: Sequence[float]) -> list[float]:
    return [one / other for one, other in zip(values, others, strict=True)]


def _figure(section: str, name: str, unit: str, values: Sequence[float]) -> Figure:
    return Figure(section, name, unit, tuple(values))
