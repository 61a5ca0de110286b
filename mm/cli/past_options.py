"""The options of the commands that read the past: which records, and in which form."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from mm.cli.completing import complete_symbol
from mm.cli.options import json_option
from mm.errors import UsageError, shown_path
from mm.market import Instant, check_symbol, parse_instant
from mm.records import Range, check_parquet, range_in
from mm.store import Snapshot

#: The forms of a file, which are also how its name ends.
FILE_FORMATS = ("csv", "json", "jsonl", "parquet")
FORMATS = ("table", *FILE_FORMATS)


@dataclass(frozen=True)
class AskedRange:
    """Which records of the past are asked for.

    The instants depend on the clock of the server, which is not known yet.
    """

    since: Instant | None
    until: Instant | None
    symbols: tuple[str, ...]

    def range_in(self, snapshot: Snapshot) -> Range:
        """The range; ValueRefused for an unknown symbol, and when it ends before it begins."""
        return range_in(snapshot, self.since, self.until, self.symbols)


@dataclass(frozen=True)
class Asked(AskedRange):
    """The same, and in which form."""

    form: str
    output: Path | None
    force: bool

    @property
    def is_plain(self) -> bool:
        """Whether nothing is asked of the past: only a form that the present has too."""
        given = (self.since, self.until, self.symbols or None, self.output)
        return given == (None,) * 4 and self.form in ("table", "json")


def range_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say which records; the command gets them as ``wanted``."""

    @click.option("--since", help="Only what happened since: 90s, 5m, 2h, 1d, or an ISO time.")
    @click.option("--until", help="Only what happened before: 90s, 5m, 2h, 1d, or an ISO time.")
    @click.option(
        "--symbol",
        "symbols",
        multiple=True,
        shell_complete=complete_symbol,
        help="Only this symbol; may be given several times.",
    )
    @functools.wraps(command)
    def wrapped(
        *args: Any,
        since: str | None,
        until: str | None,
        symbols: tuple[str, ...],
        **kwargs: Any,
    ) -> Any:
        wanted = AskedRange(
            None if since is None else parse_instant("--since", since),
            None if until is None else parse_instant("--until", until),
            tuple(check_symbol(name.upper()) for name in symbols),
        )
        return command(*args, wanted=wanted, **kwargs)

    return wrapped


force_option = click.option("--force", is_flag=True, help="Overwrite an existing file.")


def past_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say what of the past; the command gets them as ``asked``."""

    @range_options
    @click.option(
        "--format",
        "form",
        type=click.Choice(FORMATS),
        help="Form of the rows; all but a table are exact, complete and streamed."
        "  [default: as the name of --output ends, else table]",
    )
    @click.option(
        "--output",
        type=click.Path(path_type=Path, dir_okay=False),
        help="File to write in place of standard output. It appears when it is complete.",
    )
    @force_option
    @json_option
    @functools.wraps(command)
    def wrapped(
        *args: Any,
        wanted: AskedRange,
        form: str | None,
        output: Path | None,
        force: bool,
        as_json: bool,
        **kwargs: Any,
    ) -> Any:
        found = _form(form, as_json, output)
        asked = Asked(wanted.since, wanted.until, wanted.symbols, found, output, force)
        if force and output is None:
            raise UsageError("--force: it belongs to --output")
        return command(*args, asked=asked, **kwargs)

    return wrapped


def _form(form: str | None, as_json: bool, output: Path | None) -> str:
    """The one form that the options mean; UsageError when they mean two, or one that cannot be."""
    if as_json and form not in (None, "json"):
        raise UsageError(f"--json and --format {form}: give one of them")
    ending = "" if output is None else output.suffix.removeprefix(".").lower()
    found = form or ("json" if as_json else ending if ending in FILE_FORMATS else "table")
    if found == "table" and output is not None:
        raise UsageError(
            f"--output {shown_path(output)}: a table is for the screen. Give --format csv, json,"
            " jsonl or parquet, or a name that ends so."
        )
    if output is not None and ending in FILE_FORMATS and ending != found:
        given = "--json" if as_json else f"--format {form}"
        raise UsageError(
            f"{given} and --output {shown_path(output)}: the name says {ending}. Give one of them,"
            " or a name that ends otherwise."
        )
    if found == "parquet":
        if output is None:
            raise UsageError("--format parquet: it is no text, so name its file with --output")
        check_parquet()
    return found
