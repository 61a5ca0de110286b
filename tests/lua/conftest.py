"""What the tests of several scripts begin with."""

from __future__ import annotations

import pytest

from tests.kit import World


@pytest.fixture
def quoted(world: World) -> World:
    """A world with 10 lots quoted at 99 x 101 in both symbols."""
    world.propose("AAA")
    world.propose("BBB")
    return world
