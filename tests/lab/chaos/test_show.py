"""What `mm chaos` prints."""

from __future__ import annotations

from mm.lab.chaos.plan import FaultEvent
from mm.lab.chaos.show import Round, percentile


def test_percentiles_are_of_the_values() -> None:
    """A percentile is the smallest value that so many percent do not exceed."""
    assert [percentile(range(1, 101), p) for p in (50, 99, 100)] == [50, 99, 100]
    assert percentile([], 50) == 0 and percentile([7], 99) == 7


def test_a_line_names_what_missed() -> None:
    """The line of a round says which fault was not applied, and whether a rule broke."""
    fault = FaultEvent("stop-server", "server", 10, 200)
    assert Round(3, [fault], [False], 12).line() == (
        "round 3: stop-server server 200 ms (missed): converged in 12 ms"
    )
    assert Round(3, [fault], violated=True).line().endswith("VIOLATION")
