"""``mm bench``: speed and cost, measured on throwaway systems with every safeguard on."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import click
from rich.console import RenderableType

from mm.cli.options import Positive, seed_option, server_option
from mm.errors import UsageError
from mm.host import find_binary
from mm.interrupts import interrupted_by_signals
from mm.lab.bench import (
    QUICK,
    SECTIONS,
    AgainstOptions,
    BenchOptions,
    Comparison,
    ProgressLine,
    Result,
    Size,
    Step,
    bench_table,
    check_picture,
    comparison_table,
    draw_picture,
    run_against,
    run_bench,
)
from mm.terminal import can_draw, make_console

#: Pairs of a comparison.
PAIRS = 5
#: Sections that take long, and are measured only when they are named.
LONG = ("archive", "sustained")
USUAL = [name for name in SECTIONS if name not in LONG]


@click.command("bench")
@click.option(
    "--quick",
    is_flag=True,
    help="Small and short: it checks that all runs. Its figures mean nothing and are not judged.",
)
@click.option(
    "--repeats",
    type=click.IntRange(1, 1_000),
    help="Measurements of each figure.  [default: 3; with --against 5 pairs; with --quick 1]",
)
@click.option(
    "--only",
    "sections",
    multiple=True,
    type=click.Choice(list(SECTIONS)),
    help="A section to measure; may be repeated.  [default: all but archive, sustained]",
)
@click.option(
    "--minutes",
    type=Positive(),
    help="Also run at four fifths of the maximum rate for this long, with `mm watch` open.",
)
@click.option(
    "--against",
    metavar="REV",
    help="Compare with this commit of the checkout: both benches in turns, a ratio for each pair.",
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
    against: str | None,
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

    With --against REV the commit is unpacked into a temporary directory. For each section its own
    bench and this one run in turns, one measurement each, and the first place changes from pair to
    pair. The result has change / base for each pair of each figure: median, least and most.

    With --json a figure has every measurement in `values`; a latency also in `milliseconds`.
    `samples` has the times of all orders of section latency: numbers of microseconds, rounded to
    their first three digits, and how many orders took each. With --against `runs` has the whole
    results of both benches.
    """
    if picture is not None:
        if against is not None:
            raise UsageError("--picture draws one result: leave it out with --against")
        check_picture(picture)
    chosen = [*(sections or USUAL), *(["sustained"] if minutes is not None else [])]
    plan = _Plan(
        sections=[name for name in SECTIONS if name in chosen],
        repeats=repeats or (1 if quick else 3 if against is None else PAIRS),
        minutes=minutes or (0.1 if quick else 10.0),
        quick=quick,
        seed=seed,
        binary=find_binary(server),
    )
    if against is not None:
        comparison = _compare(plan, against)
        _show(comparison, comparison_table, as_json)
        sys.exit(1 if comparison.problems else 0)
    result = _measure(plan)
    _show(result, bench_table, as_json)
    if picture is not None:
        draw_picture(result, picture)
    sys.exit(1 if result.problems else 0)


@dataclass(frozen=True)
class _Plan:
    """What the command line asks for, with every default in its place."""

    sections: Sequence[str]
    repeats: int
    minutes: float
    quick: bool
    seed: int
    binary: Path | None

    def progress(self, runs: int, repeats: int) -> ProgressLine:
        """The progress of ``runs`` runs of each section in turn, of ``repeats`` repeats each."""
        console = make_console(stderr=True)
        steps = [
            Step(name, self.minutes if name == "sustained" else repeats)
            for name in self.sections
            for _ in range(runs)
        ]
        return ProgressLine(console, can_draw(console), steps, quick=self.quick)


def _measure(plan: _Plan) -> Result:
    with interrupted_by_signals(), plan.progress(1, plan.repeats) as progress:
        return run_bench(
            BenchOptions(
                binary=plan.binary,
                repeats=plan.repeats,
                seed=plan.seed,
                sections=plan.sections,
                size=QUICK if plan.quick else Size(),
                minutes=plan.minutes,
                say=progress.begin,
                judged=not plan.quick,
            )
        )


def _compare(plan: _Plan, revision: str) -> Comparison:
    words = ["--seed", str(plan.seed)]
    if plan.quick:
        words.append("--quick")
    if plan.binary is not None:
        words += ["--server", str(plan.binary.absolute())]
    with interrupted_by_signals(), plan.progress(2 * plan.repeats, 1) as progress:
        return run_against(
            AgainstOptions(
                revision=revision,
                pairs=plan.repeats,
                sections=plan.sections,
                words=words,
                minutes=plan.minutes,
                say=progress.begin,
            )
        )


Shown = TypeVar("Shown", Result, Comparison)


def _show(result: Shown, table: Callable[[Shown], RenderableType], as_json: bool) -> None:
    """Print a result as its table or as JSON."""
    if as_json:
        click.echo(json.dumps(result.as_dict(), indent=2))
    else:
        make_console().print(table(result))
