"""The plan of the faults: its seed replays it."""

from __future__ import annotations

from itertools import islice

from mm.lab.chaos.plan import CALLS, KINDS, PROCESSES, PROXIED, TTL_MS, FaultEvent, plan_rounds
from mm.market import MODES
from mm.store import script_names


def plan(seed: int, count: int) -> list[list[FaultEvent]]:
    """The faults of the first rounds."""
    return list(islice(plan_rounds(seed), count))


def test_a_seed_replays_its_faults() -> None:
    """The same seed plans the same faults, another seed others."""
    assert plan(7, 200) == plan(7, 200)
    assert plan(7, 200) != plan(8, 200)


def test_every_kind_comes_once_before_one_comes_again() -> None:
    """As many rounds as there are kinds hold each kind, whatever the seed."""
    for seed in range(20):
        first = [faults[0].kind for faults in plan(seed, 2 * len(KINDS))]
        assert sorted(first[: len(KINDS)]) == sorted(first[len(KINDS) :]) == sorted(KINDS)


def test_faults_make_sense() -> None:
    """Stops outlive a quote; the proxy's faults name processes behind it and calls they make."""
    for fault in (one for faults in plan(3, 2000) for one in faults):
        if fault.kind == "stop-process":
            assert fault.target in PROCESSES and fault.hold_ms > TTL_MS
        if fault.kind == "operate-mode":
            assert fault.call in MODES
        elif fault.call:
            assert fault.target in PROXIED
            assert fault.call in CALLS[fault.target.partition("-")[0]]
            assert fault.call.isupper() or fault.call in script_names()
        assert len(fault.percents) == {"kill-loading": 2, "kill-rewriting": 1}.get(fault.kind, 0)
