"""Shows the result of a benchmark: a table, and a picture for a report."""

from __future__ import annotations

import itertools
import statistics
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mm.errors import UsageError
from mm.lab.bench.figure import Figure, Result

PICTURE_KINDS = (".png", ".svg", ".pdf")


def number(value: float) -> str:
    """A number with three significant digits, or as a whole number with thousands set apart."""
    if value == 0:
        return "0"
    if abs(value) >= 1_000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _target(figure: Figure) -> Text:
    if figure.target is None:
        return Text("")
    sign = "<=" if figure.at_most else ">="
    shown = f"{sign} {number(figure.target)} {'met' if figure.met else 'missed'}"
    return Text(shown, style="green" if figure.met else "yellow")


def _milliseconds(figure: Figure) -> str:
    return number(statistics.median(figure.milliseconds)) if figure.milliseconds else ""


def bench_table(result: Result) -> RenderableType:
    """All figures by section, then notes, problems and the verdict."""
    shown = Table(title="mm bench", title_justify="left", pad_edge=False)
    shown.add_column("section", style="dim")
    shown.add_column("figure")
    shown.add_column("median", justify="right")
    shown.add_column("", style="dim")
    shown.add_column("min to max", justify="right", style="dim")
    shown.add_column("ms", justify="right")
    shown.add_column("target")
    for section, figures in itertools.groupby(result.figures, lambda figure: figure.section):
        for place, figure in enumerate(figures):
            spread = f"{number(min(figure.values))} to {number(max(figure.values))}"
            name = figure.name + (f" ({figure.note})" if figure.note else "")
            shown.add_row(
                section if place == 0 else "",
                name,
                number(figure.median),
                figure.unit,
                spread if len(figure.values) > 1 else "",
                _milliseconds(figure),
                _target(figure),
            )
        shown.add_section()
    return Group(
        Text(", ".join(f"{name} {value}" for name, value in result.machine.items())),
        shown,
        *(Text(f"note: {note}") for note in result.notes),
        *(Text(f"PROBLEM: {problem}", style="bold red") for problem in result.problems),
        Text(_verdict(result)),
    )


def _verdict(result: Result) -> str:
    judged = [figure for figure in result.figures if figure.met is not None]
    met = sum(bool(figure.met) for figure in judged)
    audits = f"{result.audits} audits, " + ("all clean" if not result.problems else "NOT CLEAN")
    return f"{met} of {len(judged)} targets met; {audits}"


def check_picture(path: Path) -> None:
    """Raise UsageError for a picture that cannot be made; called before anything is measured."""
    if path.suffix not in PICTURE_KINDS:
        raise UsageError(f"picture {str(path)!r}: it must end in {' '.join(PICTURE_KINDS)}")
    if not path.resolve().parent.is_dir():
        raise UsageError(f"picture {str(path)!r}: there is no directory {path.resolve().parent}")
    try:
        import matplotlib  # noqa: F401  # an extra: only a picture needs it
    except ImportError as error:
        raise UsageError(
            "a picture needs matplotlib: install the package with its extra `bench`"
        ) from error


def draw_picture(result: Result, path: Path) -> None:
    """Draw each figure with a target as a share of it, and the sustained run if there was one."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot

    judged = [figure for figure in result.figures if figure.target]
    rows = max(1, bool(judged) + bool(result.series))
    height = 1.5 + 0.3 * len(judged) + (4 if result.series else 0)
    drawn, axes = pyplot.subplots(rows, 1, figsize=(10, height), squeeze=False)
    if judged:
        _draw_targets(axes[0][0], judged)
    if result.series:
        _draw_series(axes[-1][0], result)
    drawn.suptitle(
        ", ".join(f"{name} {value}" for name, value in result.machine.items()), fontsize=8
    )
    drawn.tight_layout()
    drawn.savefig(path)
    pyplot.close(drawn)


def _draw_targets(axes: Any, judged: list[Figure]) -> None:
    names, shares, low, high, colors = [], [], [], [], []
    for figure in reversed(judged):
        assert figure.target is not None
        sign = "at most" if figure.at_most else "at least"
        names.append(f"{figure.name} ({sign} {number(figure.target)} {figure.unit})")
        shares.append(figure.median / figure.target)
        low.append((figure.median - min(figure.values)) / figure.target)
        high.append((max(figure.values) - figure.median) / figure.target)
        colors.append("tab:green" if figure.met else "tab:orange")
    axes.barh(names, shares, xerr=[low, high], color=colors)
    axes.axvline(1.0, color="black", linewidth=1)
    axes.set_xlabel("median as a multiple of its target, with spread; green: met")
    axes.tick_params(labelsize=7)


def _draw_series(axes: Any, result: Result) -> None:
    at = [one["at_s"] for one in result.series]
    axes.plot(at, [one["lag_orders"] for one in result.series], label="lag, orders")
    axes.plot(at, [one["report_max_ms"] for one in result.series], label="slowest report, ms")
    for one in result.series:
        if one["rewriting"]:
            axes.axvspan(one["at_s"] - 1, one["at_s"], color="0.9")
    axes.set_xlabel("seconds of the sustained run; grey: the log is being rewritten")
    axes.legend(fontsize=7)
