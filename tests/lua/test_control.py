"""control.lua: trading modes, which the placing, matching and committing scripts heed (R22)."""

from __future__ import annotations

import pytest
import redis

from mm.errors import ProposalRefused, ValueRefused
from mm.maker import decide
from mm.market import MODES
from mm.store import take_snapshot
from tests.kit import Fake, MakeWorld, World, assert_only_for_its_system, assert_sound, small_config


@pytest.fixture
def frozen(fake: Fake) -> World:
    """Three symbols, room for all quotes, the clock in the test's hand."""
    return World(fake, small_config(3, limit=100))


def hold(world: World, lots: int, symbol: str = "AAA") -> None:
    """Trade and commit until the symbol's net position is this many lots."""
    world.propose(symbol, trigger="position")
    world.trade(world.order("sell" if lots > 0 else "buy", abs(lots), symbol=symbol))
    world.drain()


class TestHalt:
    def test_quote_and_exposure_are_gone_at_once(self, make_world: MakeWorld) -> None:
        """The quote is withdrawn, its units are free, and the stream says who did it."""
        world = make_world()
        world.propose(bid_lots=7, ask_lots=8)
        world.trade(world.order("buy", 3))
        done = world.control("halted", "AAA", why="news at noon")
        assert done.quote_ids == ["AAA-1"]
        (change,) = done.changes
        assert (change.symbol, change.before, change.after) == ("AAA", "active", "halted")
        assert (change.holds, change.halted) == ("halted", "")
        assert world.reserved() == (0, 0)
        assert world.quote_lots() is None
        active, ended = world.events()
        changed = {"event": "withdrawn", "cause": "operator_halt", "ts_ms": ended["ts_ms"]}
        assert ended == active | changed
        stored = world.hash("terms:*", "AAA")
        assert (stored["mode"], stored["mode_why"], stored["mode_who"]) == (
            *("halted", "news at noon", "ann"),
        )
        assert "halted" not in world.hash("position:*", "AAA")
        found = dict(world.stream("operations")[0][1])
        assert found == {
            "op": "mode",
            "symbol": "AAA",
            "who": "ann",
            "role": "operator",
            "why": "news at noon",
            "before": "active",
            "after": "halted",
            "ts_ms": stored["mode_ms"],
        }
        world.drain()
        assert world.position()["net_lots"] == -3
        assert_sound(world)

    def test_nothing_is_quoted_or_traded(self, world: World) -> None:
        """A proposal and an order of the symbol are refused as halted, those of others are not."""
        world.propose("BBB")
        world.control("halted", "AAA")
        before = world.dump()
        with pytest.raises(ProposalRefused) as caught:
            world.propose("AAA")
        assert world.dump() == before
        assert (caught.value.code, "by an operator" in caught.value.detail) == ("HALTED", True)
        mine, other = world.trade(world.order("buy", 1), world.order("buy", 1, symbol="BBB"))
        assert (mine.status, mine.reason, other.status) == ("canceled", "halted", "filled")
        row = world.scripts.survey(["AAA", "BBB"]).rows
        assert (row["AAA"].halted, row["BBB"].halted) == (True, False)
        assert decide(row["AAA"], True, world.now_ms(), 10) is None

    def test_all(self, world: World) -> None:
        """The mode of all symbols ends every quote, and holds for each of them."""
        for name in world.names:
            world.propose(name)
        done = world.control("halted")
        assert set(done.quote_ids) == {f"{name}-1" for name in world.names}
        assert [(one.symbol, one.after) for one in done.changes] == [("*", "halted")]
        assert world.hash("control")["mode"] == "halted"
        assert world.reserved() == (0, 0)
        with pytest.raises(ProposalRefused):
            world.propose("BBB")
        assert world.trade(world.order("buy", 1))[0].reason == "halted"
        assert all(row.halted for row in world.scripts.survey(world.names).rows.values())
        world.control("active")
        world.propose("BBB")
        assert_sound(world)

    @pytest.mark.parametrize("mode_of_all", MODES)
    @pytest.mark.parametrize("mode", MODES)
    def test_the_stricter_one_holds(self, frozen: World, mode_of_all: str, mode: str) -> None:
        """Of the symbol's mode and that of all, whichever is set first."""
        hold(frozen, 4)
        set_first = frozen.control(mode, "AAA").changes[0]
        assert set_first.holds == mode
        if mode_of_all != "flattening":
            frozen.control(mode_of_all)
        else:
            frozen.client.hset(frozen.keys.named("control"), "mode", "flattening")
        holds = max(mode, mode_of_all, key=MODES.index)
        again = frozen.control(mode, "AAA").changes[0].holds
        assert again == (mode if {mode, mode_of_all} == {"reducing", "flattening"} else holds)
        if holds == "halted":
            with pytest.raises(ProposalRefused):
                frozen.propose()
        else:
            placed = frozen.propose()
            expected = (10, 10) if holds == "active" else (0, 4)
            assert (placed.bid_lots, placed.ask_lots) == expected
        assert_sound(frozen)

    def test_an_expired_quote_has_expired(self, frozen: World) -> None:
        """At its expiry a quote ends as expired, without a cause."""
        frozen.propose()
        frozen.backend.advance(frozen.config.quote_ttl_ms)
        frozen.control("halted", "AAA")
        ended = frozen.events()[-1]
        assert (ended["event"], "cause" in ended) == ("expired", False)
        assert_sound(frozen)

    def test_it_waits_no_more(self, fake: Fake) -> None:
        """A halted symbol leaves the queues for exposure; another one that waits stays."""
        world = World(fake, small_config(3, limit=10))
        for name in world.names:
            world.propose(name)
        assert set(world.ranked("waiting:bid")) == {"BBB", "CCC"}
        world.control("halted", "BBB")
        assert set(world.ranked("waiting:bid")) == set(world.ranked("waiting:ask")) == {"CCC"}
        assert_sound(world)

    def test_uncommitted_fills_are_committed_later(self, frozen: World) -> None:
        """What was filled before the halt becomes part of the position, and the symbol resumes."""
        frozen.propose()
        frozen.trade(frozen.order("buy", 3))
        frozen.control("halted", "AAA")
        frozen.drain()
        assert frozen.position()["net_lots"] == -3
        frozen.control("active", "AAA")
        frozen.propose(trigger="expired")
        assert_sound(frozen)


