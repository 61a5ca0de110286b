"""Columns that fit a width."""

from __future__ import annotations

from pathlib import Path

from rich.text import Text

import mm
from mm.terminal.columns import Column, FittedTable, Widths, choose, lines_of
from tests.terminal.drawing import drawn


def column(title: str, *cells: str, rank: int = 0, right: bool = True) -> Column:
    """A column of plain cells."""
    return Column(title, [Text(cell) for cell in cells], rank, right)


NAMES = column("symbol", "AAPL", "MSFT", right=False)
PROFIT = column("profit", "-123.45", "+1.00", rank=1)
NET = column("net\nlots", "+12", "0", rank=2)
COST = column("average\ncost", "187.5012", "-", rank=3)
TABLE = FittedTable("Positions", [NAMES, NET, COST, PROFIT], [Text("a note")])


def test_a_table_that_fits() -> None:
    """Titles may have two lines; numbers are on the right and stand under their titles."""
    assert drawn(TABLE, 80) == [
        "Positions",
        "          net    average",
        "symbol   lots       cost    profit",
        "AAPL      +12   187.5012   -123.45",
        "MSFT        0          -     +1.00",
        "a note",
    ]


def test_columns_are_left_out_whole_and_named() -> None:
    """The highest rank is left out first, and a line says which columns are missing."""
    assert drawn(TABLE, 20)[1:6] == [
        "        net",
        "symbol lots  profit",
        "AAPL    +12 -123.45",
        "MSFT      0   +1.00",
        "not shown at 20 ",
    ]
    assert drawn(TABLE, 16)[1] == "symbol    profit"
    assert "lots, average cost" in " ".join(drawn(TABLE, 16)).replace("  ", " ")


def test_a_wide_column_does_not_keep_narrower_ones_out() -> None:
    """Where one column does not fit, one of a higher rank may."""
    chosen = choose([NAMES, column("wide", "x" * 30, rank=1), NET], 20)
    assert [one.title for one in chosen] == ["symbol", "net\nlots"]


def test_a_column_never_shrinks() -> None:
    """A column stays as wide as it has been, so what is beside it stays in its place."""
    widths = Widths()
    starts = []
    for number in ("5", "123456", "7"):
        columns = widths.grow([NAMES, column("net", number, number), column("last", "x", "x")])
        starts.append(lines_of(columns, 80, max_gap=1)[0].plain.index("last"))
    assert starts == [11, 14, 14]


def test_prose_beside_and_below() -> None:
    """Prose wraps in its own column; where that would be narrow it stands below its row."""
    said = "four words are here, and some more of them follow"
    table = FittedTable(
        "Story", [NAMES], [Text("a note")], prose=column("what", said, "two\nlines")
    )
    assert drawn(table, 50) == [
        "Story",
        "symbol  what",
        "AAPL    four words are here, and some more of them",
        "        follow",
        "MSFT    two",
        "        lines",
        "a note",
    ]
    assert drawn(table, 40) == [
        "Story",
        "symbol",
        "AAPL",
        "  four words are here, and some more of",
        "  them follow",
        "MSFT",
        "  two",
        "  lines",
        "a note",
    ]


def test_columns_without_titles_have_no_line_of_them() -> None:
    """A table whose columns have no title begins with its first row."""
    times = column("", "+1 s", "+20 s")
    table = FittedTable("Story", [times], prose=column("", "first", "second"))
    assert drawn(table, 60) == ["Story", " +1 s  first", "+20 s  second"]


def test_there_is_one_kind_of_table() -> None:
    """Nothing draws a table of its own: they all come from the columns."""
    sources = sorted(Path(mm.__file__).parent.rglob("*.py"))
    assert len(sources) > 100
    assert [path.name for path in sources if "rich.table" in path.read_text()] == []
