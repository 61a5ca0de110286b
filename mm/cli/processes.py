"""``mm exchange``, ``mm state`` and ``mm maker``: one process alone."""

from __future__ import annotations

from pathlib import Path

import click

from mm.cli.options import (
    config_option,
    optional_config,
    process_id,
    run_process,
    system_options,
)
from mm.exchange import Exchange
from mm.host import System
from mm.maker import Maker
from mm.state import StateService
from mm.store import open_client


def _simple(
    kind: type[Exchange | StateService | Maker],
    ident: str,
    config_path: Path | None,
    system: System,
) -> None:
    config = optional_config(config_path)
    url = system.waiting_url
    process = kind(lambda: open_client(url), system.keys, ident, config, system.durability)
    run_process(process, system)


@click.command("exchange")
@process_id
@config_option
@system_options
def exchange_command(ident: str, config_path: Path | None, system: System) -> None:
    """Run an exchange: match orders against quotes, end expired quotes. Two at once are fine."""
    _simple(Exchange, ident, config_path, system)


@click.command("state")
@process_id
@config_option
@system_options
def state_command(ident: str, config_path: Path | None, system: System) -> None:
    """Run a trading state service: apply fills to positions. Two at once are fine."""
    _simple(StateService, ident, config_path, system)


@click.command("maker")
@process_id
@config_option
@system_options
def maker_command(ident: str, config_path: Path | None, system: System) -> None:
    """Run a market maker; several share the symbols among them."""
    _simple(Maker, ident, config_path, system)
