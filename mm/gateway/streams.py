"""Streams of server-sent events: how many there may be, and how each one is sent.

Nothing is queued for a watcher. What is sent to many is kept once, and each watcher remembers how
far it is. The connection itself is bounded: one that is not read is cut (:mod:`mm.gateway.bounds`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Protocol

from starlette.types import Receive, Scope, Send

from mm.gateway.answers import unavailable

#: Seconds after which a silent stream says that it is alive.
ALIVE_S = 15.0
#: Milliseconds after which a browser connects again.
AGAIN_MS = 1_000
HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    # A proxy before this server must not collect events.
    (b"x-accel-buffering", b"no"),
]


def event(name: str, data: str, entry_id: str = "") -> bytes:
    """An event; ``data`` has no line ends."""
    head = f"id: {entry_id}\n" if entry_id else ""
    return f"{head}event: {name}\ndata: {data}\n\n".encode()


class Source(Protocol):
    """What a stream sends: ``take`` returns the next bytes, or nothing while nothing is new."""

    async def take(self) -> bytes:
        """The next bytes; empty ones mean that the stream waits until it is woken."""


#: What is called with the event of a stream that has ended.
Close = Callable[[asyncio.Event], None]


class Streams:
    """The open streams of a gateway; no more than ``most``."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.count = 0
        self._stopping = False
        self._watchers: set[asyncio.Event] = set()

    def take_place(self) -> None:
        """Count one stream more; Refused (503) when there are too many, or while this stops."""
        if self._stopping:
            raise unavailable("the gateway is stopping")
        if self.count >= self.most:
            raise unavailable(f"{self.most} streams are open, and no more may be (--max-streams)")
        self.count += 1

    def give_back(self) -> None:
        """Count one stream less."""
        self.count -= 1

    @property
    def stopping(self) -> bool:
        """Whether the streams end now."""
        return self._stopping

    def stop(self) -> None:
        """End all streams."""
        self._stopping = True
        for one in self._watchers:
            one.set()

    @contextlib.contextmanager
    def watched(self, wake: asyncio.Event) -> Iterator[None]:
        """Wake this watcher when the streams end."""
        self._watchers.add(wake)
        try:
            yield
        finally:
            self._watchers.discard(wake)


class EventStream:
    """An answer that sends what a source has, until its client is gone or all streams end.

    Make it with :meth:`open`. ``wake`` wakes it when the source has something new.
    """

    def __init__(
        self, streams: Streams, wake: asyncio.Event, source: Source, closed: Close
    ) -> None:
        self._streams, self._wake, self._source, self._closed = streams, wake, source, closed

    @classmethod
    async def open(
        cls, streams: Streams, make: Callable[[asyncio.Event], Awaitable[Source]], closed: Close
    ) -> EventStream:
        """A stream of the source that ``make`` makes; ``closed`` is called at its end.

        Refused (503) when there are too many; errors of ``make`` are raised.
        """
        streams.take_place()
        wake = asyncio.Event()
        try:
            return cls(streams, wake, await make(wake), closed)
        except BaseException:
            closed(wake)
            streams.give_back()
            raise

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream; of a HEAD request its head alone."""
        wake, gone = self._wake, asyncio.ensure_future(_gone(receive))
        gone.add_done_callback(lambda _: wake.set())
        try:
            with self._streams.watched(wake):
                await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
                if scope["method"] == "HEAD":
                    await send({"type": "http.response.body", "body": b"", "more_body": False})
                    return
                await _send(send, f"retry: {AGAIN_MS}\n\n".encode())
                while not (gone.done() or self._streams.stopping):
                    # First, so that nothing that comes while this reads is missed.
                    wake.clear()
                    if chunk := await self._source.take():
                        await _send(send, chunk)
                        continue
                    if gone.done() or self._streams.stopping:
                        break
                    try:
                        await asyncio.wait_for(wake.wait(), ALIVE_S)
                    except TimeoutError:
                        await _send(send, b": alive\n\n")
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            gone.cancel()
            self._closed(wake)
            self._streams.give_back()


async def _send(send: Send, chunk: bytes) -> None:
    await send({"type": "http.response.body", "body": chunk, "more_body": True})


async def _gone(receive: Receive) -> None:
    """Return when the client is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
