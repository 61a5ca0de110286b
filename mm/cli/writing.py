"""Rows of records, printed as a table or written to a file."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import click

from mm.cli.past_options import Asked
from mm.cli.showing import say_state
from mm.errors import UsageError, shown_path
from mm.interrupts import interrupted_by_signals
from mm.records import Row, Rows, times_in_words, write_csv, write_json, write_jsonl, write_parquet
from mm.store import Scripts
from mm.terminal import make_console, progress, records_table

#: How many rows a table has at most: the newest ones.
TABLE_ROWS = 100


def print_rows(
    rows: Rows, title: str, asked: Asked, scripts: Scripts, notes: Sequence[str] = ()
) -> None:
    """Write the rows in the form that is asked for, to the file or to standard output."""
    if asked.form == "table":
        say_state(scripts, make_console())
        counted = _Counted(rows)
        with progress("reading what the streams hold"):
            newest = deque(times_in_words(rows), maxlen=None if notes else TABLE_ROWS)
        if counted.count > len(newest):
            title += f": the newest {len(newest)} of {counted.count:,}; --format csv has all"
        make_console().print(records_table(title, rows.columns, newest, notes))
        return
    say_state(scripts, make_console(stderr=True))
    if asked.output is None:
        _WRITERS[asked.form](rows, sys.stdout)
        return
    counted = _Counted(rows)
    binary = asked.form == "parquet"
    with (
        progress("reading what the streams hold"),
        new_file(asked.output, asked.force, binary) as file,
    ):
        _WRITERS[asked.form](rows, file)
    click.echo(f"wrote {shown_path(asked.output)}: {counted.count:,} rows")


_WRITERS: dict[str, Callable[[Rows, Any], None]] = {
    "csv": write_csv,
    "json": write_json,
    "jsonl": write_jsonl,
    "parquet": write_parquet,
}


class _Counted:
    """Counts the rows that are taken from now on."""

    def __init__(self, rows: Rows) -> None:
        self.count = 0
        rows.rows = self._counting(rows.rows)

    def _counting(self, rows: Iterator[Row]) -> Iterator[Row]:
        for row in rows:
            self.count += 1
            yield row


@contextmanager
def new_file(path: Path, force: bool, binary: bool = False) -> Iterator[IO[Any]]:
    """A file that gets its name when it is complete, and leaves nothing when it is broken off.

    UsageError when it cannot be written, or exists and ``force`` does not allow to overwrite it.
    """
    try:
        if path.exists() and not path.is_file():
            raise UsageError(f"{shown_path(path)}: it is no regular file")
        if path.exists() and not force:
            raise UsageError(f"{shown_path(path)}: the file exists; --force overwrites it")
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        file = part.open("xb" if binary else "x", encoding=None if binary else "utf-8")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(f"{shown_path(path)}: cannot be written: {why}") from error
    try:
        with interrupted_by_signals():
            with file:
                yield file
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)
