"""Where the records of the past are read from: the seam between those who read and what is stored.

A :class:`Source` has the entries of one partition. :class:`StoredSource` reads those of its archive
and those of its streams as one sequence. Nothing above this module knows where a record was.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal, NamedTuple, Protocol, TypeAlias, TypeVar

from mm.store import (
    OrderName,
    RememberedOrder,
    Scripts,
    Snapshot,
    Stream,
    StreamReader,
    execute,
    partitions_of,
    remembered_orders,
    stream_id_order,
    text,
)

T = TypeVar("T")
#: The streams whose past is read.
StreamName: TypeAlias = Literal[
    "fills", "orders", "quotes", "positions", "lifecycle", "operations", "deadletter"
]
#: A record's ``ts_ms`` may be later than the id of its entry by what a script takes. Reading begins
#: this much earlier; a clock that was set back makes ids later, never earlier.
SLACK_MS = 60_000


class Entry(NamedTuple):
    """A stream entry: its id, and its names and values as one flat list."""

    entry_id: str
    flat: list[bytes]

    @property
    def records(self) -> Iterator[tuple[str, str]]:
        """Its names with their values; a name may come twice."""
        return zip(map(text, self.flat[::2]), map(text, self.flat[1::2]), strict=True)

    @property
    def entry_ms(self) -> int:
        """The time in its id."""
        return int(self.entry_id.partition("-")[0])


class Source(Protocol):
    """What has the entries of one partition up to one instant, oldest first."""

    def entries(self, name: StreamName, since_ms: int) -> Iterator[Entry]:
        """All entries since then, and maybe some before: each record is judged by its own time."""

    def lacks(self, name: StreamName, since_ms: int) -> bool:
        """Whether there were entries since then that are no longer kept."""

    def outcomes(
        self, orders: Sequence[OrderName], entry_ids: Iterable[str]
    ) -> dict[OrderName, RememberedOrder]:
        """What is known of orders, by client_id and order_id; they stand in these entries."""


class StoredSource:
    """The entries that a partition has, up to the instant of its snapshot."""

    def __init__(self, scripts: Scripts, streams: dict[str, Stream]) -> None:
        self._reader = StreamReader(scripts)
        self._streams = streams

    def entries(self, name: StreamName, since_ms: int) -> Iterator[Entry]:
        """All entries since then, in chunks: few are in memory at a time."""
        last_id, first_id = self._streams[name].last_id, str(max(since_ms - SLACK_MS, 0))
        for entry, flat in self._reader.whole(name, last_id, first_id):
            yield Entry(text(entry), flat)

    def lacks(self, name: StreamName, since_ms: int) -> bool:
        """Whether entries since then are neither in the stream nor in the archive."""
        stream = self._streams[name]
        if stream_id_order(stream.first_id)[0] <= since_ms or not stream.length:
            return False
        archive = self._reader.archive()
        if archive is not None:
            with archive:
                begin = (0, 0) if name == "fills" else archive.begin(name)
            if begin is not None:
                return begin[0] > since_ms
        reply = execute(self._reader.client, "XINFO", "STREAM", self._reader.keys.named(name))
        added, length = (reply[reply.index(word) + 1] for word in (b"entries-added", b"length"))
        return int(added) > int(length)

    def outcomes(
        self, orders: Sequence[OrderName], entry_ids: Iterable[str]
    ) -> dict[OrderName, RememberedOrder]:
        """What the exchange remembers of them, and for the others what it did when archived."""
        found = remembered_orders(self._reader.client, self._reader.keys, orders)
        if len(found) == len(set(orders)):
            return found
        archive = self._reader.archive()
        if archive is not None:
            with archive:
                for entry_id in dict.fromkeys(entry_ids):
                    for order, value in archive.outcomes(stream_id_order(entry_id)).items():
                        found.setdefault(order, RememberedOrder.parse(value))
        return found


def sources_of(scripts: Scripts, snapshot: Snapshot) -> list[Source]:
    """The source of each partition, in their order; of a system without partitions its one."""
    parts = snapshot.parts or (snapshot,)
    pairs = zip(partitions_of(scripts), parts, strict=True)
    return [StoredSource(one, part.streams) for one, part in pairs]


def merged(parts: Iterable[Iterable[T]], entry_id: Callable[[T], str]) -> Iterator[T]:
    """What several partitions have as one sequence, by the ids of the entries.

    What one partition has keeps its order. Of equal ids the partition with the lower number comes
    first. So the sequence is the same each time.
    """
    return heapq.merge(*parts, key=lambda one: stream_id_order(entry_id(one)))
