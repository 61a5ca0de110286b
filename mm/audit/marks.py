"""Where an audit of the ledger begins: at its beginning, or at marks of the archive.

A mark is the committed position of a symbol as it stood at some time. An audit since then takes it
for granted; a whole audit compares it with the fills before it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from mm.archive import Archive, EntryId, id_text
from mm.errors import ArchiveBroken
from mm.market import Fill, Position
from mm.store import Fields, StreamReader, position_of

#: Fills that are read at a time to find the first one of a quote.
_STEP = 100


@dataclass(frozen=True)
class Start:
    """Where a symbol begins: the fill before the first one that is read.

    ``position`` is the one after it, ``entry_id`` its entry. ``quote`` is the version of the quote
    that it executed, ``bid_lots`` and ``ask_lots`` what was filled of that quote until then.
    """

    number: int = 0
    position: Position = field(default_factory=Position)
    entry_id: EntryId = (0, 0)
    quote: int = 0
    bid_lots: int = 0
    ask_lots: int = 0


@dataclass(frozen=True)
class Marks:
    """What the archive knows of positions.

    ``starts`` are by symbol, those of the other symbols are the beginning. ``stored`` has by symbol
    and fill number the fields of each mark that the audit passes.
    """

    starts: Mapping[str, Start]
    stored: Mapping[str, Mapping[int, Mapping[str, str]]]

    def start(self, symbol: str) -> Start:
        """Where the symbol begins."""
        return self.starts.get(symbol, Start())

    def first_id(self, symbols: list[str]) -> str:
        """The entry from which on the ledger is to be read."""
        return id_text(min((self.start(name).entry_id for name in symbols), default=(0, 0)))


def read_marks(reader: StreamReader, since_ms: int | None) -> Marks:
    """The marks; an audit since then begins at the newest of each symbol that is not later.

    ArchiveBroken when the archive cannot be read.
    """
    found = reader.archive()
    if found is None:
        return Marks({}, {})
    with found as archive:
        stored = {
            symbol: {number: json.loads(position) for number, _, position in marks}
            for symbol, marks in archive.marks().items()
        }
        starts = {}
        for symbol, marks in archive.marks(since_ms).items() if since_ms is not None else ():
            number = marks[-1][0]
            fields = Fields(f"the mark of {symbol}-{number}", stored[symbol][number])
            # A symbol with damage at its mark is read from its beginning, which names the damage.
            with suppress(ArchiveBroken):
                starts[symbol] = _start(archive, symbol, number, position_of(fields))
    return Marks(starts, stored)


def _start(archive: Archive, symbol: str, number: int, position: Position) -> Start:
    quote, lots = "", {"buy": 0, "sell": 0}
    entry_id: EntryId = (0, 0)
    for first in range(max(number - _STEP + 1, 1), -_STEP, -_STEP):
        rows = list(archive.fills_of(symbol, max(first, 1), min(first + _STEP - 1, number)))
        for row in reversed(rows):
            fill = Fill.parse(row.fill_id, row.line)
            if row.number == number:
                quote, entry_id = fill.quote_id, row.entry_id
            if fill.quote_id != quote:
                break
            lots[fill.side] += fill.qty_lots
        else:
            continue
        break
    version = int(quote.rpartition("-")[2])
    return Start(number, position, entry_id, version, lots["sell"], lots["buy"])