class TestReducing:
    @pytest.mark.parametrize(
        ("net", "lots"), [(4, (0, 4)), (-4, (4, 0)), (1, (0, 1)), (10, (0, 10)), (-10, (10, 0))]
    )
    def test_only_what_shrinks(self, frozen: World, net: int, lots: tuple[int, int]) -> None:
        """The quote has one side, for no more lots than the position has; its event says why."""
        hold(frozen, net)
        done = frozen.control("reducing", "AAA")
        assert done.quote_ids == ["AAA-1"]
        assert frozen.events()[-1]["cause"] == "reducing"
        placed = frozen.propose(trigger="expired")
        assert (placed.outcome, placed.bid_lots, placed.ask_lots) == ("reduced", *lots)
        assert frozen.events()[-1]["mode"] == "reducing"
        assert not frozen.ranked("waiting:bid") and not frozen.ranked("waiting:ask")
        shrinking = frozen.order("buy" if net > 0 else "sell", 100)
        growing = frozen.order("sell" if net > 0 else "buy", 1)
        shrunk, grown = frozen.trade(shrinking, growing)
        assert (shrunk.cum_lots, grown.reason) == (abs(net), "no_quote")
        frozen.drain()
        assert frozen.position()["net_lots"] == 0
        assert_sound(frozen)

    def test_flat(self, frozen: World) -> None:
        """A flat symbol is not quoted, and is quoted again when it is active."""
        hold(frozen, 2)
        frozen.trade(frozen.order("buy", 2))
        frozen.drain()
        frozen.control("reducing", "AAA")
        assert frozen.propose(trigger="expired").outcome == "omitted"
        frozen.control("active", "AAA")
        assert frozen.propose(trigger="expired").outcome == "granted"
        assert frozen.events()[-1]["mode"] == "active"

    def test_to_be_flattened_ends_nothing(self, frozen: World) -> None:
        """A quote that may only shrink the position is what a flattening symbol may have."""
        hold(frozen, 2)
        frozen.control("reducing", "AAA")
        frozen.propose(trigger="expired")
        assert frozen.control("flattening", "AAA").quote_ids == []
        assert frozen.quote_lots() == (0, 2)

    def test_back_to_active_ends_nothing(self, frozen: World) -> None:
        """A quote that may only shrink the position stands until it is replaced."""
        hold(frozen, 2)
        frozen.control("reducing", "AAA")
        frozen.propose(trigger="expired")
        assert frozen.control("active", "AAA").quote_ids == []
        assert frozen.quote_lots() == (0, 2)


