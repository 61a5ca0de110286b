"""What the server does without this system: the base of every share and multiple."""

from __future__ import annotations

import re
import shutil
import statistics
import subprocess
import time

from mm.errors import Unavailable
from mm.lab.bench.load import PipelinedConnection, encode
from mm.lab.bench.world import World
from mm.store import execute

#: The usual way to write an order to a stream: six named fields. RAW is XADD of this entry.
SIX_FIELDS = (
    *("order_id", "o123456", "client_id", "c1", "symbol", "SYM01"),
    *("side", "buy", "qty_lots", "10", "limit_ticks", "10025"),
)
#: An entry as the order API of this system has it.
PACKED = ("o123456", "c1 SYM01 buy 10 10025")
#: A stream that nothing else uses, within the hash tag of a benchmark.
KEY = "{bench}:raw"
TOOL = "redis-benchmark"
#: Commands in flight on each connection, and connections.
DEPTH, CONNECTIONS = 500, 4


def has_tool() -> bool:
    """Whether redis-benchmark is installed."""
    return shutil.which(TOOL) is not None


def xadd_per_s(world: World, count: int, fields: tuple[str, ...] = SIX_FIELDS) -> float:
    """Entries per second of a pipelined XADD of these fields; Unavailable when the tool fails."""
    rate = _with_tool(world, count, fields) if has_tool() else _substitute(world, count, fields)
    execute(world.scripts.client, "DEL", KEY)
    return rate


def _with_tool(world: World, count: int, fields: tuple[str, ...]) -> float:
    # The tool takes a password on its command line only, where others could read it.
    execute(world.scripts.client, "ACL", "SETUSER", "default", "nopass")
    shape = ["-P", str(DEPTH), "-c", str(CONNECTIONS), "-n", str(count), "-q"]
    command = [TOOL, "-s", str(world.socket), *shape, "XADD", KEY, "*", *fields]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    found = re.findall(r"([0-9.]+) requests per second", done.stdout)
    if not found:
        raise Unavailable(f"{TOOL} printed no rate: {done.stderr.strip()[-200:]!r}")
    return float(found[-1])


def _substitute(world: World, count: int, fields: tuple[str, ...]) -> float:
    """The same load from this process."""
    data = encode(["XADD", KEY, "*", *fields]) * DEPTH
    connections = [PipelinedConnection(world.socket) for _ in range(CONNECTIONS)]
    rounds = max(1, count // (DEPTH * CONNECTIONS))
    began = time.perf_counter()
    for number in range(1, rounds + 1):
        for connection in connections:
            connection.put(data)
        for connection in connections:
            connection.finish(DEPTH * number)
    took = time.perf_counter() - began
    for connection in connections:
        connection.close()
    return rounds * DEPTH * CONNECTIONS / took


def round_trip_s(world: World, count: int) -> float:
    """Median seconds from an XADD of one client to its reply, which comes once it is on disk."""
    connection = PipelinedConnection(world.socket)
    data = encode(["XADD", KEY, "*", *PACKED])
    times = []
    for number in range(1, count + 1):
        began = time.perf_counter()
        connection.put(data)
        connection.finish(number)
        times.append(time.perf_counter() - began)
    connection.close()
    execute(world.scripts.client, "DEL", KEY)
    return statistics.median(times)


def evalsha_per_s(world: World, count: int) -> float:
    """Calls per second of a script that does nothing, pipelined over one connection."""
    sha = world.scripts.client.script_load("return {'$'}")
    data = encode(["EVALSHA", str(sha), "0"]) * DEPTH
    connection = PipelinedConnection(world.socket)
    began = time.perf_counter()
    for number in range(1, count // DEPTH + 1):
        connection.put(data)
        # Each reply has two "$": before the length of its one word, and the word itself.
        connection.finish(2 * DEPTH * number)
    took = time.perf_counter() - began
    connection.close()
    return count / took
