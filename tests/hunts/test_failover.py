"""Trading and failovers in every interleaving: what is final stays, and what lacks it is found."""

from __future__ import annotations

import pytest

from tests.hunts.failover import BROKEN, WORLDS, FailoverWorld, explore


@pytest.mark.slow
@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)
def test_every_interleaving(world: FailoverWorld) -> None:
    """Wherever a history is cut, a final outcome is there, and no stale proposal is taken."""
    found = explore(world)
    assert found.violation == "", found.trace
    assert found.states > 10_000


@pytest.mark.parametrize(
    ("world", "said"),
    list(zip(BROKEN, ("no report says", "no report says", "was placed at"), strict=True)),
    ids=[one.name for one in BROKEN],
)
def test_what_lacks_one_thing_is_found(world: FailoverWorld, said: str) -> None:
    """Without the wait, or without the history's name in a client or a proposal, it goes wrong."""
    found = explore(world)
    assert said in found.violation
    assert 0 < len(found.trace) <= 10
