"""The state service by its steps."""

from __future__ import annotations

from tests.kit import World, assert_sound


def test_two_state_services(world: World) -> None:
    """Two state services at once apply each fill once."""
    first, second = world.state("1"), world.state("2")
    world.maker().step()
    world.trade(world.order("buy", 1), world.order("sell", 2))
    second.step()
    first.step()
    assert (first.count, second.count) == (0, 2)
    assert world.position()["position_version"] == 2
    assert_sound(world)
