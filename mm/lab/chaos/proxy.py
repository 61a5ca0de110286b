"""A proxy between processes and their server that loses, cuts or delays what passes, on demand.

``python -m mm.proxy SERVER_SOCKET NAME=SOCKET ...`` listens on each socket, one link a name. It
understands just enough of the protocol to tell one request and one reply from the next. Demands
come as JSON lines on standard input, ``{"id": 7, "link": "maker-2", "kind": "delay", "only":
"XADD", "after": 3, "hold_ms": 200}``; each one that has struck is told as a line with its id on
standard output. ``{"forget": 7}`` takes a demand back, and ``{"stopped": [PID, ...]}`` names the
processes that nobody could wake if the asker died. When standard input ends the asker is gone:
these are killed then, and the proxy ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

#: request: lost on the way, and the connection with it. reply: the same on the way back, after
#: the server has done its work. connection: cut in the middle of a reply. delay: the request and
#: what follows it are held back, and delivered even if the sender has died meanwhile.
Kind = Literal["request", "reply", "connection", "delay"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_CHUNK = 65536
#: In the command that has no reply and takes the next command's away.
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
    """A demand: what to do to the first request that has ``only`` in it, after ``after`` others."""

    ident: int
    kind: Kind
    only: bytes
    after: int
    hold_s: float


class Link:
    """One process's way to the server; ``told`` is called with the id of a fault that struck."""

    def __init__(self, server: Path, told: Callable[[int], None]) -> None:
        self.faults: list[Fault] = []
        self._server = server
        self._told = told

    def strike(self, request: bytes) -> Fault | None:
        """The fault that strikes this request; it strikes once."""
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
        ways = {
            asyncio.ensure_future(self._requests(reader, server_writer, awaited)),
            asyncio.ensure_future(self._replies(server_reader, writer, awaited)),
        }
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
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
            fault = self.strike(message)
            if fault is not None and fault.kind == "request":
                await writer.drain()
                self._told(fault.ident)
                return
            if fault is not None and fault.kind == "delay":
                await asyncio.sleep(fault.hold_s)
                self._told(fault.ident)
                fault = None
            # A request without a reply hands its fault on to the next one that has some.
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
            self._told(fault.ident)
            return


async def _messages(reader: asyncio.StreamReader) -> Any:
    """The complete messages that arrive, one at a time, until the other end closes."""
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
    """All links, and the asker's demands."""

    def __init__(self, server: Path, sockets: dict[str, Path]) -> None:
        self._sockets = sockets
        self._links = {name: Link(server, _tell) for name in sockets}
        self._stopped: list[int] = []

    async def run(self) -> None:
        """Listen and obey until standard input ends."""
        for name, path in self._sockets.items():
            await asyncio.start_unix_server(self._links[name].serve, path)
        demands = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(demands), sys.stdin)
        _tell(0)
        while line := await demands.readline():
            self.obey(json.loads(line))
        for pid in self._stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def obey(self, demand: dict[str, Any]) -> None:
        """Take up one demand."""
        if "stopped" in demand:
            self._stopped = demand["stopped"]
        elif "forget" in demand:
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


def _tell(ident: int) -> None:
    """Tell the asker that a fault has struck; 0: that the proxy listens."""
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.write(f"{ident}\n")
        sys.stdout.flush()


def main(arguments: Sequence[str]) -> None:
    """Run with the command line's words."""
    server, *links = arguments
    sockets = {name: Path(path) for name, _, path in (link.partition("=") for link in links)}
    # Ctrl-C goes to the whole terminal, but only the asker decides when this ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asyncio.run(Proxy(Path(server), sockets).run())


if __name__ == "__main__":
    main(sys.argv[1:])
