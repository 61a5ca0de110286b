"""``mm publisher``: synthetic flow or a tape, sent through the order API."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mm.cli.options import (
    Positive,
    informed_option,
    joining_config_option,
    log_options,
    process_id,
    process_options,
    seed_option,
)
from mm.cli.processes import run_process
from mm.cli.tape_options import paced_option, speed_option, tape_option
from mm.host import LogOptions, System
from mm.market import Config
from mm.orders import FlowOptions, PublisherOptions
from mm.publisher import Publisher
from mm.store import open_client

#: The options of the synthetic flow; all others are the publisher's own.
FLOW = ("rate_per_s", "seed", "size_percent", "informed_percent", "aggressiveness_percent")


@click.command("publisher")
@process_id
@click.option(
    "--rate",
    "rate_per_s",
    type=Positive(zero=True),
    default=50,
    show_default=True,
    help="Orders a second on average, with Poisson arrivals; 0: flat out.",
)
@seed_option("The same seed makes the same flow.", high=2**32)
@click.option(
    "--size",
    "size_percent",
    type=click.IntRange(1, 10_000),
    default=25,
    show_default=True,
    help="Mean order size, in percent of the quoted size.",
)
@informed_option
@click.option(
    "--aggressiveness",
    "aggressiveness_percent",
    type=click.IntRange(0, 10_000),
    default=100,
    show_default=True,
    help="How far the limits of noise senders lie beyond the reference price on average, in percent"
    " of the spread.",
)
@click.option(
    "--duration", "duration_s", type=Positive(), help="Seconds to send.  [default: for ever]"
)
@click.option("--orders", type=click.IntRange(1), help="Orders to send.  [default: no limit]")
@tape_option
@speed_option
@paced_option
@click.option(
    "--in-flight",
    type=click.IntRange(1, 1_000_000),
    default=200,
    show_default=True,
    help="Largest number of orders without a report.",
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
@click.option(
    "--run-id",
    help="A publisher started again with the same run id and options goes on with its run: its"
    " order ids are RUN-NUMBER, and no order trades twice.  [default: a new one]",
)
@joining_config_option
@log_options
@process_options
def publisher_command(
    system: System, ident: str, config: Config | None, logs: LogOptions, **options: Any
) -> None:
    """Send orders through the order API.

    Synthetic orders, or those of a tape. Shows at the end how many filled, and why others did not.
    """
    flow = {name: options.pop(name) for name in FLOW}
    url = system.waiting_url
    process = Publisher(
        lambda: open_client(url, user=f"publisher-{ident}", tag=system.keys.prefix),
        system.keys,
        ident,
        config,
        system.durability,
        PublisherOptions(flow=FlowOptions(**flow), **options),
        system.known_id(),
    )

    def at_end() -> None:
        click.echo(f"{process.name}: {process.summary.text()}")

    run_process(process, system, logs, at_end)
