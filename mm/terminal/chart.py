"""The price history of a symbol, drawn with characters: what was quoted, and the fills on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

from rich.text import Text

from mm.instant import clock
from mm.market import Fill, Symbol
from mm.terminal.draw import QUIET, cut
from mm.terminal.symbol_source import QuotePoint, SymbolPast

#: What stands for the space between bid and ask, and for the fills of orders.
QUOTED, BOUGHT, SOLD, BOTH = "░", "▲", "▼", "◆"
LEGEND = f"{QUOTED} quoted, fills of orders: {BOUGHT} buy {SOLD} sell {BOTH} both"
#: The longest time that a chart shows.
WINDOW_MS = 300_000
#: The least width and height of a chart without its labels.
LEAST_WIDTH, LEAST_HEIGHT = 10, 3


def price_chart(
    past: SymbolPast, symbol: Symbol, now_ms: int, width: int, height: int
) -> list[Text]:
    """The chart in ``height`` lines of ``width`` cells, the last of them the times.

    Each column is a part of the time from the first quote that is known to ``now_ms``, at most the
    last WINDOW_MS if there was any quote or fill in them. A quote fills the rows from its bid to
    its ask while it stands. Where nothing is known a line says so; without room there is none.
    """
    past, first_ms = _within(past, now_ms)
    prices = _prices(past)
    if not prices:
        return [cut(Text("no quote and no fill is known yet", QUIET), width)][:height]
    low, high = min(prices), max(prices)
    labels = [symbol.price(high), symbol.price(low)]
    left = max(map(len, labels)) + 1
    columns, rows = width - left, height - 1
    if columns < LEAST_WIDTH or rows < LEAST_HEIGHT:
        return []
    span_ms = max(now_ms - first_ms, columns)
    grid = [[(" ", "")] * columns for _ in range(rows)]

    def row_of(ticks: int) -> int:
        return (high - ticks) * (rows - 1) // (high - low) if high > low else rows // 2

    def column_of(ts_ms: int) -> int:
        return min(max((ts_ms - first_ms) * columns // span_ms, 0), columns - 1)

    for point, (begin, end) in zip(
        past.quotes, _spans(past.quotes, now_ms, column_of), strict=True
    ):
        sides = [ticks for ticks in (point.bid, point.ask) if ticks is not None]
        for row in range(row_of(max(sides)), row_of(min(sides)) + 1) if sides else ():
            for column in range(begin, end):
                grid[row][column] = (QUOTED, "cyan")
    for fill in past.fills:
        _mark(grid, row_of(fill.price_ticks), column_of(fill.ts_ms), fill)
    lines = []
    for number, cells in enumerate(grid):
        label = labels[0] if number == 0 else labels[1] if number == rows - 1 else ""
        if high == low:
            label = labels[0] if number == rows // 2 else ""
        line = Text.assemble((f"{label:>{left - 1}} ", QUIET))
        for letter, style in cells:
            line.append(letter, style)
        lines.append(cut(line, width))
    return [*lines, _times(first_ms, now_ms, left, width)]


def _within(past: SymbolPast, now_ms: int) -> tuple[SymbolPast, int]:
    """What the chart shows of the past, and from when on."""
    known = past.quotes[:1] or past.fills[:1]
    begin = known[0].ts_ms if known else now_ms
    since = max(begin, now_ms - WINDOW_MS)
    ends = [*(one.ts_ms for one in past.quotes[1:]), now_ms]
    quotes = [one for one, end in zip(past.quotes, ends, strict=False) if end > since]
    fills = [one for one in past.fills if one.ts_ms >= since]
    shown = replace(past, quotes=tuple(quotes), fills=tuple(fills))
    if not _prices(shown):
        return past, begin
    return shown, since


def _prices(past: SymbolPast) -> list[int]:
    quoted = [side for one in past.quotes for side in (one.bid, one.ask) if side is not None]
    return quoted + [fill.price_ticks for fill in past.fills]


def _spans(
    quotes: Sequence[QuotePoint], now_ms: int, column_of: Callable[[int], int]
) -> list[tuple[int, int]]:
    """The columns of each quote: until the next one, and at least one."""
    found = []
    for one, end in pairwise([*(column_of(one.ts_ms) for one in quotes), column_of(now_ms) + 1]):
        found.append((one, max(end, one + 1)))
    return found


def _mark(grid: list[list[tuple[str, str]]], row: int, column: int, fill: Fill) -> None:
    """Put a fill on the chart."""
    letter = BOUGHT if fill.side == "buy" else SOLD
    if grid[row][column][0] in {BOUGHT, SOLD, BOTH} - {letter}:
        letter = BOTH
    grid[row][column] = (letter, "bold")


def _times(first_ms: int, now_ms: int, left: int, width: int) -> Text:
    begin, end = clock(first_ms), clock(now_ms)
    line = " " * left + begin
    return cut(Text(line + end.rjust(max(width - len(line), 0)), QUIET), width)
