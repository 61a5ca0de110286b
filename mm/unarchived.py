"""What the streams of a partition have that its archive lacks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from mm.archive import STREAMS, Archive, ArchivedFill, EntryId, Event, entry_id_of, id_text
from mm.errors import ArchiveBroken
from mm.market import Config
from mm.store import (
    OrderMemory,
    Scripts,
    StreamReader,
    execute,
    server_ms,
    stream_id_order,
    text,
)

#: About how many records of a stream one round takes, and fills that one step removes.
BATCH = 5_000
#: The least entries that are read at a time.
FEW = 16
#: Where the server may lose acknowledged writes, fills are this old before they are archived: a
#: server that is killed loses what it has written within about a second.
SETTLED_MS = 10_000
#: The streams whose entries hold many records.
PACKED = ("fills", "orders")
#: Orders that are looked up at a time.
LOOKED_UP = 2_000
#: As large as a number in the id of an entry can be here.
MAX_SEQ = 2**62
#: The name of a fill's record, and the record, as ASCII words.
_FILL = re.compile(rb"([A-Z0-9._-]{1,16})-([1-9][0-9]{0,15})")
_LINE = re.compile(
    rb"(?:buy|sell) [0-9]{1,16} [0-9]{1,16}(?: [!-~]{1,64}){3} [0-9]{1,16}(?: [0-9]{1,16})?"
)
#: An entry of a stream: its id, and its names and values as one flat list.
Entry: TypeAlias = tuple[EntryId, list[bytes]]


@dataclass
class News:
    """What the other streams have that the archive lacks, as :meth:`Archive.add` takes it.

    ``more`` is whether there is more than that.
    """

    events: list[Event]
    begins: dict[str, EntryId]
    more: bool = False


class Unarchived:
    """Reads what is new for an archive; about ``BATCH`` records of each stream at a time.

    ``waits_for`` is why fills behind the state service's cursor cannot be archived yet, or empty
    text. ArchiveBroken when the ledger has a record that cannot be archived.
    """

    def __init__(self, scripts: Scripts, config: Config) -> None:
        self._config = config
        self._client, self._keys = scripts.client, scripts.keys
        self._reader = StreamReader(scripts)
        self._memory = OrderMemory(scripts.client, scripts.keys)
        self._counts = dict.fromkeys(("fills", *STREAMS), FEW)
        self.waits_for = ""

    def _entries(self, name: str, after: EntryId) -> tuple[list[Entry], bool]:
        """The next entries of a stream, about BATCH records of them, and whether there are more."""
        count, start = self._counts[name], f"({id_text(after)}"
        words = ("XRANGE", self._keys.named(name), start, "+", "COUNT", count)
        chunk = execute(self._reader.client, *words)
        records = sum(len(flat) // 2 for _, flat in chunk) if name in PACKED else len(chunk)
        if chunk:
            self._counts[name] = max(FEW, min(BATCH, count * BATCH // max(records, 1)))
        return [(entry_id_of(text(entry)), flat) for entry, flat in chunk], len(chunk) == count

    def fills(self, archive: Archive) -> tuple[list[ArchivedFill], bool]:
        """The fills behind the archive's end that are committed, in whole entries."""
        self.waits_for = ""
        entries, more = self._entries("fills", archive.last_id)
        if not entries:
            return [], False
        parsed = [(entry_id, _fills_of(entry_id, flat)) for entry_id, flat in entries]
        names = sorted({fill.symbol for _, fills in parsed for fill in fills})
        pipeline = self._reader.client.pipeline(transaction=False)
        for name in names:
            execute(pipeline, "HGET", self._keys.member("position:*", name), "position_version")
        # A position that is missing or damaged has committed nothing.
        stored = [version or b"" for version in pipeline.execute()]
        versions = {
            name: int(version) if version.isdigit() else 0
            for name, version in zip(names, stored, strict=True)
        }
        newest_ms = self._newest_ms()
        found: list[ArchivedFill] = []
        for entry_id, fills in parsed:
            left = next((one for one in fills if one.number > versions[one.symbol]), None)
            if left is not None:
                self._note(left)
            if left is not None or entry_id[0] > newest_ms:
                return found, False
            found += fills
        return found, more

    def _note(self, left: ArchivedFill) -> None:
        """Say that a fill waits, when that may be for long: its symbol is halted."""
        key = self._keys.member("position:*", left.symbol)
        if execute(self._client, "HGET", key, "halted"):
            self.waits_for = (
                f"{left.symbol} is halted after an integrity error, and its position lacks the fill"
                f" {left.fill_id}: nothing behind it is archived until `mm repair` has put it right"
            )

    def _newest_ms(self) -> int:
        """The latest time of an entry that no restart of the server can take back."""
        if self._config.durability != "relaxed":
            return 2**62
        return server_ms(self._client) - SETTLED_MS

    def news(self, archive: Archive) -> News:
        """The new entries of the other streams."""
        news = News([], {})
        processed, newest_ms = self._processed_orders(), self._newest_ms()
        for name in STREAMS:
            after = archive.end(name) or (0, 0)
            found, more = self._entries(name, after)
            entries = [one for one in found if one[0][0] <= newest_ms]
            if name == "orders":
                entries = [one for one in entries if one[0] <= processed]
            if not entries:
                continue
            news.more = news.more or (more and len(entries) == len(found))
            if begin := self._lost(name, after):
                news.begins[name] = begin
            if name == "orders":
                news.events += self._with_outcomes(entries)
            else:
                news.events += [Event(name, entry_id, flat) for entry_id, flat in entries]
        return news

    def can_go_on(self, name: str, end: EntryId | None) -> bool:
        """Whether a stream still has all that came after an entry, and has something after it."""
        if self._lost(name, end or (0, 0)):
            return False
        return bool(self._entries(name, end or (0, 0))[0])

    def _processed_orders(self) -> EntryId:
        cursor = execute(self._client, "HGET", self._keys.named("cursors"), "exchange")
        return stream_id_order(text(cursor or b"0-0"))

    def _lost(self, name: str, after: EntryId) -> EntryId | None:
        """The entry after which nothing is lost, when some were trimmed before they were archived.

        A stream keeps its entries long after they are archived. So one whose first entry is behind
        the archive's end was trimmed too early, or is new.
        """
        reply = execute(self._reader.client, "XINFO", "STREAM", self._keys.named(name))
        facts = dict(zip(map(text, reply[::2]), reply[1::2], strict=True))
        if not facts["first-entry"]:
            return None
        first = entry_id_of(text(facts["first-entry"][0]))
        is_new = after == (0, 0) and int(facts["entries-added"]) == int(facts["length"])
        if is_new or first <= after:
            return None
        return (first[0], first[1] - 1) if first[1] else (first[0] - 1, MAX_SEQ)

    def _with_outcomes(self, entries: Sequence[Entry]) -> Iterator[Event]:
        """Entries of orders, with what the exchange remembers of each order."""
        names = [
            [line.partition(b" ")[0] + b"/" + order for order, line in _records(flat)]
            for _, flat in entries
        ]
        every = [order for one in names for order in one]
        known: list[bytes | None] = []
        for start in range(0, len(every), LOOKED_UP):
            some = every[start : start + LOOKED_UP]
            known += self._memory.texts(some)
        values = iter(known)
        for (entry_id, flat), orders in zip(entries, names, strict=True):
            yield Event("orders", entry_id, flat, list(zip(orders, values, strict=False)))


def _records(flat: Sequence[bytes]) -> Iterator[tuple[bytes, bytes]]:
    return zip(flat[::2], flat[1::2], strict=True)


def _fills_of(entry_id: EntryId, flat: Sequence[bytes]) -> list[ArchivedFill]:
    """The fills of an entry; ArchiveBroken naming a record that is no fill."""
    found = []
    for name, line in _records(flat):
        fill = _FILL.fullmatch(name)
        if not fill or not _LINE.fullmatch(line):
            raise ArchiveBroken(
                f"the ledger's entry {id_text(entry_id)} cannot be archived: {text(name)!r} is no"
                " fill. `mm audit` says what is wrong with the ledger"
            )
        symbol, number = fill.groups()
        found.append(ArchivedFill(entry_id, symbol.decode(), int(number), line.decode()))
    return found
