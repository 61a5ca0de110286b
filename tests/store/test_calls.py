"""Calls that wait inside the server, on both real servers."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from mm.consumer import GATHER_S
from mm.store import WaitingCalls, execute
from tests.kit import Backend, World, small_config, wait_for

pytestmark = pytest.mark.server

LONG_MS = 20_000
LONG_S = 20


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
    yield world.scripts.waiting_calls(["match"], {world.keys.named("orders"): "$"}, LONG_MS, 10)
    world.scripts.client.connection_pool.disconnect()


def wait_until_blocked(world: World) -> None:
    """Wait until the server holds a blocked call."""
    wait_for("the wait", lambda: world.client.info("clients")["blocked_clients"] == 1)


def counts(world: World, calls: WaitingCalls, replies: int) -> list[int]:
    """The orders that the calls matched, by the next replies."""
    found: list[int] = []
    while len(found) < replies and (came := calls.replies(LONG_S)):
        found += [world.scripts.match(10, reply).orders for (reply,) in came]
    return found


def test_what_is_there_already_is_matched_at_once(world: World, calls: WaitingCalls) -> None:
    """The first call does not wait, and the next one waits for an order."""
    world.send(world.order())
    calls.start(1)
    assert counts(world, calls, 1) == [1]
    assert calls.pending == 1
    world.send(world.order())
    assert counts(world, calls, 1) == [1]
    assert calls.pending == 0


def test_each_order_sets_a_call_off(world: World, calls: WaitingCalls) -> None:
    """Each order is matched when it comes, while no client reads a reply."""
    calls.start(3)
    for _ in range(3):
        wait_until_blocked(world)
        order = world.order()
        world.send(order)
        assert world.report(order).status == "filled"
    assert counts(world, calls, 4) == [0, 1, 1, 1]


def test_no_order_is_left_between_two_groups(world: World, calls: WaitingCalls) -> None:
    """An order that comes after the last call is matched as soon as there are new calls."""
    calls.start(1)
    wait_until_blocked(world)
    world.send(world.order())
    world.send(world.order())
    assert len(world.reports()) == 1
    calls.start(1)
    wait_for("the report", lambda: len(world.reports()) == 2)
    assert counts(world, calls, 3) == [0, 1, 1]
    assert calls.pending == 1


def test_more_calls_queue_up_behind_those_that_wait(world: World, calls: WaitingCalls) -> None:
    """Calls that are added while others wait come after these; none is lost."""
    calls.start(1)
    wait_until_blocked(world)
    calls.start(1)
    for _ in range(2):
        wait_until_blocked(world)
        world.send(world.order())
    assert counts(world, calls, 4) == [0, 1, 0, 1]


def test_timeout(world: World, calls: WaitingCalls) -> None:
    """After its time-out a caller gets no reply, and the call goes on waiting."""
    calls.start(1)
    assert counts(world, calls, 1) == [0]
    assert calls.replies(0.01) == []
    assert calls.pending == 1
    world.send(world.order())
    assert counts(world, calls, 1) == [1]


def test_a_read_that_finds_nothing_calls_too(world: World) -> None:
    """When the wait ends without an entry the script runs too."""
    calls = world.scripts.waiting_calls(["match"], {world.keys.named("orders"): "$"}, 1, 10)
    calls.start(2)
    assert counts(world, calls, 3) == [0, 0, 0]
    world.scripts.client.connection_pool.disconnect()


def test_forgotten_scripts(world: World, calls: WaitingCalls) -> None:
    """A server that has lost the script gets it again, and the order is matched."""
    calls.start(1)
    assert counts(world, calls, 1) == [0]
    wait_until_blocked(world)
    execute(world.client, "SCRIPT", "FLUSH")
    world.send(world.order())
    assert counts(world, calls, 1) == [1]


def test_a_closed_connection_takes_its_calls_along(world: World, calls: WaitingCalls) -> None:
    """Calls of a process that has died match nothing; those of another process do."""
    calls.start(2)
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


def test_calls_wait_as_orders_are_few(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under load nothing waits while the exchange pauses; many calls do when orders are few."""
    for module in ("consumer", "exchange"):
        monkeypatch.setattr(f"mm.{module}.CALLS", 2)
    exchange = world.exchange()
    # The call that does not wait is answered at once, however slow the machine is.
    exchange.step(LONG_MS)
    waiting, sent = [exchange.waiting], 0
    for size in (1, 1, 30, 30, 1, 1):
        world.send(*[world.order() for _ in range(size)])
        sent += size
        while exchange.count < sent:
            exchange.step(LONG_MS)
        waiting.append(exchange.waiting)
    # The step after the first thirty finds a call of before, and sends no other.
    assert waiting == [1, 0, 2, 1, 0, 0, 1]
    exchange.step(1)
    assert exchange.waiting == 3
    assert exchange.rest_s(1, False) == GATHER_S
    assert exchange.rest_s(0, False) == 0


def test_calls_of_two_scripts(world: World) -> None:
    """A call runs both in turn, and an entry in any of its streams sets it off."""
    world.admit("c1")
    inbox = world.keys.member("inbox:*", "c1")
    streams = {world.keys.named("orders"): "$", inbox: "0-0"}
    calls = world.scripts.waiting_calls(["collect", "match"], streams, LONG_MS, 10)
    calls.start(1)
    ((taken, matched),) = calls.replies(LONG_S)
    assert world.scripts.collect(10, taken).orders == world.scripts.match(10, matched).orders == 0
    wait_until_blocked(world)
    execute(world.client, "SCRIPT", "FLUSH")
    world.send_to_inbox("c1", "o1", "c1 AAA buy 1 101")
    ((taken, matched),) = calls.replies(LONG_S)
    # The server has lost the scripts, so each runs again from here.
    assert world.scripts.collect(10, taken).orders == world.scripts.match(10, matched).orders == 1
    calls.start(1)
    ((taken, matched),) = calls.replies(LONG_S)
    wait_until_blocked(world)
    world.send(world.order())
    ((taken, matched),) = calls.replies(LONG_S)
    assert world.scripts.collect(10, taken).orders == 0
    assert world.scripts.match(10, matched).orders == 1
    calls.start(1)
    assert len(calls.replies(LONG_S)) == 1
    wait_until_blocked(world)
    calls.close()
    assert calls.pending == 0
    wait_for("the end of it", lambda: world.client.info("clients")["blocked_clients"] == 0)
