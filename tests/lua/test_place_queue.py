"""place.lua: what it releases, in which unit it counts, and who waits for exposure."""

from __future__ import annotations

from decimal import Decimal

import pytest

from mm.errors import ProposalRefused
from mm.market import Config
from mm.store import execute
from tests.kit import Backend, Fake, MakeWorld, World, assert_sound, make_symbol, small_config

TTL = 150


class TestExpired:
    def test_releases_others(self, make_world: MakeWorld) -> None:
        """Placing first releases what has expired of others, and announces it."""
        world = make_world(quote_ttl_ms=TTL, refresh_ms=1)
        world.propose("AAA", bid_lots=20, ask_lots=20)
        world.advance(TTL)
        placed = world.propose("BBB", bid_lots=20, ask_lots=20)
        assert placed.outcome == "granted"
        assert world.reserved() == (20, 20)
        assert world.hash("reservation:*", "AAA")["state"] == "expired"
        assert [event["event"] for event in world.events("AAA")] == ["active", "expired"]
        assert_sound(world)

    def test_own_expired(self, make_world: MakeWorld) -> None:
        """Its own expired quote is announced as expired before the new one is active."""
        world = make_world(quote_ttl_ms=TTL, refresh_ms=1)
        world.propose(bid_lots=20, ask_lots=20)
        world.advance(TTL)
        world.propose(bid_lots=20, ask_lots=20, trigger="expired")
        found = [(event["event"], event["quote_id"]) for event in world.events()]
        assert found == [("active", "AAA-1"), ("expired", "AAA-1"), ("active", "AAA-2")]
        assert world.reserved() == (20, 20)
        assert_sound(world)

    def test_not_before_its_instant(self, fake: Fake) -> None:
        """A reservation counts up to the last millisecond before its expiry, and not at it."""
        world = World(fake, small_config())
        first = world.propose("AAA", bid_lots=20, ask_lots=20)
        fake.set_ms(first.expires_ms - 1)
        assert world.propose("BBB").outcome == "omitted"
        fake.set_ms(first.expires_ms)
        assert world.propose("BBB").outcome == "granted"

    @pytest.mark.slow
    def test_many_due(self, make_world: MakeWorld) -> None:
        """With 300 expired quotes at once the totals stay exact and nothing is granted twice."""
        ttl, parameters = 2000, {"position_limit_lots": 999}
        world = make_world(301, 300, 1, of_symbol=parameters, quote_ttl_ms=ttl, refresh_ms=1)
        world.scripts.place_many([world.proposal(name) for name in world.names[:300]])
        assert world.reserved() == (300, 300)
        world.advance(ttl)
        placed = world.propose(world.names[300], bid_lots=300, ask_lots=300)
        assert (placed.bid_lots, placed.ask_lots) == (256, 256)
        assert world.reserved() == (300, 300)
        assert world.scripts.expire().more is False
        assert world.reserved() == (256, 256)
        assert_sound(world)

    def test_lost_announcement(self, make_world: MakeWorld) -> None:
        """Without the event of its placement an expired quote is still released and announced."""
        world = make_world(quote_ttl_ms=TTL, refresh_ms=1)
        world.propose()
        execute(world.client, "DEL", world.keys.named("quotes"))
        world.advance(TTL)
        assert world.scripts.expire().quote_ids == ["AAA-1"]
        (event,) = world.events()
        assert (event["event"], event["quote_id"]) == ("expired", "AAA-1")


