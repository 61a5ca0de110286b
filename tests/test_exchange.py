"""The exchange by its steps."""

from __future__ import annotations

import threading

import pytest

from mm.exchange import LONGEST_REST_S, REST_PER_ORDER_S, SHORTEST_REST_S
from tests.kit import MakeWorld, Real, World, assert_sound, small_config, wait_for


def test_two_exchanges(world: World) -> None:
    """Two exchanges at once share the work; no order is executed or answered twice."""
    first, second = world.exchange("1"), world.exchange("2")
    world.maker().step()
    for _ in range(4):
        world.send(world.order())
        first.step()
        second.step()
    assert (first.count, second.count) == (4, 0)
    world.send(world.order())
    second.step()
    first.step()
    assert second.count == 1
    assert len(world.reports()) == len(world.fills()) == 5
    world.drain()
    assert_sound(world)


def test_ends_quotes(make_world: MakeWorld) -> None:
    """The exchange's own step releases and announces what is past its deadline."""
    world = make_world(quote_ttl_ms=150, refresh_ms=1)
    exchange = world.exchange()
    world.maker().step()
    world.advance(150)
    exchange.step()
    assert [event["event"] for event in world.events()[-2:]] == ["expired", "expired"]
    assert world.reserved() == (0, 0)
    assert_sound(world)


@pytest.mark.server
def test_blocked_step(real_backend: Real) -> None:
    """An order wakes the exchange inside the very step that waits for it."""
    world = World(real_backend, small_config())
    exchange = world.exchange()
    # Ends with the answer of the call that does not wait: only calls that wait are left.
    exchange.step(9_000)
    thread = threading.Thread(target=exchange.step, args=(9_000,))
    thread.start()
    wait_for("the wait", lambda: world.client.info("clients")["blocked_clients"] == 1)
    world.send(world.order())
    thread.join()
    assert exchange.count == 1


def test_rest_after_many_orders(world: World) -> None:
    """The pause after many orders grows with them, up to a longest one."""
    exchange = world.exchange()
    assert exchange.rest_s(0, False) == 0
    assert exchange.rest_s(30, False) == SHORTEST_REST_S
    assert exchange.rest_s(600, False) == 600 * REST_PER_ORDER_S
    assert exchange.rest_s(100_000, True) == LONGEST_REST_S
