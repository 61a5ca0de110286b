"""``mm config``: write or judge a configuration file."""

from __future__ import annotations

from pathlib import Path

import click

from mm.errors import UsageError
from mm.market import (
    TEMPLATE,
    load_config,
)


@click.group("config")
def config_group() -> None:
    """Write or judge a configuration file."""


@config_group.command("init")
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False), default="mm.toml")
@click.option("--force", is_flag=True, help="Overwrite an existing file.")
def config_init(path: Path, force: bool) -> None:
    """Write a commented configuration with the defaults."""
    try:
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(TEMPLATE)
    except FileExistsError as error:
        raise UsageError(f"{path}: it exists already; --force overwrites it") from error
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from error
    click.echo(f"wrote {path}; judge it with `mm config check {path}`, use it with --config {path}")


@config_group.command("check")
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False), default="mm.toml")
def config_check(path: Path) -> None:
    """Judge a configuration file: exit status 2 and the first fault, or what it asks for."""
    found = load_config(path)
    asked = sum(symbol.size_lots for symbol in found.symbols)
    click.echo(
        f"{path}: good. {len(found.symbols)} symbols ask for {asked} lots a side, the exposure"
        f" limit is {found.limit_units} units ({found.exposure_mode})."
    )
