"""The links between the nodes of a cluster: they delay what the nodes write to each other.

``python -m mm.lab.chaos.links DELAY_S PORT=OWN_PORT ...`` forwards for one node after the other. It
is a companion of the run, which demands ``{"isolate": NODE}``, ``{"rejoin": NODE}`` and ``{"lose":
NODE}``; each is answered when it is done.

On loopback the kernel still delivers what a killed process has written, so a replica has all that
its primary has answered, and a failover loses nothing. A network loses what is under way. So each
node is reached through a forwarded port, and its bus likewise, and each connection can be cut with
what it holds at that moment.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mm.host import BUS_OFFSET, source_of
from mm.lab.chaos.companion import Companion, answer, serve

_CHUNK = 65_536
#: Seconds that the links may take to do what they are asked.
ANSWER_S = 30.0


class LinkControl:
    """The run's side: starts the links and has them cut.

    ``ports``, ``own`` and ``delay_s`` are those of :class:`Links`; what it says goes to ``log``.
    """

    def __init__(self, ports: Sequence[int], own: Sequence[int], delay_s: float, log: Path) -> None:
        pairs = [f"{port}={inner}" for port, inner in zip(ports, own, strict=True)]
        self._companion = Companion("mm.lab.chaos.links", [str(delay_s), *pairs], log)
        self._companion.await_line(ANSWER_S)

    def isolate(self, node: int) -> None:
        """Cut the node off from all others, until it is rejoined; programs still reach it."""
        self._ask(isolate=node)

    def rejoin(self, node: int) -> None:
        """Let the node and the others connect again."""
        self._ask(rejoin=node)

    def lose(self, node: int) -> None:
        """Cut each connection of the node with what is under way; all may connect again."""
        self._ask(lose=node)

    def stopped(self, pids: Sequence[int]) -> None:
        """Say which processes are stopped by SIGSTOP now."""
        self._companion.tell(stopped=list(pids))

    def close(self) -> None:
        """Cut everything."""
        self._companion.close()

    def _ask(self, **demand: int) -> None:
        self._companion.tell(**demand)
        self._companion.await_line(ANSWER_S)


class _Pipe:
    """One connection under way from the node ``source`` to the node ``target``."""

    def __init__(self, source: int, target: int) -> None:
        self.source = source
        self.target = target
        self._writers: list[asyncio.StreamWriter] = []
        self._is_cut = False

    def add(self, writer: asyncio.StreamWriter) -> None:
        """Take one end of it; it may have been cut before there was another."""
        self._writers.append(writer)
        if self._is_cut:
            writer.transport.abort()

    def cut(self) -> None:
        """Lose what is under way in both directions, and end the connection."""
        self._is_cut = True
        for writer in self._writers:
            writer.transport.abort()


class Links:
    """Forwards the port and the bus of each node.

    ``ports`` are those on which the others reach each node, ``own`` those on which it listens. What
    goes to a port arrives ``delay_s`` late, and so does each answer; the bus is not delayed.
    """

    def __init__(self, ports: Sequence[int], own: Sequence[int], delay_s: float) -> None:
        self._delay_s = delay_s
        self._ports, self._own = ports, own
        self._sources = {source_of(node): node for node in range(len(ports))}
        self._pipes: set[_Pipe] = set()
        self._isolated: set[int] = set()

    def take_up(self, demand: dict[str, int]) -> None:
        """Take up one demand, and answer it."""
        for what, node in demand.items():
            if what == "isolate":
                self._isolated.add(node)
            if what == "rejoin":
                self._isolated.discard(node)
            else:
                self._lose(node)
        answer("done")

    def _lose(self, node: int) -> None:
        for pipe in [one for one in self._pipes if node in (one.source, one.target)]:
            pipe.cut()

    async def run(self) -> None:
        """Listen, and take up demands until standard input ends."""
        for node, (port, own) in enumerate(zip(self._ports, self._own, strict=True)):
            for offset, delay_s in ((0, self._delay_s), (BUS_OFFSET, 0.0)):
                forward = self._forwarding(node, own + offset, delay_s)
                await asyncio.start_server(forward, "127.0.0.1", port + offset)
        await serve(self.take_up)

    def _forwarding(self, target: int, port: int, delay_s: float) -> Callable[..., Any]:
        async def forward(near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
            source = self._sources.get(back.get_extra_info("peername")[0], -1)
            pipe = _Pipe(source, target)
            pipe.add(back)
            self._pipes.add(pipe)
            try:
                if {source, target} & self._isolated:
                    return
                far, there = await asyncio.open_connection("127.0.0.1", port)
                pipe.add(there)
                ways = (_carry(pipe, near, there, delay_s), _carry(pipe, far, back, delay_s))
                await asyncio.gather(*ways)
            except OSError:
                # Nobody listens there: the other end learns it as it would without the link.
                return
            finally:
                pipe.cut()
                self._pipes.discard(pipe)

        return forward


async def _carry(
    pipe: _Pipe, source: asyncio.StreamReader, sink: asyncio.StreamWriter, delay_s: float
) -> None:
    """Carry what comes from the source to the sink, each byte so late, until either ends.

    What is under way when the source ends is lost.
    """
    loop = asyncio.get_running_loop()
    waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def deliver() -> None:
        while True:
            due, data = await waiting.get()
            await asyncio.sleep(due - loop.time())
            sink.write(data)
            await sink.drain()

    delivery = loop.create_task(deliver())
    with contextlib.suppress(OSError):
        while data := await source.read(_CHUNK):
            waiting.put_nowait((loop.time() + delay_s, data))
    delivery.cancel()
    with contextlib.suppress(asyncio.CancelledError, OSError):
        await delivery
    pipe.cut()


def main(arguments: Sequence[str]) -> None:
    """Run with the delay in seconds and the PORT=OWN_PORT words."""
    delay_s, *pairs = arguments
    ports, own = zip(*([int(one) for one in pair.split("=")] for pair in pairs), strict=True)
    asyncio.run(Links(ports, own, float(delay_s)).run())


if __name__ == "__main__":
    main(sys.argv[1:])
