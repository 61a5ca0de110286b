"""The one style of all tables: columns that fit a width, without lines between them.

Titles are quiet and stand above their column, numbers on the right, words on the left, a dash
for a value that does not exist. Whole columns are left out where not all fit; no number is broken
or cropped. Prose wraps between words.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import zip_longest

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.text import Text

from mm.terminal.draw import QUIET, cut

#: Space between two columns in cells: the least, and the most where there is room.
GAP, WIDE_GAP = 1, 3
#: The least width of labels that wrap, and how far their further lines are set in.
LEAST_LABEL, INDENT = 18, 4
#: The least width of prose beside other columns, and the space between them.
LEAST_PROSE, PROSE_GAP = 40, 2


@dataclass(frozen=True)
class Column:
    """A column with its cells.

    Where not all columns fit, lower ranks come first; rank 0 always stays. A line break in the
    ``title`` makes two lines of it. ``name`` is what a note calls the column once it is left out,
    by default its title. The column is at least ``least`` cells wide.
    """

    title: str
    cells: Sequence[Text]
    rank: int = 0
    right: bool = True
    name: str = ""
    least: int = 0

    @property
    def called(self) -> str:
        """The column's name in one line."""
        return self.name or self.title.replace("\n", " ")

    @cached_property
    def width(self) -> int:
        """The width of its widest text, or ``least``."""
        titles = (cell_len(line) for line in self.title.split("\n"))
        return max([self.least, *titles, *(cell.cell_len for cell in self.cells)])


@dataclass
class Widths:
    """The widest that each column has been, by name.

    A column that never shrinks stays in its place while one watches.
    """

    _widest: dict[str, int] = field(default_factory=dict)

    def grow(self, columns: Iterable[Column]) -> list[Column]:
        """The columns, each as wide as it has ever been."""
        grown = []
        for column in columns:
            width = max(column.width, self._widest.get(column.called, 0))
            self._widest[column.called] = width
            grown.append(replace(column, least=width))
        return grown


def choose(columns: Sequence[Column], width: int) -> list[Column]:
    """The columns that fit ``width`` cells, in their order."""
    left, chosen = width + GAP, set()
    for column in sorted(columns, key=lambda one: one.rank):
        need = column.width + GAP
        if column.rank == 0 or need <= left:
            chosen.add(id(column))
            left -= need
    return [column for column in columns if id(column) in chosen]


def left_out(columns: Sequence[Column], chosen: Sequence[Column]) -> list[str]:
    """The names of the columns that are not chosen; a column without a name says nothing new."""
    kept = {column.called for column in chosen}
    return [one.called for one in columns if one.called and one.called not in kept]


