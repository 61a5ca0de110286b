"""Orders over HTTP, and open streams, by raw sockets: the sender's own work stays small."""

from __future__ import annotations

import json
import random
import select
import socket
import time
from collections.abc import Sequence

from mm.lab.bench.measured import PATIENCE_S
from mm.lab.bench.probe import EARLY, EARLY_S
from mm.market import Symbol

#: Connections that are kept open; each has one order on its way at a time.
CONNECTIONS = 128


def request(method: str, path: str, token: str, body: bytes = b"") -> bytes:
    """A request with a token."""
    lines = [f"{method} {path} HTTP/1.1", "Host: bench", f"Authorization: Bearer {token}"]
    lines += ["Content-Type: application/json", f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


def order_bodies(symbols: Sequence[Symbol], run: str, count: int, seed: int) -> list[bytes]:
    """Orders of 1 to 9 lots on random sides, all marketable; ``run`` begins each order id."""
    rng = random.Random(f"{seed}/{run}")
    found = []
    for number in range(count):
        symbol = rng.choice(symbols)
        buys, away = rng.getrandbits(1), symbol.reference_ticks // 10
        body = {
            "order_id": f"{run}-{number}",
            "symbol": symbol.name,
            "side": "buy" if buys else "sell",
            "quantity": symbol.quantity(rng.randint(1, 9)),
            "limit_price": symbol.price(symbol.reference_ticks + (away if buys else -away)),
        }
        found.append(json.dumps(body).encode())
    return found


class HttpSender:
    """Sends orders with a client's token; ``refused`` counts the answers that are no reports."""

    def __init__(self, port: int, token: str) -> None:
        self.refused = 0
        self._port, self._token = port, token
        self._idle: list[socket.socket] = []
        self._busy: dict[socket.socket, tuple[float, bytearray]] = {}
        self._late: list[tuple[float, bytes]] = []

    def poisson(self, bodies: Sequence[bytes], rate: float, seed: int) -> list[float]:
        """Send orders at random instants, ``rate`` a second; the seconds from each to its report.

        They count from the instant, also when the order is sent a little later. TimeoutError when
        reports do not come.
        """
        rng, seconds = random.Random(seed), list[float]()
        # The gateway closes connections that were idle for some seconds.
        self.close()
        self._idle = [connected(self._port) for _ in range(CONNECTIONS)]
        packed = [request("POST", "/orders", self._token, body) for body in bodies]
        due, index = time.perf_counter(), 0
        while index < len(packed) or self._busy or self._late:
            now = time.perf_counter()
            while index < len(packed) and due <= now:
                self._late.append((due, packed[index]))
                index, due = index + 1, due + rng.expovariate(rate)
            while self._late and self._idle:
                began, data = self._late.pop(0)
                made = self._idle.pop()
                made.sendall(data)
                self._busy[made] = began, bytearray()
            wait_s = due - time.perf_counter() - min(EARLY / rate, EARLY_S)
            seconds += self._listen(max(wait_s, 0.0) if index < len(packed) else 1.0)
            if now - due > PATIENCE_S:
                raise TimeoutError(f"waited {PATIENCE_S:.0f} s for reports over HTTP")
        return seconds

    def _listen(self, wait_s: float) -> list[float]:
        ready, _, _ = select.select(list(self._busy), [], [], wait_s)
        found = []
        for made in ready:
            began, data = self._busy[made]
            received = made.recv(65_536)
            if not received:
                raise ConnectionError("the gateway has closed a connection without an answer")
            data += received
            head, end, body = bytes(data).partition(b"\r\n\r\n")
            if end and len(body) >= length_in(head):
                found.append(time.perf_counter() - began)
                self.refused += not head.startswith(b"HTTP/1.1 200 ")
                del self._busy[made]
                self._idle.append(made)
        return found

    def close(self) -> None:
        """Close the connections."""
        for made in (*self._idle, *self._busy):
            made.close()


def connected(port: int) -> socket.socket:
    """A connection to the gateway."""
    made = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def length_in(head: bytes) -> int:
    """The length of the body that a head says."""
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


def open_stream(port: int, path: str, token: str) -> socket.socket:
    """A stream of events, whose head has come. ConnectionError when it is refused."""
    made = connected(port)
    made.sendall(request("GET", path, token))
    head = made.recv(4096)
    if not head.startswith(b"HTTP/1.1 200 "):
        made.close()
        raise ConnectionError(f"a stream was refused: {head[:60]!r}")
    return made
