"""``mm tape``: trade tapes as people have them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mm.cli.options import Command
from mm.errors import UsageError
from mm.orders import Understood, read_foreign, rows_of


@click.group("tape")
def tape_command() -> None:
    """Trade tapes: check a file of any exchange, and convert it for `mm up --tape`."""


def _understands(command: Command) -> Command:
    """Add the file and the options with which it is understood."""
    for option in (
        click.option(
            "--columns",
            help="The names of the columns of a file without a header, with commas between.",
        ),
        click.option("--symbol", help="The symbol of all trades of a file that does not name it."),
        click.argument("path", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE"),
    ):
        command = option(command)
    return command


@tape_command.command("check")
@_understands
def tape_check(**given: Any) -> None:
    """Say what FILE is taken for; exit status 2 and the line where that cannot be known."""
    _show(_read(**given))


@tape_command.command("convert")
@_understands
@click.argument("out", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--force", is_flag=True, help="Overwrite an existing file.")
def tape_convert(out: Path, force: bool, **given: Any) -> None:
    """Write FILE as the tape OUT, which `mm up --tape` and `mm publisher --tape` read.

    It says what it took for what. Times are cut to whole ms. A Parquet file needs the extra
    `parquet` of the package.
    """
    understood = _read(**given)
    _show(understood)
    try:
        with out.open("w" if force else "x", encoding="utf-8") as file:
            file.write(understood.text())
    except FileExistsError as error:
        raise UsageError(f"{out}: the file exists; --force overwrites it") from error
    except OSError as error:
        raise UsageError(f"{out}: cannot be written: {error.strerror}") from error
    click.echo(f"wrote {out}; replay it with `mm up --tape {out}`")


def _read(path: Path, symbol: str | None, columns: str | None) -> Understood:
    return read_foreign(path, symbol, columns)


def _show(understood: Understood) -> None:
    for line in rows_of(understood):
        click.echo(line)
