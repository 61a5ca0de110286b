"""place.lua: the gate, the two budgets, the position limit and the activation, in one step."""

from __future__ import annotations

from typing import Any

import pytest
from redis.exceptions import ResponseError

from mm.audit import audit
from mm.errors import ProposalRefused
from mm.market import MAX_INT, REFUSALS
from mm.store import execute
from tests.kit import MakeWorld, World, assert_sound

TTL = 150


def refused(world: World, symbol: str = "AAA", **changes: Any) -> str:
    """The code that refuses the proposal; asserts that it changed no key and names the symbol."""
    before = world.dump()
    with pytest.raises(ProposalRefused) as caught:
        world.propose(symbol, **changes)
    assert world.dump() == before, "a refusal changed a key"
    assert symbol in caught.value.detail
    assert caught.value.code in REFUSALS
    return caught.value.code


def trade_and_commit(world: World, *orders: Any) -> None:
    """Execute the orders and commit their fills."""
    world.trade(*orders)
    world.drain()


class TestOutcomes:
    def test_granted(self, world: World) -> None:
        """A quote that fits is granted in full, reserved, timed and announced."""
        placed = world.propose(bid_lots=7, ask_lots=8)
        assert (placed.outcome, placed.quote_id) == ("granted", "AAA-1")
        assert (placed.bid_lots, placed.ask_lots) == (7, 8)
        quote = world.hash("quote:*", "AAA")
        assert quote == {
            "quote_id": "AAA-1",
            "quote_version": "1",
            "bid_ticks": "99",
            "bid_lots": "7",
            "ask_ticks": "101",
            "ask_lots": "8",
            "bid_size_lots": "7",
            "ask_size_lots": "8",
            "position_version": "0",
            "expires_ms": str(placed.expires_ms),
            "maker_id": "maker-1",
        }
        held = world.hash("reservation:*", "AAA")
        assert (held["bid_units"], held["ask_units"], held["state"]) == ("7", "8", "active")
        assert held["expires_ms"] == str(placed.expires_ms)
        assert world.reserved() == (7, 8)
        assert world.ranked("expiry") == {"AAA": placed.expires_ms}
        assert (world.ranked("waiting:bid"), world.ranked("waiting:ask")) == ({}, {})
        assert_sound(world)

    def test_event(self, world: World) -> None:
        """The event has every field of the contract, as placed and as asked."""
        placed = world.propose(bid_lots=25, ask_lots=3, trigger="bootstrap", maker="m-7")
        (event,) = world.events()
        ts_ms = int(event.pop("ts_ms"))
        assert placed.expires_ms == ts_ms + world.config.quote_ttl_ms
        assert event == {
            "event": "active",
            "symbol": "AAA",
            "quote_id": "AAA-1",
            "quote_version": "1",
            "outcome": "reduced",
            "bid_ticks": "99",
            "bid_lots": "20",
            "ask_ticks": "101",
            "ask_lots": "3",
            "requested_bid_lots": "25",
            "requested_ask_lots": "3",
            "position_version": "0",
            "fill_seq": "0",
            "expires_ms": str(placed.expires_ms),
            "maker_id": "m-7",
            "trigger": "bootstrap",
            "mode": "active",
        }

    def test_real_expiry(self, world: World) -> None:
        """The quote key carries a real expiry at the stored instant."""
        placed = world.propose()
        key = world.keys.member("quote:*", "AAA")
        assert int(execute(world.client, "PEXPIRETIME", key)) == placed.expires_ms

    def test_reduced_each_side(self, world: World) -> None:
        """Each side is reduced to what its own budget leaves."""
        world.propose("AAA", bid_lots=15, ask_lots=3)
        placed = world.propose("BBB")
        assert (placed.outcome, placed.bid_lots, placed.ask_lots) == ("reduced", 5, 10)
        assert world.reserved() == (20, 13)
        assert world.ranked("waiting:bid").keys() == {"BBB"}
        assert world.ranked("waiting:ask") == {}
        assert_sound(world)

    def test_one_side_left(self, world: World) -> None:
        """With one budget used up, the other side is quoted alone."""
        world.propose("AAA", bid_lots=20, ask_lots=0)
        placed = world.propose("BBB")
        assert (placed.outcome, placed.bid_lots, placed.ask_lots) == ("reduced", 0, 10)
        assert world.trade(world.order("sell", symbol="BBB"))[0].reason == "no_quote"
        assert_sound(world)

    def test_one_side_asked(self, world: World) -> None:
        """A maker may ask for one side alone and is then granted in full."""
        placed = world.propose(bid_lots=0, ask_lots=4)
        assert (placed.outcome, placed.bid_lots, placed.ask_lots) == ("granted", 0, 4)
        assert world.reserved() == (0, 4)

    def test_omitted(self, world: World) -> None:
        """Where nothing fits the quote is omitted: nothing is active, and the symbol waits."""
        world.propose("AAA", bid_lots=20, ask_lots=20)
        placed = world.propose("BBB")
        assert (placed.outcome, placed.quote_id, placed.expires_ms) == ("omitted", "BBB-1", 0)
        assert world.quote_lots("BBB") is None
        assert "BBB" not in world.ranked("expiry")
        event = world.events("BBB")[-1]
        assert (event["event"], event["outcome"]) == ("withdrawn", "omitted")
        assert (event["bid_lots"], event["requested_bid_lots"]) == ("0", "10")
        assert world.ranked("waiting:bid").keys() == {"BBB"}
        assert world.ranked("waiting:ask").keys() == {"BBB"}
        assert_sound(world)

    def test_omission_withdraws(self, world: World) -> None:
        """An omission withdraws the old quote and releases its reservation."""
        world.propose("BBB", bid_lots=5, ask_lots=5)
        placed = world.propose("BBB", bid_lots=0, ask_lots=0)
        assert placed.outcome == "omitted"
        assert world.quote_lots("BBB") is None
        assert world.reserved() == (0, 0)
        assert world.hash("reservation:*", "BBB")["state"] == "released"
        assert world.ranked("expiry") == {}
        assert world.trade(world.order(symbol="BBB"))[0].reason == "no_quote"
        assert_sound(world)

    def test_repeated_omission_is_silent(self, world: World) -> None:
        """An omission after an omission makes no version and no event, and keeps its place."""
        world.propose("AAA", bid_lots=20, ask_lots=20)
        first = world.propose("BBB")
        events, place = world.events(), world.ranked("waiting:bid")
        again = world.propose("BBB")
        assert again == first
        assert world.events() == events
        assert world.ranked("waiting:bid") == place
        assert_sound(world)

    def test_served_after_omission(self, world: World) -> None:
        """A symbol that was omitted is quoted as soon as exposure is free, with a new version."""
        world.propose("AAA", bid_lots=20, ask_lots=20)
        world.propose("BBB")
        world.propose("AAA", bid_lots=2, ask_lots=2)
        placed = world.propose("BBB", trigger="capacity")
        assert (placed.outcome, placed.quote_id) == ("granted", "BBB-2")
        assert (world.ranked("waiting:bid"), world.ranked("waiting:ask")) == ({}, {})
        assert_sound(world)

    def test_replace_releases(self, world: World) -> None:
        """A replacement releases the old reservation before it takes its own: full size again."""
        world.propose(bid_lots=20, ask_lots=20)
        placed = world.propose(bid=98, bid_lots=20, ask=102, ask_lots=20)
        assert (placed.outcome, placed.quote_id) == ("granted", "AAA-2")
        assert world.reserved() == (20, 20)
        assert world.hash("quote:*", "AAA")["bid_ticks"] == "98"
        assert_sound(world)

    def test_replace_after_fills(self, world: World) -> None:
        """What was filled is not released twice by the replacement."""
        world.propose("AAA")
        world.propose("BBB")
        trade_and_commit(world, world.order("buy", 4), world.order("sell", 10))
        assert world.propose("AAA").outcome == "granted"
        assert world.reserved() == (20, 20)
        assert_sound(world)

    def test_versions_only_grow(self, world: World) -> None:
        """Grants, reductions, omissions and expiries never give a version out twice."""
        ids = [world.propose().quote_id]
        ids.append(world.propose(bid_lots=30).quote_id)
        ids.append(world.propose(bid_lots=0, ask_lots=0).quote_id)
        ids.append(world.propose().quote_id)
        assert ids == ["AAA-1", "AAA-2", "AAA-3", "AAA-4"]
        assert_sound(world)

    def test_refresh_extends(self, world: World) -> None:
        """A refresh gives a whole lifetime again from its own instant."""
        first = world.propose()
        world.advance(30)
        second = world.propose(trigger="refresh")
        assert second.expires_ms >= first.expires_ms + 30
        assert world.ranked("expiry") == {"AAA": second.expires_ms}


