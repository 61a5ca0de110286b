"""The escrow in every interleaving: the sound one holds, and what lacks one thing is found."""

from __future__ import annotations

import pytest

from tests.hunts.escrow import BROKEN, WORLDS, EscrowWorld, explore


@pytest.mark.parametrize(
    "world",
    [
        pytest.param(one, id=one.name, marks=[] if one.limit == 1 else [pytest.mark.slow])
        for one in WORLDS
    ],
)
def test_every_interleaving(world: EscrowWorld) -> None:
    """Whatever is late, lost or doubled, and wherever a history is cut, the limit holds."""
    found = explore(world)
    assert found.violation == "", found.trace
    assert found.states > 10_000


@pytest.mark.parametrize("world", BROKEN, ids=lambda world: world.name)
def test_what_lacks_one_thing_is_found(world: EscrowWorld) -> None:
    """Without a wait, the epoch, a maximum or a bound, leases or reservations are too many."""
    found = explore(world)
    assert found.violation
    assert 0 < len(found.trace) <= 12
