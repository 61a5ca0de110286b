"""The position at a fill of long ago, from the archive."""

from __future__ import annotations

import json

from mm.archive import Archive
from mm.market import Fill, Position

#: The fields of a mark that a story needs.
_SUMMED = ("position_version", "net_lots", "cash_ticks")


def position_at(archive: Archive, symbol: str, number: int) -> Position:
    """The net lots and the cash after a fill, summed up since the newest mark before it."""
    marks = [one for one in archive.marks().get(symbol, []) if one[0] <= number]
    known = json.loads(marks[-1][2]) if marks else {}
    done, net, cash = (int(known.get(name, 0)) for name in _SUMMED)
    for one in archive.fills_of(symbol, done + 1, number):
        fill = Fill.parse(one.fill_id, one.line)
        net, cash = net + fill.signed_lots, cash - fill.signed_lots * fill.price_ticks
    return Position(net, cash, position_version=number)