class TestLimit:
    @pytest.mark.parametrize(("stored", "granted"), [(1_000, 20), (6, 6)])
    def test_the_configuration_is_the_limit(self, world: World, stored: int, granted: int) -> None:
        """A limit that a foreign hand writes beside the totals is not above the operator's."""
        world.client.hset(world.keys.named("exposure"), "limit_units", stored)
        assert world.propose(bid_lots=50, ask_lots=50).bid_lots == granted
        assert world.reserved() == (granted, granted)
        assert "exposure limit_units" in str(audit(world.scripts).checks)


class TestPositionLimit:
    def test_clamped_long(self, make_world: MakeWorld) -> None:
        """Near the long limit the bid is clamped, so that its complete fill just reaches it."""
        world = make_world(limit=100, size=10, of_symbol={"position_limit_lots": 12})
        world.propose()
        trade_and_commit(world, world.order("sell", 8))
        placed = world.propose()
        assert (placed.outcome, placed.bid_lots, placed.ask_lots) == ("reduced", 4, 10)
        trade_and_commit(world, world.order("sell", 100))
        assert world.position()["net_lots"] == 12
        placed = world.propose()
        assert (placed.bid_lots, placed.ask_lots) == (0, 10)
        assert_sound(world)

    def test_clamped_short(self, make_world: MakeWorld) -> None:
        """Near the short limit the ask is clamped; the bid may take the whole way back."""
        world = make_world(limit=100, size=10, of_symbol={"position_limit_lots": 12})
        world.propose()
        trade_and_commit(world, world.order("buy", 8))
        placed = world.propose(bid_lots=30, ask_lots=30)
        assert (placed.bid_lots, placed.ask_lots) == (20, 4)
        trade_and_commit(world, world.order("buy", 100))
        assert world.position()["net_lots"] == -12
        assert_sound(world)

    def test_clamped_is_not_waiting(self, make_world: MakeWorld) -> None:
        """What the position limit takes away is not waited for: more exposure would not help."""
        world = make_world(limit=100, size=10, of_symbol={"position_limit_lots": 5})
        placed = world.propose()
        assert (placed.outcome, placed.bid_lots) == ("reduced", 5)
        assert (world.ranked("waiting:bid"), world.ranked("waiting:ask")) == ({}, {})


