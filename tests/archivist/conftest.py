"""A market that has traded, and an archivist that runs beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mm.archivist import Archivist
from tests.kit import Fake, World, small_config
from tests.kit.archivist import run, trade


@pytest.fixture
def traded(fake: Fake) -> World:
    """Two symbols, twelve fills in six entries, all committed; the ledger keeps five fills."""
    world = World(fake, small_config(limit=100, keep_fills=5))
    trade(world, 6)
    return world


@pytest.fixture
def running(traded: World, tmp_path: Path) -> Archivist:
    """An archivist that has archived everything, and fills that came after it."""
    archivist = traded.archivist(tmp_path)
    run(archivist)
    trade(traded, 4)
    return archivist
