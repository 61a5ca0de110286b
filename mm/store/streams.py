"""Streams, sets and hashes read in chunks, as flat bytes."""

from __future__ import annotations

import re
from collections.abc import Iterator

import redis

from mm.store.calls import execute, text
from mm.store.scripts import Scripts

#: About how many records one read asks for: few, so that reads do not delay trading.
CHUNK = 4_000
_STREAM_ID = re.compile(r"[0-9]{1,20}-[0-9]{1,20}")


def is_stream_id(value: str) -> bool:
    """Whether the text is the id of a stream entry."""
    return _STREAM_ID.fullmatch(value) is not None


class StreamReader:
    """Reads streams, sets and hashes in chunks, as flat bytes, so that repeated names are kept."""

    def __init__(self, scripts: Scripts) -> None:
        self.keys = scripts.keys
        # redis-py makes dictionaries of these replies, which would lose a repeated name.
        self.client = redis.Redis(connection_pool=scripts.client.connection_pool)
        for command in ("XRANGE", "XREVRANGE"):
            self.client.set_response_callback(command, lambda reply, **_: reply)

    def entries(
        self, key: str, last_id: str, first_id: str = "-"
    ) -> Iterator[tuple[bytes, list[bytes]]]:
        """The entries of a stream from ``first_id`` to ``last_id``, oldest first.

        Each is its id, and its names and values as one flat list.
        """
        count, start = 100, first_id
        while last_id != "0-0":
            chunk = execute(self.client, "XRANGE", key, start, last_id, "COUNT", count)
            records = 0
            for entry, flat in chunk:
                records += len(flat) // 2
                yield entry, flat
            if len(chunk) < count:
                return
            start = "(" + text(chunk[-1][0])
            # An entry holds from one record to a thousand: adapt the count to these.
            count = max(1, min(CHUNK, count * CHUNK // max(records, 1)))

    def records(self, key: str, last_id: str) -> Iterator[tuple[bytes, bytes, bytes]]:
        """The records of a stream up to ``last_id``, oldest first: entry id, name, line."""
        for entry, flat in self.entries(key, last_id):
            for i in range(0, len(flat), 2):
                yield entry, flat[i], flat[i + 1]

    def members(self, family: str) -> list[str]:
        """The members of a key family that exist, such as the client ids of ``reports:*``."""
        prefix = self.keys.named(family)
        found: set[str] = set()
        cursor = "0"
        while True:
            reply = execute(self.client, "SCAN", cursor, "MATCH", prefix + "*", "COUNT", 1_000)
            found.update(text(key).removeprefix(prefix) for key in reply[1])
            cursor = text(reply[0])
            if cursor == "0":
                return sorted(found)

    def fields(self, key: str) -> Iterator[tuple[bytes, bytes]]:
        """The fields of a hash with their values; a field may come twice."""
        cursor = "0"
        while True:
            reply = execute(self.client, "HSCAN", key, cursor, "COUNT", CHUNK)
            yield from reply[1].items()
            cursor = text(reply[0])
            if cursor == "0":
                return


def stream_id_order(entry_id: str) -> tuple[int, int]:
    """Sort key of a stream id. An invalid id sorts first."""
    ms, _, seq = entry_id.partition("-")
    return (int(ms), int(seq or 0)) if is_stream_id(entry_id) else (-1, 0)
