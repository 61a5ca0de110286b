"""What the server does without this system: the measure of all shares and multiples."""

from __future__ import annotations

import re
import shutil
import statistics
import subprocess
import time
from pathlib import Path

from mm.errors import Unavailable
from mm.lab.bench.figure import Figure
from mm.lab.bench.load import Pipe, encode
from mm.lab.bench.world import World
from mm.store import execute

#: The usual way of writing an order to a stream: six named fields. Shares are of this one.
SIX_FIELDS = (
    *("order_id", "o123456", "client_id", "c1", "symbol", "SYM01"),
    *("side", "buy", "qty_lots", "10", "limit_ticks", "10025"),
)
#: The very entry of this order API.
PACKED = ("o123456", "c1 SYM01 buy 10 10025")
#: A stream that nothing else uses; within the hash tag, as all keys of the system.
KEY = "{bench}:raw"
TOOL = "redis-benchmark"


def has_tool() -> bool:
    """Whether redis-benchmark can be run."""
    return shutil.which(TOOL) is not None


def xadd_per_s(world: World, count: int, fields: tuple[str, ...] = SIX_FIELDS) -> float:
    """XADD of these fields, pipelined by 500 over four connections, entries a second."""
    rate = _with_tool(world, count, fields) if has_tool() else _substitute(world, count, fields)
    execute(world.scripts.client, "DEL", KEY)
    return rate


def _with_tool(world: World, count: int, fields: tuple[str, ...]) -> float:
    shape = ["-P", "500", "-c", "4", "-n", str(count), "-q"]
    command = [TOOL, "-s", str(world.socket), *shape, "XADD", KEY, "*", *fields]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    found = re.findall(r"([0-9.]+) requests per second", done.stdout)
    if not found:
        raise Unavailable(f"{TOOL} did not say how fast it was: {done.stderr.strip()[-200:]!r}")
    return float(found[-1])


def _substitute(world: World, count: int, fields: tuple[str, ...]) -> float:
    """The same load from this process: four connections, 500 commands in flight on each."""
    data = encode(["XADD", KEY, "*", *fields]) * 500
    pipes = [Pipe(Path(world.socket)) for _ in range(4)]
    rounds = max(1, count // 2_000)
    began = time.perf_counter()
    for number in range(1, rounds + 1):
        for pipe in pipes:
            pipe.put(data)
        for pipe in pipes:
            pipe.finish(500 * number)
    took = time.perf_counter() - began
    for pipe in pipes:
        pipe.close()
    return rounds * 2_000 / took


def round_trip_s(world: World, count: int) -> float:
    """The median time of an XADD and its reply by one client, on disk before it is answered."""
    pipe = Pipe(world.socket)
    data = encode(["XADD", KEY, "*", *PACKED])
    times = []
    for number in range(1, count + 1):
        began = time.perf_counter()
        pipe.put(data)
        pipe.finish(number)
        times.append(time.perf_counter() - began)
    pipe.close()
    execute(world.scripts.client, "DEL", KEY)
    return statistics.median(times)


def _evalsha_per_s(world: World, count: int) -> float:
    """A script that does nothing, pipelined by 500 from this process, calls a second."""
    sha = world.scripts.client.script_load("return {'$'}")
    data = encode(["EVALSHA", str(sha), "0"]) * 500
    pipe = Pipe(world.socket)
    began = time.perf_counter()
    for number in range(1, count // 500 + 1):
        pipe.put(data)
        # Two "$" a reply: the length of the one word, and the word.
        pipe.finish(1_000 * number)
    took = time.perf_counter() - began
    pipe.close()
    return count / took


def measure_raw(world: World, repeats: int, count: int) -> list[Figure]:
    """The raw figures, taken in turn."""
    xadd, packed, evalsha, trips = [], [], [], []
    for _ in range(repeats):
        xadd.append(xadd_per_s(world, count))
        packed.append(xadd_per_s(world, count, PACKED))
        evalsha.append(_evalsha_per_s(world, count))
        trips.append(round_trip_s(world, max(50, count // 500)) * 1e6)
    by = "redis-benchmark -P 500 -c 4" if has_tool() else "substitute: 4 connections, 500 in flight"
    return [
        Figure("raw", "RAW: XADD of six fields", "/s", tuple(xadd), note=by),
        Figure("raw", "XADD of the packed order entry", "/s", tuple(packed), note=by),
        Figure("raw", "EVALSHA of a script that does nothing", "/s", tuple(evalsha)),
        Figure("raw", "durable round trip (XADD, one client)", "us", tuple(trips)),
    ]
