"""withdraw.lua: after an orderly stop of the makers nothing stays quoted, reserved or waiting."""

from __future__ import annotations

import pytest
import redis

from mm.market import LIVE_MS
from tests.kit import (
    SYSTEM_ID,
    Fake,
    MakeWorld,
    World,
    assert_only_for_its_system,
    assert_sound,
    small_config,
)


@pytest.fixture
def frozen(fake: Fake) -> World:
    """Three symbols, a limit of 15 units, the clock in the test's hand."""
    return World(fake, small_config(3, limit=15))


def test_releases_and_announces(make_world: MakeWorld) -> None:
    """The quote is gone, its units are free, and the event has its placement and the cause."""
    world = make_world()
    world.propose(bid_lots=7, ask_lots=8)
    world.trade(world.order("buy", 3))
    done = world.scripts.withdraw(SYSTEM_ID)
    assert (done.quote_ids, done.more, done.live_makers) == (["AAA-1"], False, [])
    assert world.reserved() == (0, 0)
    assert world.quote_lots() is None
    assert world.ranked("expiry") == {}
    held = world.hash("reservation:*", "AAA")
    assert (held["state"], held["bid_units"], held["ask_units"]) == ("released", "0", "0")
    active, ended = world.events()
    changed = {"event": "withdrawn", "cause": "stopped", "ts_ms": ended["ts_ms"]}
    assert ended == active | changed
    assert_sound(world)


def test_again_changes_nothing(frozen: World) -> None:
    """After a lost reply the same call finds nothing to do."""
    frozen.propose()
    frozen.scripts.withdraw(SYSTEM_ID)
    before = frozen.dump()
    done = frozen.scripts.withdraw(SYSTEM_ID)
    assert (done.quote_ids, done.more) == ([], False)
    assert frozen.dump() == before


def test_nobody_waits(frozen: World) -> None:
    """The queues are empty, with or without a quote, and what waited wants nothing."""
    frozen.propose("AAA")
    frozen.propose("BBB")
    frozen.propose("CCC")
    assert set(frozen.ranked("waiting:bid")) == set(frozen.ranked("waiting:ask")) == {"BBB", "CCC"}
    frozen.scripts.withdraw(SYSTEM_ID)
    for side in ("bid", "ask"):
        assert frozen.ranked(f"waiting:{side}") == {}
        for name in ("BBB", "CCC"):
            assert frozen.hash("reservation:*", name)[f"{side}_wanted_lots"] == "0"
    assert_sound(frozen)


def test_a_live_maker_keeps_every_quote(frozen: World) -> None:
    """While a maker is heard nothing changes; other processes do not count."""
    frozen.propose()
    frozen.beat("maker-2")
    frozen.beat("maker-1")
    frozen.beat("exchange-1")
    frozen.advance(LIVE_MS)
    before = frozen.dump()
    done = frozen.scripts.withdraw(SYSTEM_ID)
    assert (done.quote_ids, done.more, done.live_makers) == ([], False, ["maker-1", "maker-2"])
    assert frozen.dump() == before
    frozen.advance(1)
    assert frozen.scripts.withdraw(SYSTEM_ID).quote_ids == ["AAA-1"]


def test_an_expired_quote_has_expired(fake: Fake) -> None:
    """At its expiry a quote ends as expired, a millisecond before it as withdrawn."""
    world = World(fake, small_config())
    first = world.propose("AAA")
    fake.advance(1)
    world.propose("BBB")
    fake.set_ms(first.expires_ms)
    assert world.scripts.withdraw(SYSTEM_ID).quote_ids == ["AAA-1", "BBB-1"]
    ends = {event["quote_id"]: event for event in world.events() if event["event"] != "active"}
    assert (ends["AAA-1"]["event"], ends["BBB-1"]["event"]) == ("expired", "withdrawn")
    assert "cause" not in ends["AAA-1"]
    assert world.hash("reservation:*", "AAA")["state"] == "expired"
    assert_sound(world)


@pytest.mark.parametrize("count", [256, 257])
def test_many(fake: Fake, count: int) -> None:
    """A call ends 256 quotes at most, and says whether there may be more."""
    world = World(fake, small_config(count, limit=20 * count))
    for symbol in world.config.symbols:
        world.propose(symbol.name)
    done = world.scripts.withdraw(SYSTEM_ID)
    assert (len(done.quote_ids), done.more) == (256, True)
    rest = world.scripts.withdraw(SYSTEM_ID)
    assert (len(rest.quote_ids), rest.more) == (count - 256, False)
    assert world.reserved() == (0, 0)


def test_many_wait(fake: Fake) -> None:
    """More waiting symbols than a call takes out are left to the next call."""
    world = World(fake, small_config(258, limit=10))
    for symbol in world.config.symbols:
        world.propose(symbol.name)
    assert len(world.ranked("waiting:bid")) == 257
    assert world.scripts.withdraw(SYSTEM_ID).more
    assert len(world.ranked("waiting:bid")) == len(world.ranked("waiting:ask")) == 1
    assert not world.scripts.withdraw(SYSTEM_ID).more
    assert world.ranked("waiting:bid") == world.ranked("waiting:ask") == {}


def test_uncommitted_fills_are_committed_later(frozen: World) -> None:
    """A fill of the withdrawn quote becomes part of the position, and a new quote may follow."""
    frozen.propose()
    frozen.send(frozen.order("buy", 3))
    frozen.scripts.match(10)
    frozen.scripts.withdraw(SYSTEM_ID)
    frozen.scripts.commit(10)
    assert frozen.position()["net_lots"] == -3
    frozen.propose(trigger="expired")
    assert_sound(frozen)


@pytest.mark.parametrize("gone", [False, True])
def test_foreign_system(frozen: World, gone: bool) -> None:
    """Where its system is gone, or another has its place, the caller ends nothing."""
    frozen.propose()
    assert_only_for_its_system(frozen, gone, lambda: frozen.scripts.withdraw(SYSTEM_ID))


def test_damaged(frozen: World) -> None:
    """Without its bounds the configuration is damaged: nothing is written."""
    frozen.propose()
    frozen.client.hdel(frozen.keys.named("config"), "keep_quotes")
    before = frozen.dump()
    with pytest.raises(redis.ResponseError, match="DAMAGED"):
        frozen.scripts.withdraw(SYSTEM_ID)
    assert frozen.dump() == before
