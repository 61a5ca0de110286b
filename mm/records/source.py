"""Where the records of the past are read from: the seam between those who read and what is stored.

A :class:`Source` has the entries of one partition. Today its streams are all there is, and
:class:`StreamSource` reads them. Records that a later version keeps elsewhere come from another
Source, which gives these first and then goes on in the streams behind its last id. Nothing above
this module knows where a record was.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal, NamedTuple, Protocol, TypeAlias, TypeVar

from mm.store import (
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
StreamName: TypeAlias = Literal["fills", "orders", "quotes"]
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

    def outcomes(self, orders: Sequence[tuple[str, str]]) -> dict[tuple[str, str], RememberedOrder]:
        """What is known of orders, by client_id and order_id."""


class StreamSource:
    """The entries that the streams of a partition hold, up to the instant of its snapshot."""

    def __init__(self, scripts: Scripts, streams: dict[str, Stream]) -> None:
        self._reader = StreamReader(scripts)
        self._streams = streams

    def entries(self, name: StreamName, since_ms: int) -> Iterator[Entry]:
        """All entries since then, in chunks: few are in memory at a time."""
        key, last_id = self._reader.keys.named(name), self._streams[name].last_id
        first_id = str(max(since_ms - SLACK_MS, 0))
        for entry, flat in self._reader.entries(key, last_id, first_id):
            yield Entry(text(entry), flat)

    def lacks(self, name: StreamName, since_ms: int) -> bool:
        """Whether the stream was trimmed, and its first entry is later than that."""
        stream = self._streams[name]
        if stream_id_order(stream.first_id)[0] <= since_ms or not stream.length:
            return False
        reply = execute(self._reader.client, "XINFO", "STREAM", self._reader.keys.named(name))
        added, length = (reply[reply.index(word) + 1] for word in (b"entries-added", b"length"))
        return int(added) > int(length)

    def outcomes(self, orders: Sequence[tuple[str, str]]) -> dict[tuple[str, str], RememberedOrder]:
        """What the exchange remembers of them."""
        return remembered_orders(self._reader.client, self._reader.keys, orders)


def sources_of(scripts: Scripts, snapshot: Snapshot) -> list[Source]:
    """The source of each partition, in their order; of a system without partitions its one."""
    parts = snapshot.parts or (snapshot,)
    pairs = zip(partitions_of(scripts), parts, strict=True)
    return [StreamSource(one, part.streams) for one, part in pairs]


def merged(parts: Iterable[Iterable[T]], entry_id: Callable[[T], str]) -> Iterator[T]:
    """What several partitions have as one sequence, by the ids of the entries.

    What one partition has keeps its order. Of equal ids the partition with the lower number comes
    first. So the sequence is the same each time.
    """
    return heapq.merge(*parts, key=lambda one: stream_id_order(entry_id(one)))
