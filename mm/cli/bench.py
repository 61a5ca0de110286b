"""``mm bench``: speed and cost, measured on throwaway systems with every safeguard on."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from mm.cli.options import Positive, seed_option, server_option
from mm.host import find_binary
from mm.interrupts import interrupted_by_signals
from mm.lab.bench import (
    QUICK,
    SECTIONS,
    BenchOptions,
    Size,
    bench_table,
    check_picture,
    draw_picture,
    run_bench,
)
from mm.terminal import make_console

USUAL = [name for name in SECTIONS if name != "sustained"]


@click.command("bench")
@click.option(
    "--quick",
    is_flag=True,
    help="Small and short: it checks that all runs; its figures mean nothing.",
)
@click.option(
    "--repeats",
    type=click.IntRange(1, 1_000),
    help="Measurements of each figure.  [default: 3; with --quick 1]",
)
@click.option(
    "--only",
    "sections",
    multiple=True,
    type=click.Choice(list(SECTIONS)),
    help="A section to measure; may be repeated.  [default: all but sustained]",
)
@click.option(
    "--minutes",
    type=Positive(),
    help="Also run at four fifths of the maximum rate for this long, with `mm watch` open.",
)
@seed_option("The same seed sends the same orders.")
@server_option
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option(
    "--picture",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Draw the result into this .png, .svg or .pdf file.",
)
def bench_command(
    quick: bool,
    repeats: int | None,
    sections: tuple[str, ...],
    minutes: float | None,
    seed: int,
    server: str | None,
    as_json: bool,
    picture: Path | None,
) -> None:
    """Measure throughput, latency and cost; exit status 1 when an invariant did not hold.

    Every figure is taken with full validation, deduplication, a report for each order and the
    gate, and with appendfsync always unless it is named relaxed. Every system is audited at its
    end. Shares and multiples compare with the same server in the same minutes, so they can be
    compared between machines.
    """
    if picture is not None:
        check_picture(picture)
    chosen = [*(sections or USUAL), *(["sustained"] if minutes is not None else [])]
    progress = make_console(stderr=True)
    options = BenchOptions(
        binary=find_binary(server),
        repeats=repeats or (1 if quick else 3),
        seed=seed,
        sections=chosen,
        size=QUICK if quick else Size(),
        minutes=minutes or (0.1 if quick else 10.0),
        say=lambda name: progress.print(f"measuring: {name}", style="dim"),
    )
    with interrupted_by_signals():
        result = run_bench(options)
    if as_json:
        click.echo(json.dumps(result.as_dict(), indent=2))
    else:
        make_console().print(bench_table(result))
    if picture is not None:
        draw_picture(result, picture)
    sys.exit(1 if result.problems else 0)
