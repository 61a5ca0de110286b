"""The balancer over many partitions in simulated time: little is idle, and nobody starves (R11)."""

from __future__ import annotations

import pytest

from tests.hunts.balancer import LIFE_S, simulate
from tests.kit import SEEDS


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("count", [2, 10, 30])
def test_uneven_demand_that_moves(count: int, seed: int) -> None:
    """Nearly all that one limit would use is used; an even share comes within a life of a quote."""
    found = simulate(count, seed)
    assert found.share_in_use > 0.98
    assert found.longest_wait_s <= LIFE_S + 1
