"""The live feed of the page: one snapshot an interval, whatever the number of watchers.

It shows the facts that the terminal's live view shows, from the same source. While nobody watches,
nothing is read.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import deque
from dataclasses import asdict, dataclass, field
from functools import partial

from mm.facts import active_quotes, symbol_count
from mm.gateway.frames import FILLS, MAX_SYMBOLS, market_frame, own_stoppages, symbol_frame
from mm.gateway.links import Links
from mm.gateway.streams import event
from mm.store import Snapshot
from mm.terminal import SnapshotSource, SymbolSource, grouped_decimal

#: Seconds from one snapshot to the next, and those over which the rate of orders is taken.
FRAME_S, RATE_S = 1.0, 5


@dataclass
class Topic:
    """A page that is watched: its newest frame, and the streams to wake for the next one."""

    frame: bytes = b""
    number: int = 0
    watchers: set[asyncio.Event] = field(default_factory=set)


class Feed:
    """Makes the frames of the pages that are watched; the market's page has the empty name."""

    def __init__(self, links: Links) -> None:
        self._links = links
        self._source: SnapshotSource | None = None
        self._topics: dict[str, Topic] = {}
        self._pasts: dict[str, SymbolSource] = {}
        self._rates: deque[tuple[int, int]] = deque(maxlen=int(RATE_S / FRAME_S) + 1)
        self._task: asyncio.Task[None] | None = None
        # A reading that took too long may still be under way.
        self._reading = threading.Lock()

    async def open(self, name: str, wake: asyncio.Event) -> FrameSource:
        """The frames of a page for a new watcher."""
        topic = self._topics.setdefault(name, Topic())
        topic.watchers.add(wake)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        return FrameSource(topic)

    def left(self, wake: asyncio.Event) -> None:
        """A watcher is gone."""
        for name, topic in list(self._topics.items()):
            topic.watchers.discard(wake)
            if not topic.watchers:
                del self._topics[name]
                self._pasts.pop(name, None)

    async def _run(self) -> None:
        while self._topics:
            begun = time.monotonic()
            names = list(self._topics)
            try:
                frames = await self._links.run(partial(self._frames, names))
            except TimeoutError:
                frames = self._without("the server does not answer in time", names)
            for name, facts in frames.items():
                topic = self._topics.get(name)
                if topic is not None:
                    topic.number += 1
                    topic.frame = event("frame", json.dumps(facts))
                    for wake in topic.watchers:
                        wake.set()
            await asyncio.sleep(max(0.0, begun + FRAME_S - time.monotonic()))

    # --- in a thread

    def _frames(self, names: list[str]) -> dict[str, dict[str, object]]:
        """The facts of each page, from one snapshot."""
        with self._reading:
            return self._read(names)

    def _read(self, names: list[str]) -> dict[str, dict[str, object]]:
        if self._source is None:
            system = self._links.system
            self._source = SnapshotSource(system.waiting_url, system.keys)
        most = 0 if any(names) else MAX_SYMBOLS
        found = self._source.snapshot(FILLS, most)
        if found is None:
            self._rates.clear()
            return self._without(self._source.trouble, names)
        self._rates.append((found.now_ms, found.cursors.exchange_records))
        common = self._common(found, self._source)
        frames = {}
        for name in names:
            own = self._symbol(found, name, self._source) if name else market_frame(found)
            frames[name] = common | own
        return frames

    def _symbol(self, found: Snapshot, name: str, source: SnapshotSource) -> dict[str, object]:
        """What is of one symbol. Its own troubles stand first, whatever others the market has."""
        if name not in found.symbols:
            return {"symbol": name, "missing": True}
        if name not in self._pasts:
            self._pasts[name] = SymbolSource(source.scripts, name, grouped_decimal)
        own = own_stoppages(found, name)
        causes = {one.cause for one in own}
        others = [one for one in source.run_status().stoppages if one.cause not in causes]
        trouble = [asdict(one) for one in (*own, *others)]
        return symbol_frame(found, self._pasts[name].update(found)) | {"trouble": trouble}

    @staticmethod
    def _without(words: str, names: list[str]) -> dict[str, dict[str, object]]:
        """The frames while nothing can be read, which the words explain."""
        return {name: {"unavailable": words} for name in names}

    def _common(self, found: Snapshot, source: SnapshotSource) -> dict[str, object]:
        status = source.run_status()
        durability, (begin_ms, before) = status.durability(found), self._rates[0]
        passed_ms = found.now_ms - begin_ms
        rate = (found.cursors.exchange_records - before) * 1000 // passed_ms if passed_ms > 0 else 0
        return {
            "now_ms": found.now_ms,
            "server": status.server,
            "trouble": [asdict(one) for one in status.stoppages],
            "durability": durability.text,
            "warning": durability.warning,
            "orders": found.cursors.exchange_records,
            "orders_per_s": max(rate, 0),
            "fills": found.cursors.state_records,
            "quotes_active": active_quotes(found),
            "symbols": symbol_count(found),
            "lag_ms": max(found.lag_ms.values(), default=0),
        }


class FrameSource:
    """What one watcher of a page sends: always the newest frame, never one that is older."""

    def __init__(self, topic: Topic) -> None:
        self._topic, self._number = topic, 0

    async def take(self) -> bytes:
        """The newest frame, empty when it was sent already."""
        if self._topic.number == self._number:
            return b""
        self._number = self._topic.number
        return self._topic.frame
