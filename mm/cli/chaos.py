"""``mm chaos``: real crashes under real load, on throwaway systems."""

from __future__ import annotations

import sys

import click

from mm.cli.options import seed_option, server_option
from mm.host import find_binary
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
def chaos_command(rounds: int, seed: int | None, server: str | None) -> None:
    """Crash a throwaway system under load in every way; exit status 1 on any violation.

    Each round kills, stops, cuts off or delays processes or the server, and waits until the system
    has converged. Then it audits every invariant and compares the publishers' journals with the
    ledger. Data and logs are kept when something is wrong, and removed otherwise.
    """
    options = ChaosOptions(find_binary(server), rounds, new_seed() if seed is None else seed)
    sys.exit(Chaos(options, make_console(), stop_on_signals()).run())
