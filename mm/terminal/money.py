"""What was earned, in a line for each currency: the first lines of the view and of positions."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from mm.facts import ProfitTrack, Total, symbol_count, totals
from mm.store import Snapshot
from mm.terminal.draw import QUIET, cut, parts_line, signed, trend, trimmed

#: The most cells of the small history.
HISTORY = 40


def money_lines(profits: Sequence[Total], tracks: Sequence[ProfitTrack], width: int) -> list[Text]:
    """The total of each currency, its parts, its largest drawdown and a small history of it.

    ``tracks`` are of the same currencies in the same order, or there are none: then the line has
    neither drawdown nor history. What does not fit is left out from the end.
    """
    known: Sequence[ProfitTrack | None] = tracks if len(tracks) == len(profits) else []
    paired = zip(profits, known or [None] * len(profits), strict=True)
    return [_line(one, track, width) for one, track in paired]


def view_money(snapshot: Snapshot, tracks: Sequence[ProfitTrack], width: int) -> list[Text]:
    """What was earned; of too many symbols for the screen only where to read it."""
    if symbol_count(snapshot) > len(snapshot.symbols):
        return [cut(Text("profit: see `mm positions`", QUIET), width)]
    return money_lines(totals(snapshot), tracks, width)


def _line(one: Total, track: ProfitTrack | None, width: int) -> Text:
    unit = f" {one.currency}" if one.currency else ""
    total = Text.assemble("profit ", signed(one.total), (unit, "bold"))
    parts = Text.assemble("= spread ", signed(one.spread), " + inventory ", signed(one.inventory))
    line = parts_line([total, parts], width, " ")
    if track is None or "inventory" not in line.plain:
        return line
    for words in ("largest drawdown", "drawdown"):
        part = Text.assemble(f"{words} ", trimmed(track.drawdown))
        if "drawdown" not in line.plain:
            line = parts_line([line, part], width, "   ")
    points = track.points(min(HISTORY, max(width - line.cell_len - 3, 0)))
    if len(points) < 8 or "drawdown" not in line.plain:
        return line
    return parts_line([line, Text(trend(points), QUIET)], width, "   ")
