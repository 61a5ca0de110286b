"""expire.lua: what is past its deadline is released and announced, once, by anyone."""

from __future__ import annotations

import pytest

from tests.kit import Fake, MakeWorld, World, assert_sound, small_config

TTL = 150


class TestExpire:
    def test_releases_and_announces(self, make_world: MakeWorld) -> None:
        """An expired quote is gone, its units are free, and the event repeats its placement."""
        world = make_world(quote_ttl_ms=TTL, refresh_ms=1)
        placed = world.propose(bid_lots=7, ask_lots=8)
        world.advance(TTL)
        done = world.scripts.expire()
        assert (done.quote_ids, done.more, done.next_expiry_ms) == (["AAA-1"], False, 0)
        assert world.reserved() == (0, 0)
        assert world.quote_lots() is None
        assert world.ranked("expiry") == {}
        held = world.hash("reservation:*", "AAA")
        assert (held["state"], held["bid_units"], held["ask_units"]) == ("expired", "0", "0")
        active, expired = world.events()
        assert expired == active | {"event": "expired", "ts_ms": str(done.now_ms)}
        assert int(expired["expires_ms"]) == placed.expires_ms <= done.now_ms
        assert_sound(world)

    def test_releases_what_remains(self, make_world: MakeWorld) -> None:
        """After fills only the remaining reservation is released: nothing is freed twice."""
        world = make_world(quote_ttl_ms=400, refresh_ms=1)
        world.propose("AAA", bid_lots=7, ask_lots=8)
        world.trade(world.order("buy", 3), world.order("sell", 7))
        assert world.reserved() == (0, 5)
        world.advance(400)
        world.propose("BBB")
        assert world.reserved() == (10, 10)
        assert_sound(world)

    def test_only_what_is_due(self, fake: Fake) -> None:
        """One quote expires at its instant, not a millisecond earlier; a younger one stays."""
        world = World(fake, small_config())
        first = world.propose("AAA")
        fake.advance(1000)
        second = world.propose("BBB")
        fake.set_ms(first.expires_ms - 1)
        before = world.dump()
        assert world.scripts.expire().quote_ids == []
        assert world.dump() == before
        fake.set_ms(first.expires_ms)
        done = world.scripts.expire()
        assert (done.quote_ids, done.next_expiry_ms) == (["AAA-1"], second.expires_ms)
        assert world.reserved() == (10, 10)
        assert_sound(world)

    def test_in_order(self, fake: Fake) -> None:
        """Several due quotes are announced in the order of their deadlines."""
        world = World(fake, small_config(symbols=3, limit=30))
        for name in ("CCC", "AAA", "BBB"):
            world.propose(name)
            fake.advance(10)
        fake.advance(world.config.quote_ttl_ms)
        assert world.scripts.expire().quote_ids == ["CCC-1", "AAA-1", "BBB-1"]

    def test_twice(self, make_world: MakeWorld) -> None:
        """Running it again changes no key."""
        world = make_world(quote_ttl_ms=TTL, refresh_ms=1)
        world.propose()
        world.advance(TTL)
        world.scripts.expire()
        before = world.dump()
        assert world.scripts.expire().quote_ids == []
        assert world.dump() == before

    def test_nothing_to_do(self, world: World) -> None:
        """Without quotes it does nothing and says so."""
        before = world.dump()
        done = world.scripts.expire()
        assert (done.quote_ids, done.more, done.next_expiry_ms) == ([], False, 0)
        assert world.dump() == before

    @pytest.mark.slow
    def test_many(self, fake: Fake) -> None:
        """More than one call's worth is released call by call, the totals exact after each."""
        world = World(fake, small_config(symbols=300, limit=300, size=1))
        world.scripts.place_many([world.proposal(name) for name in world.names])
        fake.advance(world.config.quote_ttl_ms)
        first = world.scripts.expire()
        assert (len(first.quote_ids), first.more) == (256, True)
        assert world.reserved() == (44, 44)
        assert_sound(world)
        second = world.scripts.expire()
        assert (len(second.quote_ids), second.more) == (44, False)
        assert world.reserved() == (0, 0)

    def test_quote_events_bounded(self, make_world: MakeWorld) -> None:
        """The stream of quote events does not grow without end."""
        world = make_world(keep_quotes=5)
        for _ in range(300):
            world.propose()
        assert len(world.stream("quotes")) <= 5 + 200

    def test_clock_set_back(self, fake: Fake) -> None:
        """With the clock set back a quote lives on to its deadline, sound all the while."""
        world = World(fake, small_config())
        placed = world.propose()
        fake.advance(-120_000)
        assert world.scripts.expire().quote_ids == []
        assert world.trade(world.order())[0].status == "filled"
        world.drain()
        assert world.propose().expires_ms < placed.expires_ms
        assert_sound(world)

    def test_clock_set_forward(self, fake: Fake) -> None:
        """With the clock set forward every quote expires at once, and can be placed again."""
        world = World(fake, small_config())
        world.propose()
        fake.advance(600_000)
        assert world.trade(world.order())[0].cum_lots == 0
        assert world.scripts.expire().quote_ids == ["AAA-1"]
        assert world.propose(trigger="expired").outcome == "granted"
        assert_sound(world)
