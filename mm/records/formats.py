"""Rows written to a file, a few at a time: CSV, JSON, or JSON lines."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from typing import TextIO

from mm.instant import precise
from mm.records.rows import Row, Rows


def write_csv(rows: Rows, file: TextIO) -> None:
    """A line of names, and one of values for each row; a value that does not exist is empty."""
    lines = csv.writer(file, lineterminator="\n")
    lines.writerow([column.name for column in rows.columns])
    lines.writerows(times_in_words(rows))


def write_jsonl(rows: Rows, file: TextIO) -> None:
    """A JSON object for each row, each on a line of its own."""
    for line in _objects(rows):
        file.write(f"{line}\n")


def write_json(rows: Rows, file: TextIO) -> None:
    """One JSON list of the objects."""
    between = "[\n"
    for line in _objects(rows):
        file.write(f"{between}{line}")
        between = ",\n"
    file.write("[]\n" if between == "[\n" else "\n]\n")


def _objects(rows: Rows) -> Iterator[str]:
    return map(json.dumps, row_facts(rows))


def row_facts(rows: Rows) -> Iterator[dict[str, str | int | None]]:
    """Each row as values by the names of its columns; times are ISO 8601 text in UTC."""
    names = [column.name for column in rows.columns]
    for row in times_in_words(rows):
        yield dict(zip(names, row, strict=True))


def times_in_words(rows: Rows) -> Iterator[Row]:
    """The rows with each time as ISO 8601 text, to the millisecond, in UTC."""
    times = [column.kind == "time" for column in rows.columns]
    for row in rows.rows:
        yield tuple(
            precise(value) if is_time and isinstance(value, int) else value
            for value, is_time in zip(row, times, strict=True)
        )
