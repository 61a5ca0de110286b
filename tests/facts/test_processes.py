"""Which processes are shown: those that trade, and an `mm up` that nobody has replaced."""

from __future__ import annotations

import pytest

from mm.facts import process_rows, stoppages
from mm.market import LIVE_MS
from mm.store import take_snapshot
from tests.kit import World


def ups(world: World) -> dict[str, str]:
    """The state of each `mm up` that is shown."""
    rows = process_rows(take_snapshot(world.scripts))
    return {row.name: row.state for row in rows if row.kind == "up"}


@pytest.fixture
def crashed(fake_world: World) -> World:
    """A system whose `mm up` has died twice, each time without a farewell."""
    for name in ("up-1", "up-2"):
        fake_world.beat(name)
        fake_world.advance(LIVE_MS + 1)
    return fake_world


def test_an_up_that_nobody_has_replaced_is_silent(crashed: World) -> None:
    """While none is live, the one that was heard last is shown, and no earlier one."""
    assert ups(crashed) == {"up-2": "silent"}


def test_an_up_that_was_replaced_is_not_shown(crashed: World) -> None:
    """Each start has a name of its own, so a name that was replaced would never be live again."""
    crashed.beat("up-3", fields={"wants": "-"})
    for name in ("exchange-1", "state-1", "maker-1"):
        crashed.beat(name)
    assert ups(crashed) == {"up-3": "live"}
    assert stoppages(take_snapshot(crashed.scripts)) == []
    crashed.beat("up-4")
    assert ups(crashed) == {"up-3": "live", "up-4": "live"}


def test_other_kinds_are_shown_while_they_are_silent(crashed: World) -> None:
    """A maker keeps its name when it is started again, so it is missed until it is heard."""
    crashed.beat("maker-1")
    crashed.advance(LIVE_MS + 1)
    crashed.beat("maker-2")
    crashed.beat("up-3")
    rows = process_rows(take_snapshot(crashed.scripts))
    shown = {row.name: row.state for row in rows}
    assert shown == {"maker-1": "silent", "maker-2": "live", "up-3": "live"}