class TestNotional:
    def test_units(self, make_world: MakeWorld) -> None:
        """A unit is price x lots x multiplier; a side is reduced to whole lots that fit."""
        world = make_world(mode="notional", limit=1000, of_symbol={"multiplier": 2})
        placed = world.propose()
        assert (placed.outcome, placed.bid_lots, placed.ask_lots) == ("reduced", 5, 4)
        assert world.reserved() == (5 * 99 * 2, 4 * 101 * 2)
        assert_sound(world)

    def test_money(self, backend: Backend) -> None:
        """Symbols with other ticks, lots and multipliers share one budget of exact money."""
        share = make_symbol("AAPL", reference_ticks=18_750)
        future = make_symbol("ES", tick=Decimal("0.25"), reference_ticks=20_000, multiplier=50)
        world = World(backend, Config.notional([share, future], Decimal(260_000), "USD"))
        assert world.propose("AAPL", bid=18_750, ask=18_760).outcome == "granted"
        # A lot of ES at 5,000.00 is 250,000 dollars. 8,125 are left: not one lot more.
        placed = world.propose("ES", bid=20_000, ask=20_001)
        assert (placed.bid_lots, placed.ask_lots) == (1, 1)
        long, short = world.reserved()
        assert (long, short) == (187_500 + 25_000_000, 187_600 + 25_001_250)
        world.trade(world.order("sell", 4, symbol="AAPL"), world.order("buy", 1, 20_001, "ES"))
        assert world.reserved() == (long - 4 * 18_750, short - 25_001_250)
        world.drain()
        assert_sound(world)

    def test_not_one_lot_fits(self, make_world: MakeWorld) -> None:
        """Less than one lot's units left is nothing: the side waits."""
        world = make_world(mode="notional", limit=1000)
        world.propose("AAA", bid=100, bid_lots=9, ask_lots=0)
        placed = world.propose("BBB", bid=101, bid_lots=1, ask=102, ask_lots=0)
        assert placed.outcome == "omitted"
        assert world.ranked("waiting:bid").keys() == {"BBB"}

    def test_price_above_the_limit(self, make_world: MakeWorld) -> None:
        """A lot that costs more than the whole limit is omitted and does not wait for ever."""
        world = make_world(mode="notional", limit=1000)
        placed = world.propose(bid=2000, ask=2001)
        assert placed.outcome == "omitted"
        assert (world.ranked("waiting:bid"), world.ranked("waiting:ask")) == ({}, {})

    def test_replaced_at_another_price(self, make_world: MakeWorld) -> None:
        """A replacement releases at the old price and reserves at the new one."""
        world = make_world(mode="notional", limit=10_000)
        world.propose()
        world.propose(bid=49, ask=51)
        assert world.reserved() == (490, 510)
        assert_sound(world)


