"""What `mm chaos` prints."""

from __future__ import annotations

import io
import logging
from pathlib import Path

import pytest
from rich.console import Console

from mm.errors import ProposalRefused
from mm.host import LogOptions, log_to_file
from mm.lab.chaos.check import refusals
from mm.lab.chaos.plan import KINDS, FaultEvent
from mm.lab.chaos.show import Round, RunRecord, percentile, table
from tests.kit import Fake, World, small_config


def test_percentiles_are_of_the_values() -> None:
    """A percentile is the smallest value that so many percent do not exceed."""
    assert [percentile(range(1, 101), p) for p in (50, 99, 100)] == [50, 99, 100]
    assert percentile([], 50) == 0 and percentile([7], 99) == 7


def test_a_line_names_what_missed() -> None:
    """The line of a round says which fault was not applied, and whether a rule broke."""
    fault = FaultEvent("stop-server", "server", 10, 200)
    assert Round(3, [fault], [False], 12).line() == (
        "round 3: stop-server server 200 ms (struck nothing): converged in 12 ms"
    )
    assert Round(3, [fault], violated=True).line().endswith("VIOLATION")


@pytest.mark.parametrize("width", [40, 60, 80])
def test_the_table_fits(width: int) -> None:
    """Columns that do not fit are left out by name; the caption says what the times are of."""
    record = RunRecord(7, 3, "valkey 9", tuple(KINDS))
    record.add(Round(1, [FaultEvent("stop-server", "server", 10, 200)], [False], 123_456))
    record.add(Round(2, [FaultEvent("kill-maker", "maker-1", 10, 0)], [True], 0))
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(table(record))
    lines = console.export_text().splitlines()
    assert all(len(line) <= width for line in lines)
    (stopped,) = (line for line in lines if line.startswith("stop-server"))
    (killed,) = (line for line in lines if line.startswith("kill-maker "))
    assert stopped.split()[:2] == ["stop-server", "1"] and "123456" in stopped.split()
    assert set(killed.split()[2:]) == {"0"}, "a round that converged at once counts"
    assert "ms: from the faults to a converged system" in " ".join(" ".join(lines).split())
    if width == 40:
        assert "not shown at 40 columns: struck nothing" in " ".join(" ".join(lines).split())


def test_refusals_are_those_of_the_logs(log: logging.Logger, fake: Fake, tmp_path: Path) -> None:
    """What makers log of refused proposals is counted by rule, in older files too."""
    world, path = World(fake, small_config(2)), tmp_path / "maker-1.log"
    log_to_file(path, LogOptions(detail=True))
    for rule in ("STALE_POSITION", "STALE_POSITION", "STALE_QUOTE"):
        refused = ProposalRefused(rule, "a refused rule=NONE detail=none")
        world.maker()._detail(world.proposal(), refused)
    assert refusals(tmp_path) == {"STALE_POSITION": 2, "STALE_QUOTE": 1}
    path.rename(f"{path}.1")
    assert refusals(tmp_path) == {"STALE_POSITION": 2, "STALE_QUOTE": 1}
