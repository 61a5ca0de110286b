"""What the driver of a benchmark counts."""

from __future__ import annotations

from typing import Any, cast

import pytest

from mm.lab.bench import drive
from mm.lab.bench.drive import Acceptance
from mm.lab.bench.world import World


class Counted:
    """A world of which only the makers' counts are asked for."""

    quotes = 100
    proposals = 200

    def quote_versions(self) -> int:
        """How many proposals were accepted in all."""
        return self.quotes


def test_acceptance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the proposals since its beginning, the share that was accepted; a heartbeat is awaited."""
    world: Any = Counted()
    waits: list[float] = []
    monkeypatch.setattr("mm.lab.bench.drive.time.sleep", waits.append)
    monkeypatch.setattr(drive, "_proposals", lambda one: one.proposals)
    accepted = Acceptance(cast("World", world))
    assert accepted.share() == 0
    world.quotes, world.proposals = 130, 240
    assert accepted.placed() == 30
    assert accepted.share() == 0.75
    assert waits == [drive.HEARTBEAT_S] * 3
