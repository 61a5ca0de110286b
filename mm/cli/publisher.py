"""``mm publisher``: synthetic flow or a tape, sent through the order API."""

from __future__ import annotations

from pathlib import Path

import click

from mm.cli.options import (
    Positive,
    config_option,
    optional_config,
    process_id,
    run_process,
    system_options,
)
from mm.host import System
from mm.orders import FlowOptions, read_tape
from mm.publisher import Publisher, PublisherOptions
from mm.store import open_client


@click.command("publisher")
@process_id
@click.option(
    "--rate",
    type=Positive(zero=True),
    default=50,
    show_default=True,
    help="Orders a second on average, with Poisson arrivals; 0: flat out.",
)
@click.option(
    "--seed",
    # Wider than that of `mm up`, which counts up from its own for each further publisher.
    type=click.IntRange(0, 2**32),
    default=1,
    show_default=True,
    help="The same seed makes the same flow.",
)
@click.option(
    "--size",
    type=click.IntRange(1, 10_000),
    default=25,
    show_default=True,
    help="Mean order size, in percent of the quoted size.",
)
@click.option(
    "--aggressiveness",
    type=click.IntRange(0, 10_000),
    default=150,
    show_default=True,
    help="How far limits lie beyond the fair value, in percent of the spread.",
)
@click.option("--duration", type=Positive(), help="Seconds to send.  [default: for ever]")
@click.option("--orders", type=click.IntRange(1), help="Orders to send.  [default: no limit]")
@click.option(
    "--tape",
    "tape_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="CSV file of trades to send in place of the synthetic flow.",
)
@click.option(
    "--speed", type=Positive(zero=True), default=1, show_default=True, help="0: flat out."
)
@click.option(
    "--in-flight",
    type=click.IntRange(1, 1_000_000),
    default=200,
    show_default=True,
    help="Orders without a report at most.",
)
@click.option(
    "--bulk",
    type=click.IntRange(1, 1_000),
    default=1,
    show_default=True,
    help="Orders that share a stream entry.",
)
@click.option(
    "--journal",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to append each outcome to, for a later comparison with the ledger.",
)
@config_option
@system_options
def publisher_command(
    ident: str,
    rate: float,
    seed: int,
    size: int,
    aggressiveness: int,
    duration: float | None,
    orders: int | None,
    tape_path: Path | None,
    speed: float,
    in_flight: int,
    bulk: int,
    journal: Path | None,
    config_path: Path | None,
    system: System,
) -> None:
    """Send orders through the order API, and say at the end what came of them."""
    options = PublisherOptions(
        flow=FlowOptions(rate, seed, size, aggressiveness),
        tape=None if tape_path is None else read_tape(tape_path),
        speed=speed,
        duration_s=duration,
        orders=orders,
        in_flight=in_flight,
        bulk=bulk,
        journal=journal,
    )
    url = system.waiting_url
    process = Publisher(
        lambda: open_client(url),
        system.keys,
        ident,
        optional_config(config_path),
        system.durability,
        options,
    )
    run_process(process, system)
    click.echo(f"{process.name}: {process.summary.text()}")
