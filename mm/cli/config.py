"""``mm config``: write or check a configuration file."""

from __future__ import annotations

from pathlib import Path

import click

from mm.errors import UsageError
from mm.market import TEMPLATE, headroom_text, load_config


@click.group("config")
def config_command() -> None:
    """Write or check a configuration file."""


@config_command.command("init")
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False), default="mm.toml")
@click.option("--force", is_flag=True, help="Overwrite an existing file.")
def config_init(path: Path, force: bool) -> None:
    """Write a commented configuration with the defaults to PATH, or to mm.toml."""
    try:
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(TEMPLATE)
    except FileExistsError as error:
        raise UsageError(f"{path}: the file exists; --force overwrites it") from error
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from error
    click.echo(f"wrote {path}; check it with `mm config check {path}`, use it with --config {path}")


@config_command.command("check")
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False), default="mm.toml")
def config_check(path: Path) -> None:
    """Check the configuration file PATH, or mm.toml.

    Exit status 2 and the first fault when it has one. It says too how far prices and
    profits may move before numbers would no longer be exact.
    """
    config = load_config(path)
    asked = sum(
        symbol.size_lots * config.lot_units(symbol, symbol.reference_ticks)
        for symbol in config.symbols
    )
    amount, counted = config.exposure_amount, config.exposure_name
    limit = f"the exposure limit is {amount(config.limit_units)} {counted}"
    if config.currency:
        counted += " at their reference prices"
        limit += f", counted in units of {config.notional_unit:f} {config.currency}"
    click.echo(
        f"{path}: good. {len(config.symbols)} symbols ask for {amount(asked)} {counted} a side,"
        f" {limit}. {headroom_text(config)}"
    )
