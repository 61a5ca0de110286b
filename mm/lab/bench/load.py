"""The benchmark's load: orders encoded in advance, then sent pipelined over a raw socket.

It uses only the public order API: a fast client in any language could send the same bytes.
Encoding before the clock starts keeps the generator's own work out of the figures.
"""

from __future__ import annotations

import random
import select
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from mm.market import Symbol
from mm.store import ADMIN, secret_of

_CHUNK = 1 << 20
#: The least number of different order lines in a supply.
LINES = 5_000


def word(text: str) -> bytes:
    """A word of a command as the server reads it."""
    return f"${len(text)}\r\n{text}\r\n".encode("ascii")


def encode(words: Sequence[str]) -> bytes:
    """A command as the server reads it."""
    return b"*%d\r\n" % len(words) + b"".join(map(word, words))


class Entry(NamedTuple):
    """An encoded order entry: its bytes, and the ids of its orders."""

    data: bytes
    order_ids: tuple[str, ...]


class Orders:
    """An endless supply of entries: uniform symbols, random sides, 1 to 9 lots.

    Every order is marketable: its limit is a tenth of the reference price beyond that price, and
    the quote rule never leans so far. ``run`` begins each order id and must be new each time.
    Lines are drawn from a table made in advance, so that orders are made faster than matched.
    """

    def __init__(self, symbols: Sequence[Symbol], client_id: str, run: str, seed: int) -> None:
        self._run = run
        self._rng = random.Random(f"{seed}/{run}")
        self._count = 0
        size = max(LINES, 4 * len(symbols))
        self._lines = [self._line(client_id, symbols[i % len(symbols)]) for i in range(size)]

    def _line(self, client_id: str, symbol: Symbol) -> bytes:
        away = symbol.reference_ticks // 10
        buys = self._rng.getrandbits(1)
        limit = symbol.reference_ticks + (away if buys else -away)
        side = "buy" if buys else "sell"
        return word(f"{client_id} {symbol.name} {side} {self._rng.randint(1, 9)} {limit}")

    def entries(self, orders: int, key: str, bulk: int = 1) -> list[Entry]:
        """Entries with ``orders`` orders in all, ``bulk`` in each; the last may hold fewer."""
        command = b"".join(map(word, ("XADD", key, "*")))
        entries = []
        for start in range(0, orders, bulk):
            count = min(bulk, orders - start)
            first, self._count = self._count + 1, self._count + count
            ids = tuple(f"{self._run}-{number}" for number in range(first, first + count))
            lines = self._rng.choices(self._lines, k=count)
            records = b"".join([word(name) + line for name, line in zip(ids, lines, strict=True)])
            entries.append(Entry(b"*%d\r\n%b%b" % (3 + 2 * count, command, records), ids))
        return entries


def connected(path: Path) -> socket.socket:
    """A socket on which the server's admin is logged in. ConnectionError when it is refused."""
    made = socket.socket(socket.AF_UNIX)
    made.connect(str(path))
    secret = secret_of(path.parent, ADMIN)
    if secret is not None:
        made.sendall(encode(["AUTH", ADMIN, secret]))
        reply = made.recv(1_000)
        if reply != b"+OK\r\n":
            made.close()
            raise ConnectionError("the server refuses its admin")
    return made


class PipelinedConnection:
    """A connection to the server's Unix socket that counts replies without parsing them.

    ``replies`` and ``errors`` are counted from its beginning.
    """

    def __init__(self, path: Path) -> None:
        self._socket = connected(path)
        self._socket.setblocking(False)
        # A bytearray: it is cheap to shorten at its front, and grows long behind a busy server.
        self._unsent = bytearray()
        # As behind a line: the first reply may be an error.
        self._tail = b"\n"
        self.replies = 0
        self.errors = 0

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def put(self, data: bytes) -> None:
        """Queue bytes, and send what the socket takes now."""
        self._unsent += data
        self.move()

    @property
    def unsent(self) -> int:
        """Bytes that the socket has not taken yet."""
        return len(self._unsent)

    def move(self, wait_s: float = 0.0) -> None:
        """Send and receive what the socket takes and has; wait up to ``wait_s`` for either."""
        if wait_s > 0:
            select.select([self._socket], [self._socket] if self._unsent else [], [], wait_s)
        try:
            while self._unsent:
                del self._unsent[: self._socket.send(self._unsent[:_CHUNK])]
        except BlockingIOError:
            pass
        try:
            while data := self._socket.recv(_CHUNK):
                self._count(data)
        except BlockingIOError:
            return
        raise ConnectionError("the server closed the connection")

    def _count(self, data: bytes) -> None:
        # A reply is a stream entry's id behind one "$", which an id does not contain. An error is a
        # line that begins with "-".
        self.replies += data.count(b"$")
        self.errors += (self._tail + data).count(b"\n-")
        self._tail = data[-1:]

    def finish(self, replies: int) -> None:
        """Wait until ``replies`` have come in all; ConnectionError when one is an error."""
        while self.replies < replies and not self.errors:
            self.move(1.0)
        if self.errors:
            raise ConnectionError(f"{self.errors} of the entries were refused")


def preload(path: Path, entries: Sequence[Entry]) -> None:
    """Append the entries to their stream, a thousand in flight."""
    connection = PipelinedConnection(path)
    try:
        for part in _parts(entries, 1_000):
            done = connection.replies
            connection.put(b"".join(entry.data for entry in part))
            connection.finish(done + len(part))
    finally:
        connection.close()


def _parts(entries: Sequence[Entry], size: int) -> Iterator[Sequence[Entry]]:
    return (entries[start : start + size] for start in range(0, len(entries), size))
