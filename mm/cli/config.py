"""``mm config``: configuration files, and the configuration of a running system (R23)."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import click

from mm.cli.new_file import write_new_file
from mm.market import TEMPLATE, headroom_text, load_config

#: The commands for a running system. Their module is imported only when one of them runs.
_LIVE = ("apply", "diff", "show")


class ConfigGroup(click.Group):
    """The commands for files, and those for a running system."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands."""
        return sorted([*self.commands, *_LIVE])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name."""
        if cmd_name not in _LIVE:
            return super().get_command(ctx, cmd_name)
        command: click.Command = getattr(import_module("mm.cli.live_config"), f"{cmd_name}_command")
        return command


@click.group("config", cls=ConfigGroup)
def config_command() -> None:
    """Configuration files, and the configuration of a running system."""


@config_command.command("init")
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False), default="mm.toml")
@click.option("--force", is_flag=True, help="Overwrite an existing file.")
def config_init(path: Path, force: bool) -> None:
    """Write a commented configuration with the defaults to PATH, or to mm.toml."""
    write_new_file(path, TEMPLATE, force)
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
    if config.counts_money:
        counted += " at their reference prices"
        limit += f", counted in units of {config.notional_unit:f} {config.currency}"
    click.echo(
        f"{path}: good. {len(config.symbols)} symbols ask for {amount(asked)} {counted} a side,"
        f" {limit}. {headroom_text(config)}"
    )
