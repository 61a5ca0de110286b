"""``mm chaos``: real crashes under real load, on throwaway systems."""

from __future__ import annotations

import sys

import click

from mm.cli.options import seed_option, server_option
from mm.errors import UsageError
from mm.host import Shape, find_binary
from mm.interrupts import stop_on_signals
from mm.lab.chaos import Chaos, ChaosOptions, new_seed
from mm.terminal import make_console


@click.command("chaos")
@click.option(
    "--rounds",
    type=click.IntRange(1, 1_000_000),
    default=42,
    show_default=True,
    help="Rounds to run, each with one fault or two.",
)
@seed_option("The same seed applies the same faults.  [default: a new one]", default=None)
@server_option
@click.option(
    "--partitions",
    type=click.IntRange(1, 8),
    help="Harm a cluster with so many partitions, whose nodes are behind lossy links."
    "  [default: one server, no cluster; 3 with --replicas]",
)
@click.option(
    "--replicas",
    type=click.IntRange(0, 2),
    help="Replicas of each partition.  [default: 1 with --partitions]",
)
@click.option(
    "--finality/--no-finality",
    default=True,
    help="Without it nothing waits for replicas: the run shows what goes wrong then.",
)
def chaos_command(
    rounds: int,
    seed: int | None,
    server: str | None,
    partitions: int | None,
    replicas: int | None,
    finality: bool,
) -> None:
    """Crash a throwaway system under load in every way; exit status 1 on any violation.

    Each round kills, stops, cuts off or delays processes or the server, and waits until the system
    has converged. Then it audits every invariant and compares the publishers' journals with the
    ledger. Data and logs are kept when something is wrong, and removed otherwise.

    On a cluster it also kills, stops and cuts off primaries and replicas, and moves partitions. The
    journals are those of final outcomes, and the leases are read all the time.
    """
    shape = None
    if partitions is not None or replicas is not None:
        shape = Shape(partitions or 3, 1 if replicas is None else replicas)
    elif not finality:
        raise UsageError("--no-finality: it is for a cluster, which --replicas makes")
    seed = new_seed() if seed is None else seed
    options = ChaosOptions(find_binary(server), rounds, seed, shape, finality)
    sys.exit(Chaos(options, make_console(), stop_on_signals()).run())
