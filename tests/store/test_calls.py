"""Calls that wait inside the server, on both real servers."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from mm.store import WaitingCalls, execute
from tests.kit import Backend, World, small_config, wait_for

pytestmark = pytest.mark.server

LONG_MS = 20_000


@pytest.fixture(params=["valkey", "redis"])
def world(request: pytest.FixtureRequest) -> World:
    """A quoted world on a real server."""
    backend: Backend = request.getfixturevalue(request.param)
    made = World(backend, small_config())
    made.propose()
    return made


@pytest.fixture
def armed(world: World) -> Iterator[WaitingCalls]:
    """Calls of ``match.lua`` that wait for orders."""
    world.scripts.match(10)
    yield world.scripts.armed("match", "orders", LONG_MS, 10)
    world.scripts.client.connection_pool.disconnect()


def wait_until_blocked(world: World) -> None:
    """Wait until the server holds a blocked call."""
    wait_for("the wait", lambda: world.client.info("clients")["blocked_clients"] == 1)


def counts(world: World, armed: WaitingCalls) -> list[int]:
    """The orders that the calls have matched whose replies come next."""
    return [world.scripts.match(10, reply).orders for reply in armed.take()]


def test_an_order_sets_the_call_off(world: World, armed: WaitingCalls) -> None:
    """The server runs the call as the order comes, before anybody has read anything."""
    armed.arm("0-0")
    wait_until_blocked(world)
    order = world.order()
    world.send(order)
    assert world.report(order).status == "filled"
    assert counts(world, armed) == [1]
    assert armed.pending == 0


def test_what_is_there_already_is_matched_at_once(world: World, armed: WaitingCalls) -> None:
    """A call behind a read of what came after the cursor does not wait."""
    world.send(world.order())
    armed.arm("0-0")
    assert counts(world, armed) == [1]


def test_the_second_call_waits_for_the_next_order(world: World, armed: WaitingCalls) -> None:
    """Two orders, one after the other, are matched by two calls, no reply read in between."""
    armed.arm("0-0")
    armed.arm_second()
    first, second = world.order(), world.order()
    for order in (first, second):
        wait_until_blocked(world)
        world.send(order)
        assert world.report(order).status == "filled"
    # The first call's order, and none that the second had to make up for before it waited.
    assert counts(world, armed) == [1, 0]
    assert counts(world, armed) == [1]


def test_no_order_is_left_between_two_calls(world: World, armed: WaitingCalls) -> None:
    """An order that comes after the first call and before the second is matched at once."""
    armed.arm("0-0")
    wait_until_blocked(world)
    world.send(world.order())
    between = world.order()
    world.send(between)
    assert len(world.reports()) == 1
    armed.arm_second()
    wait_for("the report", lambda: len(world.reports()) == 2)
    assert counts(world, armed) == [1, 1]


def test_patience(world: World, armed: WaitingCalls) -> None:
    """Whoever waits only so long gets nothing, and the call goes on waiting."""
    armed.arm("0-0")
    assert armed.take(0.01) == []
    assert armed.pending == 1
    world.send(world.order())
    assert counts(world, armed) == [1]


def test_a_read_that_finds_nothing_calls_too(world: World) -> None:
    """When the wait is over the script runs all the same."""
    armed = world.scripts.armed("match", "orders", 1, 10)
    armed.arm("0-0")
    armed.arm_second()
    assert counts(world, armed) == [0, 0]
    assert counts(world, armed) == [0]
    world.scripts.client.connection_pool.disconnect()


def test_forgotten_scripts(world: World, armed: WaitingCalls) -> None:
    """A server that has forgotten the script is taught it, and the order is matched."""
    armed.arm("0-0")
    wait_until_blocked(world)
    execute(world.client, "SCRIPT", "FLUSH")
    world.send(world.order())
    assert counts(world, armed) == [1]


def test_a_closed_connection_takes_its_calls_along(world: World, armed: WaitingCalls) -> None:
    """Calls of a process that has died match nothing; another one's do."""
    armed.arm("0-0")
    armed.arm_second()
    wait_until_blocked(world)
    world.scripts.client.connection_pool.disconnect()
    wait_for("the end of it", lambda: world.client.info("clients")["blocked_clients"] == 0)
    order = world.order()
    world.send(order)
    assert world.reports() == []
    other = threading.Thread(target=world.exchange("2").step, args=(LONG_MS,))
    other.start()
    other.join()
    assert world.report(order).status == "filled"


def test_after_many_orders_no_second_call_waits(world: World) -> None:
    """Under load nothing waits while the exchange pauses, and something does when it is quiet."""
    exchange = world.exchange()
    exchange.step()
    waiting, sent = [], 0
    for size in (1, 1, 3, 3, 1, 1):
        world.send(*[world.order() for _ in range(size)])
        sent += size
        while exchange.count < sent:
            exchange.step(100)
        waiting.append(exchange.waiting)
    # The first step after the three finds the second call of before, and sends no other.
    assert waiting == [True, True, True, False, False, True]
    assert [exchange.rest_s(3, False) > 0, exchange.waiting] == [False, True]
