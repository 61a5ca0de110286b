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
def calls(world: World) -> Iterator[WaitingCalls]:
    """Calls of ``match.lua`` that wait for orders."""
    world.scripts.match(10)
    yield world.scripts.waiting_calls("match", "orders", LONG_MS, 10)
    world.scripts.client.connection_pool.disconnect()


def wait_until_blocked(world: World) -> None:
    """Wait until the server holds a blocked call."""
    wait_for("the wait", lambda: world.client.info("clients")["blocked_clients"] == 1)


def counts(world: World, calls: WaitingCalls) -> list[int]:
    """The orders that the calls matched, by the replies that come next."""
    return [world.scripts.match(10, reply).orders for reply in calls.replies()]


def test_an_order_sets_the_call_off(world: World, calls: WaitingCalls) -> None:
    """The server runs the call when the order comes, before a client reads anything."""
    calls.start("0-0")
    wait_until_blocked(world)
    order = world.order()
    world.send(order)
    assert world.report(order).status == "filled"
    assert counts(world, calls) == [1]
    assert calls.pending == 0


def test_what_is_there_already_is_matched_at_once(world: World, calls: WaitingCalls) -> None:
    """A call behind a read of what came after the cursor does not wait."""
    world.send(world.order())
    calls.start("0-0")
    assert counts(world, calls) == [1]


def test_the_second_call_waits_for_the_next_order(world: World, calls: WaitingCalls) -> None:
    """Two calls match two orders, one after the other, and no reply is read in between."""
    calls.start("0-0")
    calls.start_second()
    first, second = world.order(), world.order()
    for order in (first, second):
        wait_until_blocked(world)
        world.send(order)
        assert world.report(order).status == "filled"
    # The order of the first call, and none in the run before the second call waited.
    assert counts(world, calls) == [1, 0]
    assert counts(world, calls) == [1]


def test_no_order_is_left_between_two_calls(world: World, calls: WaitingCalls) -> None:
    """An order that comes after the first call and before the second is matched at once."""
    calls.start("0-0")
    wait_until_blocked(world)
    world.send(world.order())
    between = world.order()
    world.send(between)
    assert len(world.reports()) == 1
    calls.start_second()
    wait_for("the report", lambda: len(world.reports()) == 2)
    assert counts(world, calls) == [1, 1]


def test_timeout(world: World, calls: WaitingCalls) -> None:
    """After its time-out a caller gets no reply, and the call goes on waiting."""
    calls.start("0-0")
    assert calls.replies(0.01) == []
    assert calls.pending == 1
    world.send(world.order())
    assert counts(world, calls) == [1]


def test_a_read_that_finds_nothing_calls_too(world: World) -> None:
    """When the wait ends without an entry the script runs too."""
    calls = world.scripts.waiting_calls("match", "orders", 1, 10)
    calls.start("0-0")
    calls.start_second()
    assert counts(world, calls) == [0, 0]
    assert counts(world, calls) == [0]
    world.scripts.client.connection_pool.disconnect()


def test_forgotten_scripts(world: World, calls: WaitingCalls) -> None:
    """A server that has lost the script gets it again, and the order is matched."""
    calls.start("0-0")
    wait_until_blocked(world)
    execute(world.client, "SCRIPT", "FLUSH")
    world.send(world.order())
    assert counts(world, calls) == [1]


def test_a_closed_connection_takes_its_calls_along(world: World, calls: WaitingCalls) -> None:
    """Calls of a process that has died match nothing; those of another process do."""
    calls.start("0-0")
    calls.start_second()
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
