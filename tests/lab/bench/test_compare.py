"""The comparison of two commits: its ratios, its gaps, its forms."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from rich.console import Console

from mm.lab.bench.compare import Comparison, PairedFigure, comparison_table


def result(problems: list[str] | None = None, **figures: float) -> dict[str, Any]:
    """The result of a bench as its JSON has it: figures of section raw, by name."""
    found = [
        {"section": "raw", "name": name, "unit": "/s", "median": value}
        for name, value in figures.items()
    ]
    return {
        "machine": {"cpu": "one"},
        "figures": found,
        "notes": ["no tool"],
        "problems": problems or [],
        "audits": 1,
    }


def compared(pairs: list[tuple[dict[str, Any], dict[str, Any]]]) -> Comparison:
    """A comparison of these pairs of results, base first."""
    found = Comparison("aaa", "bbb", len(pairs))
    for number, (base, change) in enumerate(pairs):
        found.add("base", "raw", number, base)
        found.add("change", "raw", number, change)
    return found


def test_a_ratio_is_taken_pair_by_pair() -> None:
    """Each measurement is compared with that of its own pair, not with the other's median."""
    found = compared([(result(rate=10), result(rate=12)), (result(rate=20), result(rate=30))])
    (figure,) = found.figures()
    assert figure.ratios == [1.2, 1.5]
    said = figure.as_dict()
    assert (said["median"], said["min"], said["max"]) == (1.35, 1.2, 1.5)
    assert (said["base"], said["change"]) == ([10, 20], [12, 30])


def test_no_ratio_without_both() -> None:
    """A pair with only one side, or with a base of 0, has no ratio and is not counted as one."""
    assert PairedFigure("s", "n", "x", (None, 2.0, 0.0), (1.0, None, 3.0)).ratios == []
    assert PairedFigure("s", "n", "x", (None, 2.0), (1.0, 0.0)).ratios == [0.0]
    assert PairedFigure("s", "n", "x", (0.0,), (0.0,)).as_dict()["median"] is None


def test_a_pair_that_failed_leaves_the_others_their_places() -> None:
    """A bench that printed nothing leaves its own pair without a ratio."""
    found = Comparison("aaa", "bbb", 2)
    found.add("base", "raw", 1, result(rate=10))
    found.add("change", "raw", 0, result(rate=7))
    found.add("change", "raw", 1, result(rate=20))
    (figure,) = found.figures()
    assert (figure.base, figure.change) == ((None, 10), (7, 20))
    assert figure.ratios == [2.0]


def test_problems_name_their_run_and_notes_come_once() -> None:
    """A problem says which bench of which pair had it; a note of each run is said once."""
    found = compared([(result(["leaked"], a=1), result(a=1)), (result(a=1), result(a=1))])
    assert found.problems == ["raw, pair 1: base: leaked"]
    assert found.notes == ["base: no tool", "change: no tool"]


def test_table() -> None:
    """Each figure with both medians and its ratios; what the base lacks has none, and says so."""
    pairs = [
        (result(rate=10), result(rate=12, new=5)),
        (result(["leaked"], rate=20), result(rate=30, new=7)),
    ]
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(comparison_table(compared(pairs)))
    shown = console.export_text()
    assert "bbb against aaa" in shown
    (rate,) = (line for line in shown.splitlines() if " rate " in line)
    for text in ("15", "21", "1.35", "1.2 to 1.5"):
        assert text in rate
    (new,) = (line for line in shown.splitlines() if " new " in line)
    assert "not measured" in new
    assert "note: figures that the bench of the base does not have: 1" in shown
    assert "PROBLEM: raw, pair 1: base: leaked" not in shown
    assert "PROBLEM: raw, pair 2: base: leaked" in shown
    assert "4 runs, 4 audits, NOT CLEAN" in shown


@pytest.mark.parametrize("width", [40, 60])
def test_narrow(width: int) -> None:
    """The ratio stays at any width; columns that do not fit are left out by name."""
    console = Console(width=width, record=True, file=io.StringIO())
    base, change = result(a_name_that_does_not_fit=1e6), result(a_name_that_does_not_fit=1.25e6)
    console.print(comparison_table(compared([(base, change)])))
    shown = console.export_text()
    assert all(len(line) <= width for line in shown.splitlines())
    assert " 1.25" in shown and f"not shown at {width} columns: " in shown


def test_json_says_everything() -> None:
    """The comparison as JSON has the commits, the machine, every figure and every whole result."""
    said = json.loads(json.dumps(compared([(result(rate=10), result(rate=12))]).as_dict()))
    assert (said["base"], said["change"], said["pairs"]) == ("aaa", "bbb", 1)
    assert said["machine"] == {"cpu": "one"}
    assert said["figures"][0]["ratios"] == [1.2]
    assert [(run["side"], run["section"], run["pair"]) for run in said["runs"]] == [
        ("base", "raw", 0),
        ("change", "raw", 0),
    ]
    assert said["runs"][1]["result"]["figures"][0]["median"] == 12