class TestQueue:
    def fill_up(self, world: World) -> None:
        """AAA takes everything; BBB, CCC and DDD begin to wait in this order."""
        world.propose("AAA", bid_lots=20, ask_lots=20)
        for name in ("BBB", "CCC", "DDD"):
            assert world.propose(name).outcome == "omitted"

    def test_order_of_arrival(self, make_world: MakeWorld) -> None:
        """Symbols wait in the order in which they began to, on both sides."""
        world = make_world(symbols=4)
        self.fill_up(world)
        assert list(world.ranked("waiting:bid")) == ["BBB", "CCC", "DDD"]
        assert list(world.ranked("waiting:ask")) == ["BBB", "CCC", "DDD"]

    def test_asking_again_keeps_the_place(self, make_world: MakeWorld) -> None:
        """Asking again in vain neither improves nor loses a place."""
        world = make_world(symbols=4)
        self.fill_up(world)
        world.propose("DDD")
        world.propose("BBB")
        assert list(world.ranked("waiting:bid")) == ["BBB", "CCC", "DDD"]

    def test_nobody_passes(self, make_world: MakeWorld) -> None:
        """What is freed is set aside for those that wait longest, also when another asks first."""
        world = make_world(symbols=5)
        self.fill_up(world)
        world.propose("AAA", bid_lots=5, ask_lots=5, trigger="capacity")
        assert world.propose("EEE").outcome == "omitted"
        assert world.propose("DDD", trigger="capacity").outcome == "omitted"
        third = world.propose("CCC", trigger="capacity")
        assert (third.bid_lots, third.ask_lots) == (5, 5)
        assert world.propose("BBB", trigger="capacity").outcome == "granted"
        assert list(world.ranked("waiting:bid")) == ["DDD", "EEE", "CCC"]
        assert_sound(world)

    def test_holder_yields_at_refresh(self, make_world: MakeWorld) -> None:
        """A refresh gets only what those who wait leave over, and then waits behind them."""
        world = make_world(symbols=4)
        self.fill_up(world)
        placed = world.propose("AAA", bid_lots=20, ask_lots=20, trigger="refresh")
        assert placed.outcome == "omitted"
        assert list(world.ranked("waiting:bid")) == ["BBB", "CCC", "DDD", "AAA"]
        assert [world.propose(name).outcome for name in ("BBB", "CCC", "DDD")] == [
            "granted",
            "granted",
            "omitted",
        ]

    def test_served_in_part_goes_to_the_end(self, make_world: MakeWorld) -> None:
        """A symbol that gets a part has been served, and waits for the rest behind the others."""
        world = make_world(symbols=4)
        self.fill_up(world)
        world.propose("AAA", bid_lots=16, ask_lots=20, trigger="capacity")
        placed = world.propose("BBB", trigger="capacity")
        assert (placed.bid_lots, placed.ask_lots) == (4, 0)
        assert list(world.ranked("waiting:bid")) == ["CCC", "DDD", "BBB"]
        assert list(world.ranked("waiting:ask"))[:1] == ["BBB"]

    def test_top_up_keeps_what_it_holds(self, make_world: MakeWorld) -> None:
        """A capacity top-up never gives back what the symbol already holds."""
        world = make_world(symbols=3)
        world.propose("AAA", bid_lots=12, ask_lots=20)
        world.propose("BBB")
        world.propose("CCC")
        assert world.quote_lots("BBB") == (8, 0)
        placed = world.propose("BBB", trigger="capacity")
        assert placed.bid_lots == 8
        assert_sound(world)

    def test_other_triggers_give_way(self, make_world: MakeWorld) -> None:
        """Any other replacement does give way to those who have waited longer."""
        world = make_world(symbols=3)
        world.propose("AAA", bid_lots=12, ask_lots=20)
        world.propose("BBB", ask_lots=0)
        assert world.propose("CCC", bid_lots=6, ask_lots=0).outcome == "omitted"
        assert list(world.ranked("waiting:bid")) == ["BBB", "CCC"]
        world.propose("AAA", bid_lots=0, ask_lots=20)
        placed = world.propose("AAA", bid_lots=20, ask_lots=20, trigger="position")
        # 20 units, less the 8 that BBB holds, the 2 it waits for, and CCC's 6.
        assert placed.bid_lots == 4
        assert_sound(world)

    def test_long_queue(self, fake: Fake) -> None:
        """Every claim of a queue longer than one read is set aside."""
        world = World(fake, small_config(symbols=80, limit=100, size=1))
        world.propose("AAA", bid_lots=100, ask_lots=100)
        for name in world.names[1:79]:
            assert world.propose(name).outcome == "omitted"
        world.propose("AAA", bid_lots=0, ask_lots=0)
        placed = world.propose(world.names[79], bid_lots=100, ask_lots=100)
        assert (placed.bid_lots, placed.ask_lots) == (22, 22)

    def test_expired_waiter_claims_all(self, make_world: MakeWorld) -> None:
        """A waiting symbol whose own quote has expired claims its whole size again."""
        world = make_world(symbols=3, quote_ttl_ms=TTL, refresh_ms=1)
        world.propose("AAA", bid_lots=15, ask_lots=20)
        world.propose("BBB")
        assert world.quote_lots("BBB") == (5, 0)
        world.advance(TTL)
        placed = world.propose("CCC", bid_lots=20, ask_lots=20)
        assert (placed.bid_lots, placed.ask_lots) == (10, 10)
        assert_sound(world)

    def test_reply_of_the_server_text(self, world: World) -> None:
        """A refusal reaches the maker with its code as the first word on every server."""
        with pytest.raises(ProposalRefused) as caught:
            world.propose(position_version=7)
        assert str(caught.value) == "STALE_POSITION AAA committed 0 proposed 7"
