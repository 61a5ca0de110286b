"""The reports of clients as streams of events that go on after a lost connection.

One thread reads the new entries of all clients that are watched; what it reads is kept once for all
watchers of a client. A watcher that begins earlier, or has fallen behind, reads the stored stream
itself until it has caught up. The id of an event is that of its stream entry; with partitions it is
the ids of all of them with commas between.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from redis.exceptions import RedisError

from mm.errors import MMError
from mm.gateway.links import Links
from mm.gateway.report_events import BEGINNING, Place, chunk_of, entry_events, moved
from mm.gateway.streams import event
from mm.store import (
    Scripts,
    StreamReader,
    execute,
    partitions_of,
    require_config,
    send_pipeline,
    stream_id_order,
    text,
    trouble_of,
)

#: Milliseconds of one look at all partitions, and seconds of a pause after a lost connection.
LOOK_MS, RETRY_S = 100, 0.2
#: Events of a client that are kept for its watchers, and entries of a page that one reads itself.
KEPT, PAGE = 1_000, 200
GAP = "reports after this id are no longer kept, or its history was cut: some may be missing"


@dataclass
class Topic:
    """A watched client: how far its reports were read, and the newest events with their places."""

    place: Place
    count: int = 0
    events: deque[tuple[int, Place, bytes]] = field(default_factory=lambda: deque(maxlen=KEPT))
    watchers: set[asyncio.Event] = field(default_factory=set)


class Reports:
    """Reads the reports of all clients that are watched; its thread sleeps while there are none."""

    def __init__(self, links: Links) -> None:
        self._links = links
        self._loop = asyncio.get_running_loop()
        self._topics: dict[str, Topic] = {}
        self._closed = False
        self._any_watched = threading.Event()
        threading.Thread(target=self._read, name="reports", daemon=True).start()

    async def open(self, client_id: str, wake: asyncio.Event, begin: Place | None) -> ReportSource:
        """What a new watcher sends: reports from now on, or those after a place."""
        topic = self._topics.get(client_id)
        if topic is None:
            place = await self._links.run(lambda: self._newest(client_id))
            topic = self._topics.setdefault(client_id, Topic(place))
        topic.watchers.add(wake)
        self._any_watched.set()
        return ReportSource(self._links, client_id, topic, begin)

    def left(self, wake: asyncio.Event) -> None:
        """A watcher is gone."""
        for client_id, topic in list(self._topics.items()):
            topic.watchers.discard(wake)
            if not topic.watchers:
                del self._topics[client_id]
        if not self._topics:
            self._any_watched.clear()

    def close(self) -> None:
        """Let the thread end."""
        self._closed = True
        self._any_watched.set()

    def _newest(self, client_id: str) -> Place:
        found = []
        for one in partitions_of(self._links.scripts()):
            key = one.keys.member("reports:*", client_id)
            last = execute(one.client, "XREVRANGE", key, "+", "-", "COUNT", 1)
            found.append(text(last[0][0]) if last else BEGINNING)
        return tuple(found)

    # --- the thread

    def _read(self) -> None:
        pause = threading.Event()
        while not self._closed:
            self._any_watched.wait()
            try:
                self._follow(partitions_of(self._links.scripts()))
            except (MMError, RedisError, OSError):
                # The page and the API say what is wrong. Watchers go on when it is over.
                pause.wait(RETRY_S)

    def _follow(self, every: Sequence[Scripts]) -> None:
        """Read what is new in each partition, over and over; errors of the connection end it."""
        config = require_config(self._links.scripts())
        while not self._closed:
            places = {name: topic.place for name, topic in list(self._topics.items())}
            if not places:
                return
            for number, one in enumerate(every):
                found = _new_entries(one, number, places, max(1, LOOK_MS // len(every)))
                for client_id, entries in found.items():
                    made = entry_events(one, config, client_id, entries)
                    self._loop.call_soon_threadsafe(self._publish, client_id, number, made)
                    # The loop may be late: this is where the next look begins.
                    places[client_id] = moved(places[client_id], number, made[-1][0])

    def _publish(self, client_id: str, number: int, made: Sequence[tuple[str, list[str]]]) -> None:
        topic = self._topics.get(client_id)
        if topic is None:
            return
        for entry_id, datas in made:
            if stream_id_order(entry_id) <= stream_id_order(topic.place[number]):
                continue
            topic.place = moved(topic.place, number, entry_id)
            topic.count += 1
            topic.events.append((topic.count, topic.place, chunk_of(topic.place, datas)))
        for wake in topic.watchers:
            wake.set()


def _new_entries(
    one: Scripts, number: int, places: dict[str, Place], wait_ms: int
) -> dict[str, list[tuple[str, list[bytes]]]]:
    keys = {one.keys.member("reports:*", name): name for name in places}
    begins = [places[name][number] for name in keys.values()]
    words: tuple[str | int, ...] = (
        "XREAD",
        "COUNT",
        PAGE,
        "BLOCK",
        wait_ms,
        "STREAMS",
        *keys,
        *begins,
    )
    (reply,) = send_pipeline(one.client, [words])
    if isinstance(reply, Exception):
        raise reply
    return {
        keys[text(key)]: [(text(entry_id), fields) for entry_id, fields in entries]
        for key, entries in reply or []
    }


class ReportSource:
    """What one watcher sends: first what it missed, then what comes."""

    def __init__(self, links: Links, client_id: str, topic: Topic, begin: Place | None) -> None:
        self._links, self._client_id, self._topic = links, client_id, topic
        self._place = topic.place if begin is None else begin
        self._count = topic.count
        self._behind = begin is not None
        self._first = True

    async def take(self) -> bytes:
        """The next events; empty when there are none."""
        topic = self._topic
        if topic.events and topic.events[0][0] > self._count + 1:
            self._behind = True
        if self._behind:
            return await self._catch_up()
        new = list(itertools.takewhile(lambda one: one[0] > self._count, reversed(topic.events)))
        chunks = []
        for self._count, place, chunk in reversed(new):
            if any(map(_is_after, place, self._place)):
                chunks.append(chunk)
                self._place = place
        return b"".join(chunks)

    async def _catch_up(self) -> bytes:
        """A page of what the stream has after this watcher's place."""
        count, target = self._topic.count, self._topic.place
        try:
            chunk, self._place, more = await self._links.run(lambda: self._page(target))
        except (MMError, RedisError, OSError) as error:
            await asyncio.sleep(RETRY_S)
            return event("trouble", json.dumps({"message": trouble_of(error).words}))
        if not more:
            self._behind, self._count = False, count
        # An empty page is no reason to wait: what came meanwhile is in the topic.
        return chunk or b": read\n\n"

    def _page(self, target: Place) -> tuple[bytes, Place, bool]:
        links, place, chunks, more = self._links, self._place, [], False
        config = require_config(links.scripts())
        for number, one in enumerate(partitions_of(links.scripts())):
            reader, key = StreamReader(one), one.keys.member("reports:*", self._client_id)
            if self._first and place[number] != BEGINNING and _is_lost(reader, key, place[number]):
                chunks.append(event("gap", json.dumps({"message": GAP})))
                if _is_after(place[number], target[number]):
                    place = moved(place, number, BEGINNING)
            if not _is_after(target[number], place[number]):
                continue
            words = (f"({place[number]}", target[number], "COUNT", PAGE)
            entries = [
                (text(entry_id), fields)
                for entry_id, fields in execute(reader.client, "XRANGE", key, *words)
            ]
            for entry_id, datas in entry_events(one, config, self._client_id, entries):
                place = moved(place, number, entry_id)
                chunks.append(chunk_of(place, datas))
            if len(entries) < PAGE:
                place = moved(place, number, target[number])
            else:
                more = True
        self._first = False
        return b"".join(chunks), place, more


def _is_after(one: str, other: str) -> bool:
    return stream_id_order(one) > stream_id_order(other)


def _is_lost(reader: StreamReader, key: str, entry_id: str) -> bool:
    """Whether the stream no longer has the entry, and so maybe not what followed it."""
    return not execute(reader.client, "XRANGE", key, entry_id, entry_id)
