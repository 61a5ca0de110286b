"""Streams, sets and hashes read in chunks, as flat bytes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING

import redis

from mm.errors import ArchiveBroken
from mm.store.calls import execute, text
from mm.store.scripts import Scripts

if TYPE_CHECKING:
    from mm.archive import Archive, Broken

#: About how many records one read asks for: few, so that reads do not delay trading.
CHUNK = 4_000
#: The id after all others.
END = f"{2**63}-0"
#: The largest number in the id of an entry that the archive can have.
MAX_SEQ = 2**62
_STREAM_ID = re.compile(r"[0-9]{1,20}-[0-9]{1,20}")


def is_stream_id(value: str) -> bool:
    """Whether the text is the id of a stream entry."""
    return _STREAM_ID.fullmatch(value) is not None


class StreamReader:
    """Reads streams, sets and hashes in chunks, as flat bytes, so that repeated names are kept."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts, self.keys = scripts, scripts.keys
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

    def records(
        self, key: str, last_id: str, first_id: str = "-"
    ) -> Iterator[tuple[bytes, bytes, bytes]]:
        """The records of these entries of a stream, oldest first: entry id, name, line."""
        for entry, flat in self.entries(key, last_id, first_id):
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

    # --- across the archive

    def archive(self) -> Archive | None:
        """The archive that the keys name, opened and compared with them; None without one.

        ArchiveBroken when it is missing, another one, or lacks what the keys say that it has.
        """
        state = self._scripts.archive_state()
        if not state.file:
            return None
        # Reading an archive is rare, and a program that does not needs no SQLite.
        from mm.archive import STREAMS, Archive, Head

        path, scripts = Path(state.file), self._scripts
        shown = (scripts.archives_shown or scripts.archives or path.parent) / path.name
        found = Archive(scripts.archives / path.name if scripts.archives else path, shown)
        where = found.where
        if found.archive_id != state.archive_id:
            raise ArchiveBroken(
                f"{where}: the archive is {found.archive_id}, the ledger was archived in"
                f" {state.archive_id}"
            )
        for symbol, stored in (state.heads or {}).items():
            try:
                head = Head.parse(stored)
            except ValueError as error:
                raise ArchiveBroken(f"{self.keys.named('archived')} {symbol}: {error}") from error
            if not found.has(symbol, head):
                what, has = "entry" if symbol in STREAMS else "fill", found.head(symbol).number
                raise ArchiveBroken(
                    f"{where}: the archive is older than the ledger, or altered: it lacks the"
                    f" {what} {symbol}-{head.number} as it was archived (its last one is"
                    f" {symbol}-{has})"
                )
        return found

    def whole(
        self,
        name: str,
        last_id: str,
        first_id: str = "0-0",
        broken: Broken | None = None,
    ) -> Iterator[tuple[bytes, list[bytes]]]:
        """The entries of a stream as :meth:`entries` gives them, those before it from its archive.

        ``broken`` gets the symbol and a sentence for each fill of the archive that is missing or
        altered; without it ArchiveBroken is raised. It is raised for an entry of another stream.
        """
        if name == "fills":
            return self._whole_ledger(last_id, first_id, broken)
        return self._whole_stream(name, last_id, first_id)

    def ledger(self, last_id: str = END) -> Iterator[tuple[bytes, bytes, bytes]]:
        """The records of the ledger up to ``last_id``, oldest first: entry id, fill id, line."""
        for entry, flat in self.whole("fills", last_id):
            for i in range(0, len(flat), 2):
                yield entry, flat[i], flat[i + 1]

    def _whole_ledger(
        self, last_id: str, first_id: str, broken: Broken | None
    ) -> Iterator[tuple[bytes, list[bytes]]]:
        key, after, last = self.keys.named("fills"), _before(first_id), stream_id_order(last_id)
        count, trimmed = 100, self._trimmed_to()
        while after < last:
            if trimmed > after:
                yield from self._archived_fills(after, min(trimmed, last), broken)
                after = trimmed
                continue
            pipeline = self.client.pipeline(transaction=False)
            execute(pipeline, "XRANGE", key, f"({after[0]}-{after[1]}", last_id, "COUNT", count)
            execute(pipeline, "HGET", self.keys.named("archive"), "trimmed_to")
            chunk, now_trimmed = pipeline.execute()
            trimmed = stream_id_order(text(now_trimmed or b"0-0"))
            if trimmed > after:
                continue  # some of it may have been removed before it was read
            yield from chunk
            if len(chunk) < count:
                return
            after = stream_id_order(text(chunk[-1][0]))
            records = sum(len(flat) // 2 for _, flat in chunk)
            count = max(1, min(CHUNK, count * CHUNK // max(records, 1)))

    def _trimmed_to(self) -> tuple[int, int]:
        stored = execute(self.client, "HGET", self.keys.named("archive"), "trimmed_to")
        return stream_id_order(text(stored or b"0-0"))

    def _archived_fills(
        self, after: tuple[int, int], last: tuple[int, int], broken: Broken | None
    ) -> Iterator[tuple[bytes, list[bytes]]]:
        found = self.archive()
        if found is None:
            raise ArchiveBroken(
                f"{self.keys.named('archive')}: it does not say where the archive is"
            )
        with found as archive:
            for entry_id, fills in groupby(archive.fills(after, last, broken), itemgetter(0)):
                words = [word for fill in fills for word in (fill.fill_id, fill.line)]
                yield f"{entry_id[0]}-{entry_id[1]}".encode(), [word.encode() for word in words]

    def _whole_stream(
        self, name: str, last_id: str, first_id: str
    ) -> Iterator[tuple[bytes, list[bytes]]]:
        found = self.archive()
        if found is not None:
            with found as archive:
                end = min(archive.end(name) or (0, 0), stream_id_order(last_id))
                for entry_id, flat in archive.entries(name, _before(first_id), end):
                    yield f"{entry_id[0]}-{entry_id[1]}".encode(), flat
            if end > _before(first_id):
                first_id = f"({end[0]}-{end[1]}"
        yield from self.entries(self.keys.named(name), last_id, first_id)

    def whole_back(self, name: str, last_id: str) -> Iterator[tuple[bytes, list[bytes]]]:
        """The entries of a stream other than the ledger up to one, newest first.

        They come from the stream, and those before its first one from its archive.
        """
        count, end, before = 50, last_id, _after(last_id)
        while end != "0-0":
            chunk = execute(
                self.client, "XREVRANGE", self.keys.named(name), end, "-", "COUNT", count
            )
            yield from chunk
            if chunk:
                before = stream_id_order(text(chunk[-1][0]))
                end = f"({text(chunk[-1][0])}"
            if len(chunk) < count:
                break
            count = min(2 * count, 1_000)
        found = self.archive()
        if found is not None:
            with found as archive:
                for entry_id, flat in archive.entries_back(name, before):
                    yield f"{entry_id[0]}-{entry_id[1]}".encode(), flat


def stream_id_order(entry_id: str) -> tuple[int, int]:
    """Sort key of a stream id. An invalid id sorts first."""
    ms, _, seq = entry_id.partition("-")
    return (int(ms), int(seq or 0)) if is_stream_id(entry_id) else (-1, 0)


def _before(first_id: str) -> tuple[int, int]:
    """The id just before this one, which may be a time alone."""
    ms, _, seq = first_id.partition("-")
    before = (int(ms), int(seq) - 1) if seq and int(seq) else (int(ms) - 1, MAX_SEQ)
    return max(before, (0, 0))


def _after(last_id: str) -> tuple[int, int]:
    """The id just after this one, which may be the end of the stream."""
    ms, seq = stream_id_order(last_id)
    return (MAX_SEQ, 0) if ms < 0 else (ms, seq + 1)
