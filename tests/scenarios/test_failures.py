"""Eleven cases in which a process, or the server, dies at the worst moment: R5, R8, R9, R19, R20.

A process that dies between two of its calls is one whose object is dropped. One that dies after a
call and before its reply is one whose reply is thrown away. Real kills of real processes are in
``test_up``, ``test_demo`` and ``tests/lab/chaos``.
"""

from __future__ import annotations

import os
import signal

import pytest
import redis

from mm.errors import ProposalRefused
from mm.market import LIVE_MS
from mm.store import Keys, execute, take_snapshot
from mm.terminal import SnapshotSource
from tests.kit import (
    SERVERS,
    MakeWorld,
    Real,
    World,
    assert_sound,
    binary_or_skip,
    small_config,
    wait_for,
)
from tests.kit.crash import killable_server
from tests.kit.running import RunningSystem


@pytest.fixture
def quoted(world: World) -> World:
    """Both symbols quoted by maker 1."""
    world.maker("1").step()
    return world


@pytest.fixture
def real_world(real_backend: Real) -> World:
    """A small world on each real server."""
    return World(real_backend, small_config())


def test_exchange_dies_before_an_order(quoted: World) -> None:
    """The order waits on the stream, and the next exchange executes it once."""
    dead = quoted.exchange("1")
    dead.step()
    order = quoted.order("buy", 3)
    quoted.send(order)
    assert quoted.reports() == []
    quoted.exchange("2").step()
    assert quoted.report(order).status == "filled"
    dead.step()
    assert len(quoted.fills()) == 1
    assert_sound(quoted)


def test_exchange_dies_after_the_fill_before_the_answer(quoted: World) -> None:
    """Fill, report and cursor are one step: the answer is there, and asking again trades not."""
    order = quoted.order("buy", 3)
    quoted.send(order)
    quoted.scripts.match(10)  # its reply is lost with its caller
    quoted.exchange("2").step()
    quoted.send(order)
    quoted.exchange("2").step()
    first, again = quoted.reports()
    assert (first.status, first.duplicate, again.duplicate) == ("filled", False, True)
    assert first.fill_id == again.fill_id
    assert len(quoted.fills()) == 1
    assert_sound(quoted)


def test_state_service_dies_before_recording(quoted: World) -> None:
    """Until another one records the fill nobody quotes from the old position."""
    quoted.trade(quoted.order("buy", 3))
    with pytest.raises(ProposalRefused, match="UNCOMMITTED_FILLS"):
        quoted.propose("AAA")
    assert_sound(quoted)
    quoted.state("2").step()
    assert quoted.position()["net_lots"] == -3
    assert quoted.propose("AAA").outcome == "granted"
    assert_sound(quoted)


def test_maker_dies_before_a_position_update(quoted: World) -> None:
    """Another maker hears of the update, or looks anyway, and quotes from it."""
    quoted.maker("1").beat()
    other = quoted.maker("2")
    other.beat()
    quoted.trade(quoted.order("buy", 3), quoted.order("sell", 2, symbol="BBB"))
    quoted.drain()
    quoted.advance(LIVE_MS + 1)
    other.beat()
    other.step()
    for symbol in quoted.names:
        quote = quoted.hash("quote:*", symbol)
        assert (quote["position_version"], quote["maker_id"]) == ("1", "maker-2")
    assert_sound(quoted)


def test_maker_dies_after_reserving_before_quoting(world: World) -> None:
    """There is no such moment: what is reserved is quoted, whether or not the maker learns it."""
    maker = world.maker("1")
    (first, *_) = maker.proposals(world.scripts.survey(world.names))
    assert world.reserved() == (0, 0)  # deciding reserves nothing
    world.scripts.place_many([first])  # its reply is lost with its caller
    lots = world.quote_lots(first.symbol)
    assert lots is not None
    assert world.reserved() == lots
    assert_sound(world)
    world.maker("2").step()
    assert world.quote_lots(first.symbol) == lots
    assert_sound(world)


@pytest.mark.server
@SERVERS
def test_reservation_authority_is_down(server: str) -> None:
    """While the server is down nothing can be granted; on its return all is as it was."""
    with killable_server(binary_or_skip(server)) as made:
        made.start()
        world = made.world(small_config(), setup=True)
        maker = world.maker("1")
        maker.step()
        before = world.reserved(), world.hash("quote:*", "AAA")
        made.kill()
        with pytest.raises(redis.exceptions.ConnectionError):
            maker.act(maker.scripts.survey(["AAA"]))
        made.start()
        back = made.world(small_config())
        assert (back.reserved(), back.hash("quote:*", "AAA")) == before
        assert back.trade(back.order("buy", 1))[0].status == "filled"
        back.drain()
        assert_sound(back)


