"""What the tests of stories share: small steps of a market, each a little later."""

from __future__ import annotations

from typing import Any

from mm.explain.story import Story
from mm.market import Order
from tests.kit import World

TTL = 30_000


def placed(world: World, symbol: str = "AAA", **changes: Any) -> str:
    """Place a quote a millisecond later; its id."""
    world.advance(1)
    return world.propose(symbol, **changes).quote_id


def traded(world: World, *orders: Order, match_ms: int = 2, commit_ms: int = 3) -> None:
    """Send orders, match them and commit the fills, each a little later."""
    for order in orders:
        world.send(order)
    world.advance(match_ms)
    world.scripts.match(100)
    world.advance(commit_ms)
    world.scripts.commit(100)


def kinds(story: Story) -> list[str]:
    """The kinds of the steps, in order."""
    return [step.kind for step in story.steps]
