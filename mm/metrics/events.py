"""Counts the dead letters, and the starts and ends of processes and of the server."""

from __future__ import annotations

from collections.abc import Iterator

from mm.metrics.counts import DEAD_LETTERS, INTEGRITY, OTHER, Counts
from mm.metrics.tail import MAX_FIELDS, TailReader, named_fields
from mm.store import LIFECYCLE, execute, stream_id_order


class Events:
    """Reads two streams of one system or partition, and adds to ``counts``.

    It keeps to where it has read each of them. So what came while no server answered, such as the
    start of the server itself, is counted when it answers again. Errors are the client's.
    """

    def __init__(self, reader: TailReader, counts: Counts) -> None:
        self._reader = reader
        self._counts = counts
        self._system_id: bytes | None = None
        self._read_to: dict[str, str] = {}

    def begin_anew(self) -> None:
        """Forget where the streams were read to: the next call finds where they end."""
        self._read_to = {}

    def count(self) -> bool:
        """Count what came since the call before, and return True.

        The first call only finds where the streams end, and returns False. So does a call after
        which the keys hold another system: what is in its streams came at an unknown time.
        """
        keys, client = self._reader.keys, self._reader.client
        system_id = execute(client, "HGET", keys.named("config"), "system_id")
        if not self._read_to or system_id != self._system_id:
            ends = {name: self._reader.newest_id(name) for name in ("deadletter", "lifecycle")}
            self._read_to, self._system_id = ends, system_id
            return False
        for fields in self._new("deadletter"):
            self._count_dead_letter(fields)
        for fields in self._new("lifecycle"):
            event = fields.get("event", OTHER)
            self._counts.lifecycle[event if event in LIFECYCLE else OTHER] += 1
        return True

    def _count_dead_letter(self, fields: dict[str, str]) -> None:
        # The source of an order from an inbox is `inbox:` and the client's id.
        source, reason = fields.get("source", OTHER).partition(":")[0], fields.get("reason", OTHER)
        if source not in DEAD_LETTERS:
            source = OTHER
        elif source == "fills":
            reason = INTEGRITY
        known = DEAD_LETTERS.get(source, ())
        self._counts.dead_letters[source, reason if reason in known else OTHER] += 1

    def _new(self, name: str) -> Iterator[dict[str, str]]:
        """The entries of a stream that came since the call before."""
        # The last entry that was read is read again: a stream without it has gone back.
        last_id = self._read_to[name]
        tail = self._reader.read(self._reader.keys.named(name), last_id, "+", MAX_FIELDS)
        if not tail.whole:
            self._counts.skips[name] += 1
        read_to = stream_id_order(last_id)
        new = [entry for entry in tail.entries if stream_id_order(entry[0]) > read_to]
        if new:
            self._read_to[name] = new[-1][0]
        elif not tail.entries and last_id != "0-0":
            self._read_to[name] = self._reader.newest_id(name)
        return (named_fields(flat) for _, flat in new)