def test_exchange_is_down_during_a_replacement(quoted: World) -> None:
    """A quote is replaced without the exchange; the orders that waited meet the new one."""
    order = quoted.order("buy", 3)
    quoted.send(order)
    quoted.propose("AAA", bid=90, ask=110, trigger="refresh")
    quoted.exchange("2").step()
    report = quoted.report(order)
    assert (report.price_ticks, report.quote_id) == (110, "AAA-2")
    quoted.drain()
    assert_sound(quoted)


@pytest.mark.server
def test_fills_exposure_adjustment_fails(real_world: World) -> None:
    """A server without memory refuses the whole script: no fill without its adjustment."""
    world = real_world
    world.maker().step()
    order = world.order("buy", 3)
    world.send(order)
    before = world.dump()
    execute(world.client, "CONFIG", "SET", "maxmemory", "1")
    try:
        with pytest.raises(redis.exceptions.OutOfMemoryError):
            world.scripts.match(10)
        assert world.dump() == before
    finally:
        execute(world.client, "CONFIG", "SET", "maxmemory", "0")
    world.exchange().step()
    assert world.report(order).cum_lots == 3
    assert world.reserved() == (20, 17)
    assert_sound(world)


def test_maker_dies_mid_replacement(quoted: World) -> None:
    """Before the one script the old quote stands, after it the new; repeated it is refused."""
    quoted.trade(quoted.order("sell", 2))
    quoted.drain()
    (late,) = quoted.maker("1").proposals(quoted.scripts.survey(["AAA"]))
    assert quoted.hash("quote:*", "AAA")["quote_id"] == "AAA-1"
    quoted.scripts.place_many([late])  # its reply is lost with its caller
    assert quoted.hash("quote:*", "AAA")["quote_id"] == "AAA-2"
    assert_sound(quoted)
    (again,) = quoted.scripts.place_many([late])
    assert isinstance(again, ProposalRefused)
    assert again.code == "STALE_QUOTE"
    quoted.maker("2").step()
    assert quoted.hash("quote:*", "AAA")["quote_id"] == "AAA-2"


def test_everything_restarts(quoted: World) -> None:
    """New processes on the same keys go on with orders, fills and quotes that were under way."""
    done, waiting = quoted.order("buy", 3), quoted.order("sell", 2, symbol="BBB")
    quoted.send(done)
    quoted.scripts.match(10)
    quoted.send(waiting)
    again = World(quoted.backend, quoted.config)
    exchange, state, maker = again.exchange("9"), again.state("9"), again.maker("9")
    for _ in range(3):
        exchange.step()
        state.step()
        maker.step()
    assert again.report(waiting).status == "filled"
    for symbol, net in (("AAA", -3), ("BBB", 2)):
        assert again.position(symbol)["net_lots"] == net
        assert again.hash("quote:*", symbol)["position_version"] == "1"
    assert_sound(again)


@pytest.mark.server
@pytest.mark.slow
def test_state_service_dies_under_a_connected_viewer() -> None:
    """The viewer stays connected and correct while the state service is killed and comes back."""
    system = RunningSystem()
    try:
        system.start()
        reader = SnapshotSource(f"unix://{system.data_dir.resolve()}/redis.sock", Keys())
        pid = system.pids()["state-1"]
        os.kill(pid, signal.SIGKILL)
        seen = []

        def committed() -> bool:
            found = reader.snapshot()
            assert found is not None, reader.trouble
            for state in found.symbols.values():
                assert state.position.position_version <= state.fill_seq
            seen.append(sum(one.position.position_version for one in found.symbols.values()))
            back = found.processes["state-1"].pid != pid
            return back and seen[-1] > seen[0]

        wait_for("further commits", committed, 30)
        assert seen == sorted(seen)
        code, said = system.stop()
        assert code == 0, said
    finally:
        system.close()


def test_waits_for_exposure_are_served(make_world: MakeWorld) -> None:
    """A symbol denied because another held all exposure is quoted when that quote expires."""
    world = make_world(limit=10, quote_ttl_ms=300, refresh_ms=1)
    maker = world.maker()
    maker.step()
    (denied,) = [name for name in world.names if world.quote_lots(name) is None]
    world.advance(300)
    world.scripts.expire()
    maker.step()
    assert world.quote_lots(denied) == (10, 10)
    assert take_snapshot(world.scripts).exposure.bid_units == 10
