"""``mm up``: parse its options and run it."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from rich.console import Console

from mm.cli.options import (
    Positive,
    config_option,
    optional_config,
    system_options,
)
from mm.errors import ValueRefused
from mm.host import System, exit_with_parent
from mm.market import default_config
from mm.orders import FlowOptions, config_for_tape, read_tape, tape_orders
from mm.process import stop_on_signals
from mm.up import Up, UpOptions

#: An order in eleven days: below it a rate is a slip, and divided it could become 0, flat out.
LEAST_RATE = 1e-6


@click.command("up")
@click.option(
    "--makers", type=click.IntRange(0, 64), default=2, show_default=True, help="Market makers."
)
@click.option(
    "--publishers", type=click.IntRange(0, 64), default=1, show_default=True, help="Order senders."
)
@click.option(
    "--rate", type=Positive(), default=50, show_default=True, help="Orders a second, all."
)
@click.option("--duration", type=Positive(), help="Seconds to run.  [default: until Ctrl-C]")
@click.option("--headless", is_flag=True, help="A plain status line in place of the live view.")
@click.option("--server", help="Server program to run.  [default: the package's Valkey]")
@click.option(
    "--tape",
    "tape_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="CSV file of trades to replay as orders: ts_ms,symbol,side,price,qty.",
)
@click.option(
    "--speed", type=Positive(zero=True), default=1, show_default=True, help="0: flat out."
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**31),
    default=1,
    show_default=True,
    help="The same seed makes the same order flow.",
)
@config_option
@system_options
def up_command(
    makers: int,
    publishers: int,
    rate: float,
    duration: float | None,
    headless: bool,
    server: str | None,
    tape_path: Path | None,
    speed: float,
    seed: int,
    config_path: Path | None,
    system: System,
) -> None:
    """Start everything, supervise it and show it; Ctrl-C stops in order and tells what happened."""
    config = optional_config(config_path)
    # What a publisher would refuse is refused here: as a child it would be restarted for ever.
    if rate / max(publishers, 1) < LEAST_RATE:
        raise ValueRefused(
            f"rate {rate:g}: it must be at least {LEAST_RATE:g} orders/s a publisher"
        )
    FlowOptions(rate)
    if tape_path is not None:
        trades = read_tape(tape_path)
        config = config_for_tape(trades, config or default_config())
        tape_orders(trades, config, speed)
    options = UpOptions(
        data_dir=system.data_dir,
        keys=system.keys,
        config=config,
        redis_url=system.redis_url,
        server=server,
        makers=makers,
        publishers=publishers,
        rate=rate,
        duration_s=duration,
        headless=headless,
        tape=tape_path,
        speed=speed,
        seed=seed,
        durability=system.durability,
    )
    stop = stop_on_signals()
    exit_with_parent(lambda text: click.echo(f"mm: {text}", err=True))
    sys.exit(Up(options, Console()).run(stop))
