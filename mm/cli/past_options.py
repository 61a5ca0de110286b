"""The options of the commands that read the past: which records, and in which form."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from mm.cli.completing import complete_symbol
from mm.cli.options import json_option
from mm.errors import UsageError, ValueRefused, shown_path
from mm.instant import timestamp
from mm.market import Instant, check_symbol, parse_instant
from mm.records import Range, check_parquet
from mm.store import Snapshot

FORMATS = ("table", "csv", "json", "jsonl", "parquet")


@dataclass(frozen=True)
class Asked:
    """What is asked of the past, and in which form.

    The instants depend on the clock of the server, which is not known yet.
    """

    since: Instant | None
    until: Instant | None
    symbols: tuple[str, ...]
    form: str
    output: Path | None
    force: bool

    @property
    def is_plain(self) -> bool:
        """Whether nothing is asked of the past: only a form that the present has too."""
        given = (self.since, self.until, self.symbols or None, self.output)
        return given == (None,) * 4 and self.form in ("table", "json")

    def range_in(self, snapshot: Snapshot) -> Range:
        """The range; ValueRefused for an unknown symbol, and when it ends before it begins."""
        for name in self.symbols:
            if name not in snapshot.symbols:
                known = " ".join(itertools.islice(snapshot.symbols, 12))
                raise ValueRefused(f"--symbol {name}: this system has no such symbol, but {known}")
        wanted = Range(symbols=frozenset(self.symbols))
        since_ms = wanted.since_ms if self.since is None else self.since.at(snapshot.now_ms)
        until_ms = wanted.until_ms if self.until is None else self.until.at(snapshot.now_ms)
        if since_ms >= until_ms:
            raise ValueRefused(
                f"--since is {timestamp(since_ms)}, --until {timestamp(until_ms)}: it must be"
                " later, and what happened at that instant is no longer included"
            )
        return Range(since_ms, until_ms, wanted.symbols)


def past_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say what of the past; the command gets them as ``asked``."""

    @click.option("--since", help="Only what happened since: 90s, 5m, 2h, 1d, or an ISO time.")
    @click.option("--until", help="Only what happened before: 90s, 5m, 2h, 1d, or an ISO time.")
    @click.option(
        "--symbol",
        "symbols",
        multiple=True,
        shell_complete=complete_symbol,
        help="Only this symbol; may be given several times.",
    )
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
    @click.option("--force", is_flag=True, help="Overwrite an existing file.")
    @json_option
    @functools.wraps(command)
    def wrapped(
        *args: Any,
        since: str | None,
        until: str | None,
        symbols: tuple[str, ...],
        form: str | None,
        output: Path | None,
        force: bool,
        as_json: bool,
        **kwargs: Any,
    ) -> Any:
        asked = Asked(
            None if since is None else parse_instant("--since", since),
            None if until is None else parse_instant("--until", until),
            tuple(check_symbol(name.upper()) for name in symbols),
            _form(form, as_json, output),
            output,
            force,
        )
        if force and output is None:
            raise UsageError("--force: it belongs to --output")
        return command(*args, asked=asked, **kwargs)

    return wrapped


def _form(form: str | None, as_json: bool, output: Path | None) -> str:
    """The one form that the options mean; UsageError when they mean two, or one that cannot be."""
    if as_json and form not in (None, "json"):
        raise UsageError(f"--json and --format {form}: give one of them")
    ending = "" if output is None else output.suffix.removeprefix(".")
    found = form or ("json" if as_json else ending if ending in FORMATS else "table")
    if found == "table" and output is not None:
        raise UsageError(
            f"--output {shown_path(output)}: a table is for the screen. Give --format csv, json,"
            " jsonl or parquet, or a name that ends so."
        )
    if found == "parquet":
        if output is None:
            raise UsageError("--format parquet: it is no text, so name its file with --output")
        check_parquet()
    return found
