"""A proxy between processes and their server that loses, cuts or delays messages on demand.

``python -m mm.lab.chaos.proxy SERVER_SOCKET NAME=SOCKET ...`` listens on each socket, one link per
name. It understands just enough of the protocol to find where a request or a reply ends.

It is a companion of the run, which makes these demands:

- ``{"id": 7, "link": "maker-2", "kind": "delay", "only": "XADD", "after": 3, "hold_ms": 200}`` asks
  for a fault. When a fault has been applied, one line with its id is printed.
- ``{"forget": 7}`` takes a demand back.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from mm.lab.chaos.companion import answer, serve

#: request: the request is lost, and its connection with it. reply: the reply is lost, and its
#: connection with it; the server has done the work. connection: it is cut in the middle of a reply.
#: delay: the request and all behind it are held back, then delivered even if the sender has died.
Kind = Literal["request", "reply", "connection", "delay"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_CHUNK = 65536
#: Ends CLIENT REPLY SKIP, which has no reply and takes the reply of the next command away.
_SILENT = b"\r\nSKIP\r\n"


def message_end(data: bytes | bytearray, start: int = 0) -> int:
    """The index just past the RESP2 message that begins at ``start``; -1 while it is incomplete."""
    position, missing = start, 1
    while missing:
        line_end = data.find(b"\r\n", position)
        if line_end < 0:
            return -1
        kind, after = data[position : position + 1], line_end + 2
        if kind in (b"*", b"$"):
            count = int(data[position + 1 : line_end])
            if kind == b"*":
                missing += max(count, 0)
            elif count >= 0:
                after += count + 2
        if after > len(data):
            return -1
        position = after
        missing -= 1
    return position


@dataclass
class Fault:
    """A demand: a fault for the first request that contains ``only``, after ``after`` others."""

    ident: int
    kind: Kind
    only: bytes
    after: int
    hold_s: float


class Link:
    """The connections of one process; ``on_applied`` gets the id of each fault that was applied."""

    def __init__(self, server: Path, on_applied: Callable[[int], None]) -> None:
        self.faults: list[Fault] = []
        self._server = server
        self._on_applied = on_applied

    def take_fault(self, request: bytes) -> Fault | None:
        """Remove and return the fault for this request; None when there is none."""
        for fault in self.faults:
            if fault.only in request:
                fault.after -= 1
                if fault.after < 0:
                    self.faults.remove(fault)
                    return fault
        return None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one connection's messages until either end closes or a fault cuts it."""
        try:
            server_reader, server_writer = await asyncio.open_unix_connection(self._server)
        except OSError:
            writer.close()
            return
        awaited: deque[Fault | None] = deque()
        directions = {
            asyncio.ensure_future(self._requests(reader, server_writer, awaited)),
            asyncio.ensure_future(self._replies(server_reader, writer, awaited)),
        }
        try:
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for direction in directions:
                direction.cancel()
            await asyncio.gather(*directions, return_exceptions=True)
            server_writer.close()
            writer.close()

    async def _requests(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        awaited: deque[Fault | None],
    ) -> None:
        silent, later = 0, None
        async for message in _messages(reader):
            fault = self.take_fault(message)
            if fault is not None and fault.kind == "request":
                await writer.drain()
                self._on_applied(fault.ident)
                return
            if fault is not None and fault.kind == "delay":
                await asyncio.sleep(fault.hold_s)
                self._on_applied(fault.ident)
                fault = None
            # A request without a reply passes its fault on to the next request with a reply.
            silent, later = (2 if _SILENT in message else silent), fault or later
            if silent:
                silent -= 1
            else:
                awaited.append(later)
                later = None
            writer.write(message)
            await writer.drain()

    async def _replies(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        awaited: deque[Fault | None],
    ) -> None:
        async for message in _messages(reader):
            fault = awaited.popleft()
            if fault is None:
                writer.write(message)
                await writer.drain()
                continue
            if fault.kind == "connection":
                writer.write(message[: len(message) // 2])
                await writer.drain()
            self._on_applied(fault.ident)
            return


async def _messages(reader: asyncio.StreamReader) -> Any:
    """Yield each complete message until the other end closes."""
    buffer = bytearray()
    with contextlib.suppress(OSError):
        while chunk := await reader.read(_CHUNK):
            buffer += chunk
            start = 0
            while start < len(buffer) and (end := message_end(buffer, start)) >= 0:
                yield bytes(buffer[start:end])
                start = end
            del buffer[:start]


class Proxy:
    """All links, and the demands on standard input."""

    def __init__(self, server: Path, sockets: dict[str, Path]) -> None:
        self._sockets = sockets
        self._links = {name: Link(server, lambda ident: answer(str(ident))) for name in sockets}

    async def run(self) -> None:
        """Listen, and take up demands until standard input ends."""
        for name, path in self._sockets.items():
            await asyncio.start_unix_server(self._links[name].serve, path)
        await serve(self.take_up)

    def take_up(self, demand: dict[str, Any]) -> None:
        """Take up one demand."""
        if "forget" in demand:
            for link in self._links.values():
                link.faults = [one for one in link.faults if one.ident != demand["forget"]]
        else:
            fault = Fault(
                demand["id"],
                demand["kind"],
                demand["only"].encode(),
                demand["after"],
                demand["hold_ms"] / 1000,
            )
            self._links[demand["link"]].faults.append(fault)


def main(arguments: Sequence[str]) -> None:
    """Run with the server's socket and the NAME=SOCKET words."""
    server, *links = arguments
    sockets = {name: Path(path) for name, _, path in (link.partition("=") for link in links)}
    asyncio.run(Proxy(Path(server), sockets).run())


if __name__ == "__main__":
    main(sys.argv[1:])