def lines_of(chosen: Sequence[Column], width: int, max_gap: int = WIDE_GAP) -> list[Text]:
    """Chosen columns as lines of at most ``width`` cells: the titles, then one for each row."""
    used = sum(column.width for column in chosen)
    gap = " " * min(max((width - used) // max(len(chosen) - 1, 1), GAP), max_gap)
    high = max((column.title.count("\n") + 1 for column in chosen if column.title), default=0)
    titled = [[*_title_cells(column.title, high), *column.cells] for column in chosen]
    lines = []
    for cells in zip(*titled, strict=True):
        line = Text()
        for place, (column, cell) in enumerate(zip(chosen, cells, strict=True)):
            pad = " " * (column.width - cell.cell_len)
            line.append(gap if place else "").append(pad if column.right else "")
            line.append_text(cell).append("" if column.right else pad)
        line.rstrip()
        lines.append(cut(line, width))
    return lines


def _title_cells(title: str, high: int) -> list[Text]:
    """The lines of a title, the last of them beside the rows; where no column has one, none."""
    lines = title.split("\n") if high else []
    return [Text(line, QUIET) for line in [""] * (high - len(lines)) + lines]


@dataclass(frozen=True)
class FittedTable:
    """A titled table of the columns that fit the console.

    Below it stand the names of the columns that are left out, and the ``notes``. Both are prose,
    which wraps between words. So do the ``labels`` of the rows, a column before the others, and
    ``prose``, a column after them, which has the lines that it needs. On narrow screens it stands
    below each row.
    """

    title: str
    columns: Sequence[Column]
    notes: Sequence[Text] = ()
    labels: Column | None = None
    prose: Column | None = None
    style: str = "bold"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        yield Text(self.title, self.style)
        if self.prose is not None:
            chosen = list(self.columns)
            yield from _with_prose(console, chosen, self.prose, width)
        elif self.labels is None:
            chosen = choose(self.columns, width)
            yield from lines_of(chosen, width)
        else:
            chosen = choose(self.columns, width - min(LEAST_LABEL, self.labels.width) - GAP)
            yield from _labelled(console, self.labels, chosen, width)
        missing = left_out(self.columns, chosen)
        if missing:
            yield Text(f"not shown at {width} columns: {', '.join(missing)}", "italic")
        yield from self.notes


def stacked(*parts: RenderableType | None) -> Group:
    """Tables below each other, each after an empty line; without those that are None."""
    shown: list[RenderableType] = []
    for part in parts:
        if part is not None:
            shown += [Text(), part] if shown else [part]
    return Group(*shown)


def _labelled(
    console: Console, labels: Column, chosen: Sequence[Column], width: int
) -> Iterator[Text]:
    """The lines of chosen columns, each with its label, which takes the lines that it needs."""
    room = width - sum(column.width + GAP for column in chosen)
    label_width = max(min(labels.width, room), 2 * INDENT)
    parts = [_wrapped(console, label, label_width) for label in labels.cells]
    first = replace(labels, cells=[lines[0] for lines in parts], right=False, least=label_width)
    lines = lines_of([first, *chosen], width)
    titles = len(lines) - len(parts)
    yield from lines[:titles]
    for line, (_, *more) in zip(lines[titles:], parts, strict=True):
        yield line
        yield from more


def _with_prose(
    console: Console, columns: Sequence[Column], prose: Column, width: int
) -> Iterator[Text]:
    """The lines of the columns, each with its prose beside it, or below where there is no room."""
    used = sum(column.width + PROSE_GAP for column in columns)
    is_beside = width - used >= LEAST_PROSE
    start = used if is_beside else PROSE_GAP
    lines = lines_of(columns, width, max_gap=PROSE_GAP)
    titles = len(lines) - len(prose.cells)
    for number, line in enumerate(lines[:titles], 1):
        title = prose.title if is_beside and number == titles else ""
        yield _padded(line, start).append(title, QUIET) if title else line
    for row, cell in zip(lines[titles:], prose.cells, strict=True):
        texts = list(cell.wrap(console, width - start)) if cell else []
        for text in texts:
            text.rstrip()
        if is_beside:
            yield _padded(row, start).append_text(texts.pop(0)) if texts else row
        elif row:
            yield row[row.cell_len - len(row.plain.lstrip()) :]
        yield from (_padded(Text(), start).append_text(text) for text in texts)


def _padded(line: Text, width: int) -> Text:
    """The line, filled to its width."""
    return line.append(" " * (width - line.cell_len))


def _wrapped(console: Console, label: Text, width: int) -> list[Text]:
    """A label in lines of at most ``width`` cells, all but the first set in."""
    if label.cell_len <= width:
        return [label]
    first, *more = label.wrap(console, width - INDENT)
    return [first, *(Text(" " * INDENT).append_text(line) for line in more)]


def beside(panes: Sequence[Sequence[Text]], widths: Sequence[int], gap: int) -> list[Text]:
    """Panes of lines side by side, each padded to its width."""
    lines = []
    for row in zip_longest(*panes):
        line, at = Text(no_wrap=True, overflow="crop"), 0
        for cell, width in zip(row, widths, strict=True):
            if cell is not None:
                line.append(" " * (at - line.cell_len)).append_text(cell)
            at += width + gap
        lines.append(line)
    return lines
