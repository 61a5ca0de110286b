"""The market whose stories the tests read."""

from __future__ import annotations

import pytest

from tests.kit import Fake, World, small_config


@pytest.fixture
def market(fake: Fake) -> World:
    """Three symbols of 10 lots, a limit of 25 units, a position limit of 12 lots."""
    return World(fake, small_config(3, limit=25, of_symbol={"position_limit_lots": 12}))
