"""A small market that commands find."""

from __future__ import annotations

import pytest

from mm.host import System
from tests.kit import Fake, World, small_config


@pytest.fixture
def market(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> World:
    """Three quoted symbols, and commands that find them."""
    world = World(fake, small_config(3, limit=100))
    for name in world.names:
        world.propose(name)
    monkeypatch.setattr(System, "scripts", lambda _self, **_: world.make_scripts())
    return world
