"""Shows the result of a benchmark: a table, and a picture for a report."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from rich.console import Group, RenderableType
from rich.text import Text

from mm.errors import ExtraMissing, UsageError
from mm.lab.bench.figure import Figure, Result
from mm.terminal import Column, FittedTable

PICTURE_KINDS = (".png", ".svg", ".pdf")


def number(value: float) -> str:
    """A number with three significant digits, or as a whole number with thousands set apart."""
    if value == 0:
        return "0"
    if abs(value) >= 1_000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


class InSection(Protocol):
    """A figure of a section."""

    @property
    def section(self) -> str:
        """The section's name."""


One = TypeVar("One", bound=InSection)


@dataclass(frozen=True)
class Rows(Generic[One]):
    """The rows of a table of figures: a row with the name of each section stands above its own."""

    rows: Sequence[One | str]

    @classmethod
    def of(cls, figures: Iterable[One]) -> Rows[One]:
        """The rows of figures that are in the order of their sections."""
        rows: list[One | str] = []
        for section, part in itertools.groupby(figures, lambda figure: figure.section):
            rows += [section, *part]
        return cls(rows)

    def labels(self, name: Callable[[One], str]) -> Column:
        """The names of the sections and of the figures."""
        cells = [
            Text(row, "bold") if isinstance(row, str) else Text(f"  {name(row)}")
            for row in self.rows
        ]
        return Column("figure", cells, right=False)

    def column(
        self, title: str, cell: Callable[[One], str | Text], rank: int = 0, right: bool = True
    ) -> Column:
        """A column of the figures; of a higher rank it is left out earlier."""
        cells = [Text("") if isinstance(row, str) else _as_text(cell(row)) for row in self.rows]
        return Column(title, cells, rank, right)


def _as_text(cell: str | Text) -> Text:
    return Text(cell) if isinstance(cell, str) else cell


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
    rows = Rows.of(result.figures)
    columns = [
        rows.column("median", lambda figure: number(figure.median)),
        rows.column("unit", lambda figure: figure.unit, 1, right=False),
        rows.column("min to max", _spread, 4),
        rows.column("ms", _milliseconds, 2),
        rows.column("target", _target, 3, right=False),
    ]
    return Group(
        Text(", ".join(f"{name} {value}" for name, value in result.machine.items())),
        FittedTable("mm bench", columns, labels=rows.labels(_name)),
        *(Text(f"note: {note}") for note in result.notes),
        *(Text(f"PROBLEM: {problem}", style="bold red") for problem in result.problems),
        Text(_verdict(result)),
    )


def _name(figure: Figure) -> str:
    return figure.name + (f" ({figure.note})" if figure.note else "")


def _spread(figure: Figure) -> str:
    few = len(figure.values) < 2
    return "" if few else f"{number(min(figure.values))} to {number(max(figure.values))}"


def _verdict(result: Result) -> str:
    judged = [figure for figure in result.figures if figure.met is not None]
    met = f"{sum(bool(figure.met) for figure in judged)} of {len(judged)} targets met; "
    audits = f"{result.audits} audits, " + ("all clean" if not result.problems else "NOT CLEAN")
    return (met if judged else "") + audits


def check_picture(path: Path) -> None:
    """Raise UsageError for a picture that cannot be made; called before anything is measured."""
    if path.suffix not in PICTURE_KINDS:
        raise UsageError(f"picture {str(path)!r}: it must end in {' '.join(PICTURE_KINDS)}")
    if not path.resolve().parent.is_dir():
        raise UsageError(f"picture {str(path)!r}: there is no directory {path.resolve().parent}")
    try:
        import matplotlib  # noqa: F401  # an extra: only a picture needs it
    except ImportError as error:
        raise ExtraMissing("a picture", "matplotlib", "bench") from error


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
