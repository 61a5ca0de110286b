"""The result of a comparison: for each figure a ratio of change to base, pair by pair."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from mm.lab.bench.show import Rows, number
from mm.terminal import FittedTable


@dataclass(frozen=True)
class PairedFigure:
    """A quantity that both commits measured, by pair; None where one of them did not."""

    section: str
    name: str
    unit: str
    base: tuple[float | None, ...]
    change: tuple[float | None, ...]

    @property
    def ratios(self) -> list[float]:
        """Change to base, for each pair that has both and a base that is not 0."""
        pairs = zip(self.base, self.change, strict=True)
        return [ours / theirs for theirs, ours in pairs if theirs and ours is not None]

    def as_dict(self) -> dict[str, Any]:
        """The figure for ``--json``."""
        ratios = self.ratios
        return {
            "section": self.section,
            "name": self.name,
            "unit": self.unit,
            "base": list(self.base),
            "change": list(self.change),
            "ratios": ratios,
            "median": statistics.median(ratios) if ratios else None,
            "min": min(ratios, default=None),
            "max": max(ratios, default=None),
        }


@dataclass
class Comparison:
    """What the benches of two commits found in ``pairs`` runs of each section.

    ``notes`` say what was left out and why. ``problems`` are those of the benches, and benches that
    failed. ``runs`` are the whole results of the benches, with their side, section and pair.
    """

    base: str
    change: str
    pairs: int
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)

    def add(self, side: str, section: str, pair: int, result: dict[str, Any]) -> None:
        """Keep the result of one bench, as its ``--json`` printed it."""
        self.runs.append({"side": side, "section": section, "pair": pair, "result": result})
        about = f"{section}, pair {pair + 1}: {side}"
        self.problems += [f"{about}: {problem}" for problem in result.get("problems", [])]
        for note in result.get("notes", []):
            if (line := f"{side}: {note}") not in self.notes:
                self.notes.append(line)

    def figures(self) -> list[PairedFigure]:
        """All figures that either side measured, in the order in which they first came."""
        found: dict[tuple[str, str, str], dict[str, list[float | None]]] = {}
        for run in self.runs:
            for one in run["result"].get("figures", []):
                key = one["section"], one["name"], one["unit"]
                sides = found.setdefault(
                    key, {side: [None] * self.pairs for side in ("base", "change")}
                )
                sides[run["side"]][run["pair"]] = one["median"]
        return [
            PairedFigure(*key, tuple(sides["base"]), tuple(sides["change"]))
            for key, sides in found.items()
        ]

    def as_dict(self) -> dict[str, Any]:
        """The comparison for ``--json``."""
        return {
            "base": self.base,
            "change": self.change,
            "pairs": self.pairs,
            "machine": self.runs[0]["result"].get("machine", {}) if self.runs else {},
            "figures": [figure.as_dict() for figure in self.figures()],
            "notes": self.notes,
            "problems": self.problems,
            "runs": self.runs,
        }


def comparison_table(comparison: Comparison) -> RenderableType:
    """All figures by section with their ratios, then what only one side measured."""
    figures = comparison.figures()
    rows = Rows.of(figures)
    columns = [
        rows.column("base", lambda figure: _median(figure.base), 2),
        rows.column("change", lambda figure: _median(figure.change), 3),
        rows.column("unit", lambda figure: figure.unit, 4, right=False),
        rows.column("change / base", lambda figure: _ratio(figure.ratios)),
        rows.column("least to most", lambda figure: _range(figure.ratios), 1),
        rows.column("pairs", lambda figure: str(len(figure.ratios)), 5),
    ]
    title = f"mm bench: {comparison.change} against {comparison.base}"
    return Group(
        FittedTable(title, columns, labels=rows.labels(lambda figure: figure.name)),
        *(Text(f"note: {note}") for note in [*_missing(figures), *comparison.notes]),
        *(Text(f"PROBLEM: {problem}", style="bold red") for problem in comparison.problems),
        Text(_verdict(comparison)),
    )


def _verdict(comparison: Comparison) -> str:
    audits = sum(run["result"].get("audits", 0) for run in comparison.runs)
    clean = "NOT CLEAN" if comparison.problems else "all clean"
    return f"{len(comparison.runs)} runs, {audits} audits, {clean}"


def _ratio(ratios: list[float]) -> str:
    return number(statistics.median(ratios)) if ratios else "-"


def _range(ratios: list[float]) -> str:
    return f"{number(min(ratios))} to {number(max(ratios))}" if ratios else ""


def _median(values: tuple[float | None, ...]) -> str:
    there = [value for value in values if value is not None]
    return number(statistics.median(there)) if there else "not measured"


def _missing(figures: list[PairedFigure]) -> list[str]:
    """How many figures one side has not measured at all, as notes."""
    notes = []
    for side in ("base", "change"):
        count = sum(not any(one is not None for one in getattr(figure, side)) for figure in figures)
        if count:
            notes.append(f"figures that the bench of the {side} does not have: {count}")
    return notes