class TestRefusals:
    @pytest.fixture
    def quoted(self, world: World) -> World:
        """AAA quoted, traded and committed once, so that every version differs from 0."""
        world.propose()
        trade_and_commit(world, world.order("buy", 2))
        return world

    def test_unknown_symbol(self, quoted: World) -> None:
        """A symbol that is not configured is refused."""
        assert refused(quoted, "ZZZ") == "UNKNOWN_SYMBOL"

    def test_halted(self, quoted: World) -> None:
        """A halted symbol gets no quote, and the refusal says why it is halted."""
        execute(quoted.client, "HSET", quoted.keys.member("position:*", "AAA"), "halted", "the why")
        assert refused(quoted) == "HALTED"
        with pytest.raises(ProposalRefused, match="the why"):
            quoted.propose()

    @pytest.mark.parametrize("version", [0, 2])
    def test_stale_position(self, quoted: World, version: int) -> None:
        """A proposal from an older, or an impossible newer, position is refused."""
        assert refused(quoted, position_version=version) == "STALE_POSITION"

    def test_uncommitted_fills(self, quoted: World) -> None:
        """While a fill is emitted and not committed, no quote of that symbol is replaced."""
        quoted.trade(quoted.order("buy", 1))
        assert refused(quoted) == "UNCOMMITTED_FILLS"
        assert quoted.propose("BBB").outcome == "granted"
        quoted.scripts.commit(10)
        assert refused(quoted, position_version=1) == "STALE_POSITION"
        assert quoted.propose().outcome == "granted"

    @pytest.mark.parametrize("version", [0, 2])
    def test_stale_quote(self, quoted: World, version: int) -> None:
        """A proposal that means to replace another quote than the newest is refused."""
        assert refused(quoted, quote_version=version) == "STALE_QUOTE"

    def test_same_proposal_twice(self, quoted: World) -> None:
        """The very same proposal sent again, as after a lost reply, is refused as stale."""
        proposal = quoted.proposal()
        quoted.scripts.place(proposal)
        before = quoted.dump()
        with pytest.raises(ProposalRefused) as caught:
            quoted.scripts.place(proposal)
        assert caught.value.code == "STALE_QUOTE"
        assert quoted.dump() == before

    def test_expired_quote_is_not_forgotten(self, make_world: MakeWorld) -> None:
        """After an expiry a proposal against the version before it is still stale."""
        world = make_world(quote_ttl_ms=TTL, refresh_ms=1)
        world.propose()
        world.propose()
        world.advance(TTL)
        world.scripts.expire()
        assert refused(world, quote_version=1) == "STALE_QUOTE"
        assert world.propose().quote_id == "AAA-3"

    BAD = (
        {"bid": 101, "ask": 101},
        {"bid": 102, "ask": 101},
        {"bid": 0},
        {"bid": -1},
        {"bid": 99.5},
        {"ask": 100.5},
        {"bid": "x"},
        {"bid": ""},
        {"bid_lots": -1},
        {"ask_lots": -1},
        {"bid_lots": 1.5},
        {"bid_lots": "nan"},
        {"ask_lots": "inf"},
        {"ask_lots": "1e3"},
        {"ask_lots": "0x10"},
        {"bid_lots": MAX_INT + 1},
        {"ask": MAX_INT + 1},
        {"ask": MAX_INT},
        {"ask": MAX_INT // 100 + 1},
        {"position_version": -1},
        {"position_version": "nan"},
        {"position_version": "0x1"},
        {"quote_version": -1},
        {"quote_version": "1.0"},
        {"quote_version": ""},
        {"trigger": "fill"},
        {"trigger": ""},
        {"maker": "a b"},
        {"maker": ""},
        {"maker": "m" * 65},
    )

    @pytest.mark.parametrize("changes", BAD, ids=str)
    def test_bad_proposal(self, quoted: World, changes: dict[str, Any]) -> None:
        """Negative, fractional, NaN, crossed and huge values are refused by name."""
        assert refused(quoted, **changes) == "BAD_PROPOSAL"

    def test_largest_price(self, quoted: World) -> None:
        """The largest price whose product with the position limit is exact is accepted."""
        assert quoted.propose(ask=MAX_INT // 100).outcome == "granted"

    def test_huge_size_is_reduced(self, quoted: World) -> None:
        """A huge size is no fault: it is reduced to what fits."""
        placed = quoted.propose(bid_lots=MAX_INT, ask_lots=MAX_INT)
        assert (placed.outcome, placed.bid_lots, placed.ask_lots) == ("reduced", 20, 20)

    def test_others_in_the_pipeline(self, quoted: World) -> None:
        """A refusal among several proposals stands as its own result; the others are placed."""
        results = quoted.scripts.place_many(
            [quoted.proposal("ZZZ"), quoted.proposal("BBB"), quoted.proposal(quote_version=9)]
        )
        assert [getattr(one, "code", None) for one in results] == [
            "UNKNOWN_SYMBOL",
            None,
            "STALE_QUOTE",
        ]
        assert quoted.quote_lots("BBB") == (10, 10)

    @pytest.mark.parametrize("field", ["limit_units", "bid_units", "ask_units"])
    def test_incomplete_exposure(self, quoted: World, field: str) -> None:
        """Without the limit or a total nothing is placed: the error names the key to restore."""
        execute(quoted.client, "HDEL", quoted.keys.named("exposure"), field)
        before = quoted.dump()
        with pytest.raises(ResponseError, match=r"^DAMAGED \{mm\}:exposure "):
            quoted.propose()
        assert quoted.dump() == before
