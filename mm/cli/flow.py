"""``mm flow``: what the quote rule earns from informed and noise senders."""

from __future__ import annotations

import json
from collections.abc import Sequence

import click

from mm.cli.options import file_option, json_option, seed_option, server_option
from mm.host import find_binary
from mm.interrupts import interrupted_by_signals
from mm.lab.flow import FlowStudy, flow_facts, flow_table, run_study
from mm.market import Config, default_config, load_config
from mm.terminal import make_console

#: The shares of informed senders that are compared, in percent.
SHARES = (0, 10, 20, 30, 50, 70, 100)


@click.command("flow")
@click.option(
    "--informed",
    multiple=True,
    type=click.IntRange(0, 100),
    default=SHARES,
    show_default=True,
    help="A share of informed senders in percent; may be repeated.",
)
@click.option(
    "--seeds",
    type=click.IntRange(1, 1_000),
    default=10,
    show_default=True,
    help="Flows to play at each share.",
)
@click.option(
    "--orders",
    type=click.IntRange(1, 1_000_000),
    default=1_000,
    show_default=True,
    help="Orders of each flow.",
)
@seed_option("The first seed; each further flow takes the next.")
@file_option("--config", load_config, "Configuration file.  [default: the built-in configuration]")
@server_option
@json_option
def flow_command(
    informed: Sequence[int],
    seeds: int,
    orders: int,
    seed: int,
    config: Config | None,
    server: str | None,
    as_json: bool,
) -> None:
    """Measure what the quote rule earns at other shares of informed senders.

    Each flow is that of `mm publisher --informed`, played on a throwaway server with the real
    exchange, state service and maker, one order of a symbol at a time, and audited at its end. No
    clock is in the result: the same options give the same table. Profit is at the marks, in the
    money of the prices.
    """
    study = FlowStudy(informed, seeds, orders, seed)

    def say(text: str) -> None:
        click.echo(f"mm: {text}", err=True)

    with interrupted_by_signals():
        rows = run_study(study, config or default_config(), find_binary(server), say)
    if as_json:
        click.echo(json.dumps(flow_facts(rows), indent=2))
    else:
        make_console().print(flow_table(rows, study))
