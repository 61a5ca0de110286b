"""Section ``http``: an order over HTTP beside a plain one, open streams, a watcher of the page."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from mm.errors import UsageError
from mm.host import ServeAddress, check_serve_extra, tokens_directory
from mm.lab.bench.figure import Figure, percentile
from mm.lab.bench.http_sender import HttpSender, open_stream, order_bodies
from mm.lab.bench.load import Orders
from mm.lab.bench.options import BenchRun
from mm.lab.bench.probe import CLIENT, poisson
from mm.lab.bench.sections.cpu import cpu_s
from mm.lab.bench.world import World

RATE = 500.0
#: The client of the orders over HTTP, streams that are held open, and seconds of a window.
NAME, STREAMS, WINDOW_S = "bench-http", 1_000, 4.0


def measure_http(run: BenchRun) -> list[Figure]:
    """In turns: orders by XADD, then over HTTP; then a watcher, then streams held open."""
    try:
        check_serve_extra()
    except UsageError as error:
        run.result.notes.append(f"http: left out, {error}")
        return []
    ways: dict[str, list[float]] = {}
    with run.world("http") as world:
        world.start_processes()
        gateway = _Gateway(world)
        sender = HttpSender(gateway.port, gateway.token(f"client-{NAME}"))
        try:
            for number in range(run.repeats):
                for name, value in _turn(run, world, gateway, sender, number).items():
                    ways.setdefault(name, []).append(value)
        finally:
            sender.close()
        if sender.refused:
            run.result.problems.append(f"http: {sender.refused} orders were answered by no report")
        ways |= _streams(run, gateway)
        world.supervisor.stop("serve")
    return [Figure("http", name, _unit(name), tuple(values)) for name, values in ways.items()]


def _unit(name: str) -> str:
    return {"KB": "KB", "ms": "ms", "%": "% core"}.get(name.rpartition(", ")[2], "x")


class _Gateway:
    """A gateway that serves the world."""

    def __init__(self, world: World) -> None:
        listener = ServeAddress.parse("127.0.0.1:0").listener()
        self.port: int = listener.getsockname()[1]
        listener.close()
        self._world = world
        place = ("--data-dir", str(world.data_dir.path), "--max-streams", str(STREAMS))
        where = ("--listen", f"127.0.0.1:{self.port}", "--client", NAME)
        world.supervisor.add("serve", "serve", *where, *place, beats=False)
        world.wait(self._answers, "the gateway to answer")
        process = world.supervisor.children["serve"].process
        assert process is not None
        self.pid = process.pid

    def _answers(self) -> bool:
        try:
            open_stream(self.port, "/api/live", self.token("viewer")).close()
        except OSError:
            return False
        return True

    def token(self, name: str) -> str:
        """The token in a file."""
        return (tokens_directory(self._world.data_dir) / name).read_text("ascii").strip()

    def memory_kb(self) -> int:
        """Its resident memory in KB."""
        lines = Path(f"/proc/{self.pid}/status").read_text("ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


def _turn(
    run: BenchRun, world: World, gateway: _Gateway, sender: HttpSender, number: int
) -> dict[str, float]:
    """One repeat: both ways of sending, and with a watcher."""
    count = min(run.size.latency_orders, int(WINDOW_S * RATE))
    assert world.server.process is not None
    server, symbols = world.server.process.pid, world.config.symbols
    supply = Orders(symbols, CLIENT, f"x{number}", run.seed)
    before = cpu_s(server)
    plain = poisson(world, supply.entries(count, world.orders_key), RATE, run.seed).to_report
    plain_s = cpu_s(server) - before
    found: dict[str, float] = {}
    for name, watched in (("", False), (" beside a watcher", True)):
        stream = _Reader(gateway, "/api/live", "viewer") if watched else None
        bodies = order_bodies(symbols, f"h{number}{int(watched)}", count, run.seed)
        begins, began = (cpu_s(server), cpu_s(gateway.pid)), time.perf_counter()
        times = sender.poisson(bodies, RATE, run.seed)
        took = time.perf_counter() - began
        used, share = cpu_s(server) - begins[0], (cpu_s(gateway.pid) - begins[1]) / took
        if stream:
            stream.close()
        for percent in (50.0, 99.0):
            ours, theirs = percentile(times, percent), percentile(plain, percent)
            found[f"order over HTTP{name} to report at 500/s, p{percent:.0f}, ms"] = 1e3 * ours
            found[f"order over HTTP{name} against XADD at 500/s, p{percent:.0f}"] = ours / theirs
        found[f"the server's time{name}, against XADD"] = used / max(plain_s, 0.01)
        found[f"the gateway at 500 orders/s{name}, %"] = 100 * share
    return found


class _Reader:
    """Reads a stream, as a browser does."""

    def __init__(self, gateway: _Gateway, path: str, name: str) -> None:
        self._socket = open_stream(gateway.port, path, gateway.token(name))
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            while self._socket.recv(1 << 20):
                pass
        except OSError:
            return  # It is closed: this is the end.

    def close(self) -> None:
        """Close the stream."""
        self._socket.shutdown(2)
        self._thread.join(10)
        self._socket.close()


def _streams(run: BenchRun, gateway: _Gateway) -> dict[str, list[float]]:
    """What open streams of reports need while nothing comes: memory, and processor time."""
    count = min(STREAMS, run.size.latency_orders)
    before, streams = gateway.memory_kb(), []
    try:
        token = gateway.token(f"client-{NAME}")
        streams = [open_stream(gateway.port, "/orders/reports", token) for _ in range(count)]
        memory = (gateway.memory_kb() - before) / count
        began, used = time.perf_counter(), cpu_s(gateway.pid)
        time.sleep(min(run.size.idle_s, WINDOW_S))
        share = (cpu_s(gateway.pid) - used) / (time.perf_counter() - began)
    finally:
        for one in streams:
            one.close()
    return {
        f"memory of each of {count} open streams, KB": [memory],
        f"the gateway with {count} open streams at rest, %": [100 * share],
    }
