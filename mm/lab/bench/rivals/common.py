"""What the rivals share: their orders, their workers, and the line that they print.

For every order a rival does what this project's exchange and state service do, in one durable
transaction. It remembers the order by client and id, matches it against the symbol's one quote,
writes a fill with a dense number, updates the position and the quote's reservation, and writes one
report. After every REQUOTE fills of a symbol it replaces the quote under the global limit, about as
often as makers do here under full load. The workers have their orders in memory instead of a
stream, which favours the rivals.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

REFERENCE, SPREAD, SIZE, REQUOTE = 10_000, 10, 1_000, 50


@dataclass(frozen=True)
class Order:
    """A marketable order; ``buys`` or sells ``lots``, at ``limit`` or better."""

    client: str
    order_id: str
    symbol: str
    buys: bool
    lots: int
    limit: int


def arguments(text: str | None, *, url: bool) -> argparse.Namespace:
    """Parse the command line of a rival; ``url`` adds the option of a server."""
    parser = argparse.ArgumentParser(description=text)
    parser.add_argument("--orders", type=int, default=2_000)
    parser.add_argument("--symbols", type=int, default=20)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    if url:
        parser.add_argument("--url", required=True, help="unix:// or redis:// URL of a server")
    return parser.parse_args()


def symbols(count: int) -> list[str]:
    """The names of the symbols."""
    return [f"S{number:05d}" for number in range(count)]


def limit_lots(count: int) -> int:
    """The global exposure limit of each side, which fits all quotes in full."""
    return 2 * count * SIZE


def orders(count: int, names: Sequence[str], worker: int, seed: int) -> list[Order]:
    """One worker's orders: uniform symbols, random sides, 1 to 9 lots."""
    rng = random.Random(f"{seed}/{worker}")
    made = []
    for number in range(count):
        buys = bool(rng.getrandbits(1))
        price = REFERENCE + (REFERENCE // 10 if buys else -REFERENCE // 10)
        lots = rng.randint(1, 9)
        made.append(Order(f"c{worker}", f"o{number}", rng.choice(names), buys, lots, price))
    return made


Work = Callable[[Any, list[Order]], None]


def _worker(start: Any, connect: Callable[[], Any], work: Work, mine: list[Order]) -> None:
    try:
        connection = connect()
        start.wait()
        work(connection, mine)
        start.wait()
    except BaseException:
        # Release the other workers and the parent, which wait at the barrier.
        start.abort()
        raise


def run(options: argparse.Namespace, connect: Callable[[], Any], work: Work) -> float:
    """Let the workers do all orders; returns orders per second. RuntimeError if a worker failed."""
    names = symbols(options.symbols)
    share = options.orders // options.workers
    start = multiprocessing.Barrier(options.workers + 1)
    workers = [
        multiprocessing.Process(
            target=_worker,
            args=(start, connect, work, orders(share, names, number, options.seed)),
            daemon=True,
        )
        for number in range(options.workers)
    ]
    for worker in workers:
        worker.start()
    try:
        start.wait(60)
        began = time.perf_counter()
        start.wait(600)
    except threading.BrokenBarrierError as error:
        raise RuntimeError("a worker has failed, or takes too long") from error
    took = time.perf_counter() - began
    for worker in workers:
        worker.join(60)
        if worker.exitcode:
            raise RuntimeError(f"a worker ended with exit status {worker.exitcode}")
    return float(share * options.workers / took)


def print_result(result: dict[str, Any]) -> None:
    """Print the result as one JSON line and exit, with status 1 when a check failed."""
    sys.stdout.write(json.dumps(result) + "\n")
    sys.exit(1 if any(not good for good in result.get("checks", {}).values()) else 0)