class TestFlattening:
    def test_the_commit_that_makes_it_flat_halts_it(self, make_world: MakeWorld) -> None:
        """Until then it is reduced; the step that applies the last fill sets the mode."""
        world = make_world()
        hold(world, 5)
        world.control("flattening", "AAA", why="end of day")
        world.propose(trigger="expired")
        world.trade(world.order("buy", 2))
        world.drain()
        assert world.hash("terms:*", "AAA")["mode"] == "flattening"
        world.propose(trigger="position")
        world.trade(world.order("buy", 9))
        assert world.hash("terms:*", "AAA")["mode"] == "flattening"
        world.advance(5)
        world.drain()
        mode = take_snapshot(world.scripts).symbols["AAA"].control
        assert (mode.mode, mode.why) == ("halted", "end of day")
        assert world.position()["net_lots"] == 0
        assert world.quote_lots() is None
        assert world.reserved() == (0, 0)
        found = dict(world.stream("operations")[-1][1])
        assert (found["role"], found["before"], found["after"]) == ("state", "flattening", "halted")
        assert found["ts_ms"] == world.hash("position:*", "AAA")["flattened_ms"]
        assert int(found["ts_ms"]) == mode.since_ms
        (report,) = world.trade(world.order("buy", 1))
        assert (report.status, report.reason) == ("canceled", "halted")
        with pytest.raises(ProposalRefused, match="HALTED AAA by an operator"):
            world.propose(trigger="expired")
        assert_sound(world)
        # The end of the flattening is over with it: the next one begins anew.
        assert world.control("flattening", "AAA").changes[0].before == "halted"
        (change,) = world.control("active", "AAA").changes
        assert (change.before, change.after, world.mode()) == ("halted", "active", "active")
        world.propose(trigger="expired")
        world.trade(world.order("buy", 2))
        world.drain()
        world.control("flattening", "AAA")
        assert world.mode() == "flattening"
        assert_sound(world)

    def test_flat_already(self, frozen: World) -> None:
        """A flat symbol is halted at once."""
        frozen.propose()
        (change,) = frozen.control("flattening", "AAA").changes
        assert change.after == "halted"
        assert frozen.quote_lots() is None

    def test_flat_but_for_an_uncommitted_fill(self, frozen: World) -> None:
        """The commit decides, not the position before it."""
        frozen.propose()
        frozen.trade(frozen.order("buy", 3))
        (change,) = frozen.control("flattening", "AAA").changes
        assert change.after == "flattening"
        frozen.drain()
        assert frozen.hash("terms:*", "AAA")["mode"] == "flattening"
        placed = frozen.propose(trigger="expired")
        assert (placed.bid_lots, placed.ask_lots) == (3, 0)

    def test_flat_in_the_middle_of_a_step(self, frozen: World) -> None:
        """A position that is flat with fills still to come is not flat yet."""
        hold(frozen, 2)
        frozen.propose(trigger="position")
        frozen.trade(frozen.order("buy", 2))
        frozen.trade(frozen.order("buy", 1))
        frozen.control("flattening", "AAA")
        frozen.scripts.commit(1)
        assert frozen.position()["net_lots"] == 0
        assert frozen.hash("terms:*", "AAA")["mode"] == "flattening"
        frozen.drain()
        assert frozen.hash("terms:*", "AAA")["mode"] == "flattening"

    def test_of_all_is_refused(self, frozen: World) -> None:
        """Each symbol is flat at another time, so each has a mode of its own."""
        before = frozen.dump()
        with pytest.raises(ValueRefused, match="it needs symbols"):
            frozen.control("flattening")
        assert frozen.dump() == before


class TestRefusals:
    @pytest.mark.parametrize("mode", MODES)
    def test_again_changes_nothing(self, frozen: World, mode: str) -> None:
        """A command whose reply was lost may be sent again."""
        hold(frozen, 2)
        frozen.control(mode, "AAA", "BBB")
        before = frozen.dump()
        done = frozen.control(mode, "AAA", "BBB", why="another reason")
        assert frozen.dump() == before
        assert all(one.before == one.after for one in done.changes)

    def test_unknown_symbol(self, frozen: World) -> None:
        """Nothing is changed, of the known symbols either."""
        before = frozen.dump()
        with pytest.raises(ValueRefused, match="ZZZ"):
            frozen.control("halted", "AAA", "ZZZ")
        assert frozen.dump() == before

    def test_unknown_mode(self, frozen: World) -> None:
        """A word that is no mode is refused with those that are."""
        before = frozen.dump()
        with pytest.raises(ValueRefused, match="mode asleep: it must be active, reducing"):
            frozen.control("asleep", "AAA")
        assert frozen.dump() == before

    def test_a_foreign_word_is_as_strict_as_can_be(self, frozen: World) -> None:
        """A mode that another program has written halts the symbol."""
        frozen.propose()
        frozen.client.hset(frozen.keys.member("terms:*", "AAA"), "mode", "asleep")
        assert frozen.trade(frozen.order("buy", 1))[0].reason == "halted"
        with pytest.raises(ProposalRefused):
            frozen.propose()

    def test_an_integrity_halt_is_another_thing(self, frozen: World) -> None:
        """No mode ends it, and the reply says so."""
        frozen.client.hset(frozen.keys.member("position:*", "AAA"), "halted", "a gap")
        (change,) = frozen.control("active", "AAA").changes
        assert change.halted == "a gap"
        with pytest.raises(ProposalRefused, match="a gap"):
            frozen.propose()

    @pytest.mark.parametrize("gone", [False, True])
    def test_foreign_system(self, frozen: World, gone: bool) -> None:
        """Where its system is gone, or another has its place, nothing is changed."""
        frozen.propose()
        assert_only_for_its_system(frozen, gone, lambda: frozen.control("halted"))

    def test_damaged(self, frozen: World) -> None:
        """Without its bounds the configuration is damaged: nothing is written."""
        frozen.propose()
        frozen.client.hdel(frozen.keys.named("config"), "keep_quotes")
        before = frozen.dump()
        with pytest.raises(redis.ResponseError, match="DAMAGED"):
            frozen.control("halted")
        assert frozen.dump() == before
