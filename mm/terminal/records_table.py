"""Rows of records as a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.text import Text

from mm.records import Column as Named
from mm.records import Row
from mm.terminal.columns import Column, FittedTable
from mm.terminal.draw import QUIET, plain, signed
from mm.terminal.tables import none


def records_table(
    title: str, columns: Sequence[Named], rows: Iterable[Row], notes: Sequence[str] = ()
) -> FittedTable:
    """A line for each row, times already in words; columns without any value are left out."""
    found = list(rows)
    shown = [
        Column(
            named.name.replace("_", " "),
            [_cell(named, row[at]) for row in found],
            named.rank,
            right=named.kind in ("decimal", "integer"),
        )
        for at, named in enumerate(columns)
        if any(row[at] is not None for row in found)
    ]
    return FittedTable(title, shown, [Text(note, QUIET) for note in notes])


def _cell(named: Named, value: str | int | None) -> Text:
    if value is None:
        return none()
    return signed(str(value)) if named.signed else Text(plain(str(value)))
