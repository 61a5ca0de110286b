"""The benchmark's load: orders encoded before the clock starts, sent pipelined over a raw socket.

A client written for speed in any language could send the same bytes; nothing but the public order
API is used. Encoding in advance keeps the generator's own work out of what is measured.
"""

from __future__ import annotations

import random
import select
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from mm.market import Symbol

_CHUNK = 1 << 20


#: Different order lines in a supply, at least.
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

    Every order is marketable: its limit lies a tenth of the reference price beyond it, further
    than the quote rule ever leans. ``run`` begins each order_id, and must be new each time. Lines
    are drawn from a table made in advance, so that orders are made faster than they are matched.
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
        """Entries that hold ``orders`` orders, ``bulk`` each (the last may hold fewer)."""
        command = b"".join(map(word, ("XADD", key, "*")))
        found = []
        for start in range(0, orders, bulk):
            count = min(bulk, orders - start)
            first, self._count = self._count + 1, self._count + count
            ids = tuple(f"{self._run}-{number}" for number in range(first, first + count))
            lines = self._rng.choices(self._lines, k=count)
            records = b"".join([word(name) + line for name, line in zip(ids, lines, strict=True)])
            found.append(Entry(b"*%d\r\n%b%b" % (3 + 2 * count, command, records), ids))
        return found


class Pipe:
    """A raw connection to the server's Unix socket that counts replies and reads none of them."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))
        self._socket.setblocking(False)
        # Cheap to shorten at its front, however long it has become behind a busy server.
        self._unsent = bytearray()
        self._tail = b""
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
        """Send and receive what can be; waits up to ``wait_s`` for anything to happen."""
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
        # Each reply is a stream entry's id: one "$", which ids do not contain; an error has a "-"
        # at the beginning of a line.
        self.replies += data.count(b"$")
        self.errors += (self._tail + data).count(b"\n-")
        self._tail = data[-1:]

    def finish(self, replies: int) -> None:
        """Wait for the number of replies in all; ConnectionError when one is an error."""
        while self.replies < replies and not self.errors:
            self.move(1.0)
        if self.errors:
            raise ConnectionError(f"{self.errors} of the entries were refused")


def preload(path: Path, entries: Sequence[Entry]) -> None:
    """Append the entries, a thousand in flight."""
    pipe = Pipe(path)
    try:
        for part in _slices(entries, 1_000):
            done = pipe.replies
            pipe.put(b"".join(entry.data for entry in part))
            pipe.finish(done + len(part))
    finally:
        pipe.close()


def _slices(entries: Sequence[Entry], size: int) -> Iterator[Sequence[Entry]]:
    return (entries[start : start + size] for start in range(0, len(entries), size))
