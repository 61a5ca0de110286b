"""configure.lua: the configuration changes while the system runs, in one step (R23)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mm.audit import audit
from mm.errors import ProposalRefused, SystemRefused, ValueRefused
from mm.market import INT_FIELDS, Symbol, SymbolChange, config_changes
from mm.market.changes import FIXED
from mm.market.model import SYMBOL_INTS
from mm.store import Operator, require_config
from tests.kit import (
    SYSTEM_ID,
    Fake,
    MakeWorld,
    World,
    assert_only_for_its_system,
    assert_sound,
    make_symbol,
    small_config,
)

ANN = Operator("ann")


@pytest.fixture
def frozen(fake: Fake) -> World:
    """Three symbols that together ask for 30 of 30 lots a side, the clock in the test's hand."""
    return World(fake, small_config(3, limit=30))


def change(world: World, *changes: SymbolChange, version: int | None = None) -> None:
    """Ask the script for these changes, whatever they are."""
    current = require_config(world.scripts).version if version is None else version
    world.scripts.configure(SYSTEM_ID, current, ANN, "a test", changes)


def symbols(world: World, **changes: Any) -> tuple[Symbol, ...]:
    """The symbols of the world, the first of them with these changes."""
    first, *others = require_config(world.scripts).traded
    return (replace(first, **changes), *others)


class TestVersion:
    def test_it_counts_the_changes(self, world: World) -> None:
        """Each change makes the next version, and is an operation with both values."""
        done = world.configure(limit_units=50, refresh_ms=4_000)
        assert (done.version, done.quote_ids) == (2, [])
        stored = world.hash("config")
        assert (stored["config_version"], stored["limit_units"]) == ("2", "50")
        assert world.hash("exposure")["limit_units"] == "50"
        found = require_config(world.scripts)
        assert (found.version, found.limit_units, found.refresh_ms) == (2, 50, 4_000)
        (entry,) = world.stream("operations")
        told = dict(entry[1])
        assert (told["op"], told["symbol"]) == ("config", "*")
        assert (told["who"], told["role"], told["why"]) == ("ann", "operator", "a test")
        assert told["before"] == "config_version=1 limit_units=20 refresh_ms=5000"
        assert told["after"] == "config_version=2 limit_units=50 refresh_ms=4000"
        assert_sound(world)

    def test_a_past_version_changes_nothing(self, world: World) -> None:
        """Of two that start from the same version one is refused, whatever it would change."""
        world.configure(limit_units=50)
        before = world.dump()
        late = SymbolChange("market", "", {"limit_units": ("20", "60")})
        with pytest.raises(SystemRefused, match="changed meanwhile, to version 2"):
            change(world, late, version=1)
        assert world.dump() == before

    def test_a_proposal_names_its_version(self, world: World) -> None:
        """One computed from a past version, or from one that never was, is refused."""
        world.propose("BBB")
        world.configure(quote_ttl_ms=20_000)
        before = world.dump()
        for version in (1, 3):
            with pytest.raises(ProposalRefused) as caught:
                world.propose(config_version=version)
            assert caught.value.code == "STALE_CONFIG"
            assert f"newest 2 proposed {version}" in caught.value.detail
        assert world.dump() == before
        placed = world.propose()
        assert placed.expires_ms - world.now_ms() <= 20_000
        assert world.scripts.survey(["AAA"]).config_version == 2

    def test_a_proposal_names_the_history(self, world: World) -> None:
        """Without replicas there is one, which has no name; any other is refused."""
        assert world.scripts.survey(["AAA"]).history == "-"
        before = world.dump()
        with pytest.raises(ProposalRefused, match="STALE_HISTORY AAA now - proposed f00"):
            world.scripts.place(replace(world.proposal(), history="f00"))
        assert world.dump() == before

    def test_a_system_from_before_has_version_1(self, world: World) -> None:
        """Keys without a version count as version 1, for a proposal and for a change."""
        world.client.hdel(world.keys.named("config"), "config_version")
        assert world.propose(config_version=1).outcome == "granted"
        assert world.scripts.survey(["AAA"]).config_version == 1
        assert world.configure(limit_units=50).version == 2

    def test_makers_follow(self, make_world: MakeWorld) -> None:
        """A maker quotes by the new version at its next look, and new symbols too."""
        world = make_world(2, 100)
        maker = world.maker()
        maker.step()
        assert world.quote_lots("AAA") == (10, 10)
        added = (*symbols(world, size_lots=3), make_symbol("CCC", size_lots=7))
        assert world.configure(symbols=added).quote_ids == ["AAA-1"]
        assert world.quote_lots("AAA") is None
        maker.step()
        maker.step()
        assert world.quote_lots("AAA") == (3, 3)
        assert world.quote_lots("BBB") == (10, 10)
        assert world.quote_lots("CCC") == (7, 7)
        assert world.events("AAA")[1]["cause"] == "config"
        assert_sound(world)


class TestRefusals:
    @pytest.mark.parametrize("gone", [False, True])
    def test_only_for_its_system(self, world: World, gone: bool) -> None:
        """Another system's configuration is not changed, nor that of none."""
        assert_only_for_its_system(
            world, gone, lambda: world.scripts.configure(SYSTEM_ID, 1, ANN, "a test", [])
        )

    @pytest.mark.parametrize(
        ("wrong", "match"),
        [
            (SymbolChange("market", "", {"schema": ("2", "3")}), "schema: it never changes"),
            (SymbolChange("market", "", {"dedup_window_ms": ("1", "2")}), "dedup_window_ms: it"),
            (SymbolChange("alter", "AAA", {"tick": ("0.01", "1")}), "tick: it never changes"),
            (SymbolChange("alter", "AAA", {"fill_seq": ("0", "1")}), "fill_seq: it never"),
            (SymbolChange("market", "", {"limit_units": ("20", "-1")}), "limit_units -1: it must"),
            (SymbolChange("alter", "AAA", {"size_lots": ("1", "x")}), "size_lots x: it must"),
            (SymbolChange("return", "BBB", {"lot": ("1", "2")}), "lot: it never changes"),
            (SymbolChange("alter", "ZZZ", {}), "symbol 'ZZZ'"),
            (SymbolChange("retire", "ZZZ", {}), "symbol 'ZZZ'"),
            (SymbolChange("add", "AAA", {}), "symbol AAA exists already"),
            (SymbolChange("drop", "AAA", {}), "change 'drop': it must be alter"),  # type: ignore[arg-type]  # the script must refuse it
        ],
    )
    def test_nothing_is_written(self, world: World, wrong: SymbolChange, match: str) -> None:
        """An invalid change refuses all that came with it."""
        world.propose()
        good = SymbolChange("alter", "BBB", {"size_lots": ("10", "5")})
        before = world.dump()
        for changes in ((wrong, good), (good, wrong)):
            with pytest.raises((SystemRefused, ValueRefused), match=match):
                change(world, *changes)
        assert world.dump() == before

    @pytest.mark.parametrize("name", ["config", "exposure"])
    def test_damaged(self, world: World, name: str) -> None:
        """Where a field is missing that it must read, it writes nothing."""
        field = {"config": "symbols", "exposure": "bid_units"}[name]
        world.client.hdel(world.keys.named(name), field)
        before = world.dump()
        with pytest.raises(Exception, match=f"DAMAGED {world.keys.named(name)} is missing"):
            world.scripts.configure(SYSTEM_ID, 1, ANN, "a test", [])
        assert world.dump() == before


class TestLimit:
    def test_higher_at_once(self, frozen: World) -> None:
        """Who waits gets the new room at its next proposal."""
        frozen.configure(limit_units=15)
        for name in frozen.names:
            frozen.propose(name)
        assert frozen.reserved() == (15, 15)
        frozen.configure(limit_units=40)
        assert frozen.hash("exposure")["over_until_ms"] == "0"
        survey = frozen.scripts.survey([])
        assert survey.servable == ["BBB", "CCC"]
        frozen.propose("BBB", trigger="capacity")
        assert frozen.reserved() == (20, 20)
        assert_sound(frozen)

    def test_lower_takes_effect_as_quotes_end(self, frozen: World) -> None:
        """No unit is granted beyond it, what stands ends in its time, and the audit says so."""
        for name in frozen.names:
            frozen.propose(name)
            frozen.backend.advance(1_000)
        done = frozen.configure(limit_units=12)
        assert done.quote_ids == []
        exposure = frozen.hash("exposure")
        assert (exposure["over_bid_units"], exposure["over_ask_units"]) == ("30", "30")
        last_expiry = int(frozen.hash("quote:*", "CCC")["expires_ms"])
        assert exposure["over_until_ms"] == str(last_expiry)
        assert_sound(frozen)
        assert frozen.propose("AAA", trigger="refresh").outcome == "omitted"
        assert frozen.reserved() == (20, 20)
        assert_sound(frozen)
        # AAA waits, and nobody passes it.
        assert frozen.propose("BBB", trigger="refresh").outcome == "omitted"
        placed = frozen.propose("AAA", trigger="capacity")
        assert (placed.bid_lots, placed.ask_lots) == (2, 2)
        assert frozen.reserved() == (12, 12)
        frozen.backend.advance(last_expiry - frozen.now_ms() + 1)
        assert_sound(frozen)
        assert frozen.scripts.expire().quote_ids == ["CCC-1"]
        assert frozen.propose("BBB", trigger="capacity").bid_lots == 10
        assert frozen.reserved() == (12, 12)
        assert_sound(frozen)

    @pytest.mark.parametrize("side", ["bid", "ask"])
    def test_a_top_up_keeps_nothing_beyond_it(self, frozen: World, side: str) -> None:
        """A quote placed anew for free exposure does not carry the side beyond the limit on."""
        other = {"bid": "ask", "ask": "bid"}[side]
        frozen.propose("AAA", **{f"{side}_lots": 10, f"{other}_lots": 1})
        frozen.propose("BBB", **{f"{side}_lots": 10, f"{other}_lots": 0})
        frozen.configure(limit_units=11)
        placed = frozen.propose("AAA", trigger="capacity")
        lots = {"bid": placed.bid_lots, "ask": placed.ask_lots}
        assert lots == {side: 1, other: 10}
        assert_sound(frozen)

    @pytest.mark.parametrize("side", ["bid_lots", "ask_lots"])
    def test_within_the_limit_nothing_is_over(self, frozen: World, side: str) -> None:
        """A limit at exactly what is reserved is not above it; one unit less on one side is."""
        frozen.propose("AAA", **({"bid_lots": 9, "ask_lots": 9} | {side: 10}))
        frozen.configure(limit_units=10)
        assert frozen.hash("exposure")["over_until_ms"] == "0"
        frozen.configure(limit_units=9)
        exposure = frozen.hash("exposure")
        assert int(exposure["over_until_ms"]) > frozen.now_ms()
        frozen.configure(limit_units=10)
        assert frozen.hash("exposure")["over_bid_units"] == "0"

    @pytest.mark.parametrize(
        ("field", "value"), [("bid_units", "31"), ("over_until_ms", "1"), ("over_ask_units", "20")]
    )
    def test_the_audit_bounds_what_is_beyond(self, frozen: World, field: str, value: str) -> None:
        """More than was reserved when the limit was lowered, or for longer, is a violation."""
        for name in frozen.names:
            frozen.propose(name)
        frozen.configure(limit_units=12)
        frozen.client.hset(frozen.keys.named("exposure"), field, value)
        broken = {check.name for check in audit(frozen.scripts).checks if not check.ok}
        assert "exposure-bounded" in broken

    def test_what_has_expired_is_not_counted(self, frozen: World) -> None:
        """Quotes whose expiry has passed are ended first: only what stands is beyond the limit."""
        frozen.propose("AAA")
        frozen.backend.advance(frozen.config.quote_ttl_ms)
        assert frozen.configure(limit_units=5).quote_ids == ["AAA-1"]
        assert frozen.hash("exposure")["over_until_ms"] == "0"
        assert frozen.events("AAA")[-1]["event"] == "expired"


class TestFields:
    def test_each_that_may_change(self, frozen: World) -> None:
        """Every field of the market that is not fixed, and of a symbol, becomes what is asked."""
        market = {name: 7 for name in INT_FIELDS if name not in FIXED} | {"quote_ttl_ms": 9}
        of_symbol = {name: 5 for name in (*SYMBOL_INTS, "reference_ticks") if name not in FIXED}
        frozen.configure(symbols=symbols(frozen, **of_symbol), **market)
        stored = frozen.hash("config")
        assert {name: int(stored[name]) for name in market} == market
        assert frozen.hash("exposure")["limit_units"] == "7"
        stored = frozen.hash("terms:*", "AAA")
        assert {name: int(stored[name]) for name in of_symbol} == of_symbol
        told = [dict(entry)["after"] for _, entry in frozen.stream("operations")]
        assert all(f"{name}=7" in told[0].split() for name in market if name != "quote_ttl_ms")
        assert all(f"{name}=5" in told[1].split() for name in of_symbol)

    def test_wherever_it_stands(self, frozen: World) -> None:
        """The limits take effect as the last of several fields too."""
        frozen.propose()
        market = {"keep_orders": ("1", "3"), "keep_quotes": ("1", "3"), "limit_units": ("30", "4")}
        of_symbol = {"size_lots": ("10", "9"), "position_limit_lots": ("100", "50")}
        change(frozen, SymbolChange("market", "", market), SymbolChange("alter", "BBB", of_symbol))
        exposure = frozen.hash("exposure")
        assert (exposure["limit_units"], exposure["over_bid_units"]) == ("4", "10")
        assert frozen.hash("terms:*", "BBB")["widest_limit_lots"] == "100"

    def test_a_mode_stays(self, frozen: World) -> None:
        """What an operator has said of a symbol holds on, whatever else of it changes."""
        frozen.control("halted", "AAA", why="news")
        before = frozen.hash("terms:*", "AAA")
        frozen.configure(symbols=symbols(frozen, size_lots=3))
        assert frozen.hash("terms:*", "AAA") == before | {"size_lots": "3"}


class TestSymbols:
    def test_a_lower_position_limit(self, frozen: World) -> None:
        """The position may be past it, and then only shrinks; the widest limit bounds the past."""
        frozen.propose()
        frozen.trade(frozen.order("sell", 8))
        frozen.drain()
        frozen.propose(trigger="position")
        done = frozen.configure(symbols=symbols(frozen, position_limit_lots=5))
        assert done.quote_ids == ["AAA-2"]
        assert frozen.hash("terms:*", "AAA")["widest_limit_lots"] == "100"
        placed = frozen.propose(trigger="expired")
        assert (placed.bid_lots, placed.ask_lots) == (0, 10)
        assert_sound(frozen)
        frozen.configure(symbols=symbols(frozen, position_limit_lots=200))
        frozen.configure(symbols=symbols(frozen, position_limit_lots=150))
        assert frozen.hash("terms:*", "AAA")["widest_limit_lots"] == "200"

    def test_waits_no_more_for_what_it_wanted(self, frozen: World) -> None:
        """A changed symbol leaves the queues: what it wants follows from its next proposal."""
        frozen.configure(limit_units=12)
        frozen.propose("BBB")
        frozen.propose("AAA")
        assert frozen.scripts.snapshot()["waiting_bid"]
        frozen.configure(symbols=symbols(frozen, size_lots=2))
        found = frozen.scripts.snapshot()
        assert (found["waiting_bid"], found["waiting_ask"]) == ([], [])
        assert frozen.propose(bid_lots=2, ask_lots=2, trigger="expired").outcome == "granted"

    def test_a_new_one(self, frozen: World) -> None:
        """It has all keys of a symbol, and is quoted, traded and committed; before, no order is."""
        early = frozen.trade(frozen.order(symbol="NEW"))[0]
        assert early.reason == "unknown_symbol"
        frozen.configure(symbols=(*frozen.config.symbols, make_symbol("NEW")))
        assert frozen.hash("config")["symbols"] == "AAA BBB CCC NEW"
        assert frozen.hash("position:*", "NEW")["position_version"] == "0"
        frozen.propose("NEW")
        assert frozen.trade(frozen.order("buy", 2, symbol="NEW"))[0].status == "filled"
        frozen.drain()
        assert frozen.position("NEW")["net_lots"] == -2
        told = dict(frozen.stream("operations")[1][1])
        assert (told["op"], told["symbol"], told["before"].split()[0]) == ("add", "NEW", "tick=-")
        assert_sound(frozen)

    def test_retired_while_flat(self, frozen: World) -> None:
        """A flat symbol is closed at once, and nothing but its return lets it trade."""
        frozen.propose("CCC")
        every = frozen.config.symbols
        wanted = replace(frozen.config, symbols=every[:2])
        done = frozen.configure(symbols=every[:2])
        assert done.quote_ids == ["CCC-1"]
        stored = frozen.hash("terms:*", "CCC")
        now = str(frozen.now_ms())
        assert (stored["mode"], stored["retired_ms"], stored["mode_ms"]) == ("halted", now, now)
        assert (stored["mode_why"], stored["mode_who"]) == ("a test", "ann")
        with pytest.raises(ProposalRefused):
            frozen.propose("CCC", trigger="expired")
        for mode in ("active", "reducing", "flattening", "halted"):
            assert frozen.control(mode, "CCC").changes[0].after == "halted"
        assert config_changes(require_config(frozen.scripts), wanted) == []
        assert_sound(frozen)
        frozen.configure(symbols=every)
        stored = frozen.hash("terms:*", "CCC")
        assert ("retired_ms" in stored, stored["mode"]) == (False, "active")
        assert frozen.propose("CCC", trigger="expired").outcome == "granted"
        assert_sound(frozen)

    def test_retired_with_a_position(self, frozen: World) -> None:
        """It is quoted only to shrink, and the commit that makes it flat closes it."""
        frozen.propose("CCC")
        frozen.trade(frozen.order("buy", 4, symbol="CCC"))
        frozen.configure(symbols=frozen.config.symbols[:2])
        assert frozen.hash("terms:*", "CCC")["mode"] == "flattening"
        frozen.drain()
        assert frozen.control("active", "CCC").changes[0].after == "flattening"
        placed = frozen.propose("CCC", trigger="expired")
        assert (placed.bid_lots, placed.ask_lots) == (4, 0)
        frozen.trade(frozen.order("sell", 4, symbol="CCC"))
        frozen.drain()
        assert frozen.mode("CCC") == "halted"
        assert_sound(frozen)

    def test_a_retired_one_that_was_halted_stays_so(self, frozen: World) -> None:
        """Retiring does not let a halted position be traded; resume then flattens it."""
        frozen.propose("CCC")
        frozen.trade(frozen.order("buy", 4, symbol="CCC"))
        frozen.drain()
        frozen.control("halted", "CCC")
        frozen.configure(symbols=frozen.config.symbols[:2])
        assert frozen.mode("CCC") == "halted"
        assert frozen.control("active", "CCC").changes[0].after == "flattening"
        assert_sound(frozen)

    def test_an_expired_quote_has_expired(self, fake: Fake) -> None:
        """Of more expired quotes than one step ends, those of changed symbols have expired too."""
        world = World(fake, small_config(300, limit=3_000))
        for name in world.names:
            world.propose(name)
        fake.advance(world.config.quote_ttl_ms)
        every = require_config(world.scripts).traded
        world.configure(symbols=tuple(replace(one, spread_ticks=4) for one in every))
        ends = [event for event in world.events() if event["event"] != "active"]
        assert {(event["event"], event.get("cause")) for event in ends} == {("expired", None)}
        assert len(ends) == 300
        assert world.reserved() == (0, 0)

    def test_many_at_once(self, fake: Fake) -> None:
        """Hundreds of symbols change in one step, each with its operation."""
        world = World(fake, small_config(300, limit=3_000))
        for name in world.names:
            world.propose(name)
        every = require_config(world.scripts).traded
        done = world.configure(symbols=tuple(replace(one, spread_ticks=4) for one in every))
        assert len(done.quote_ids) == 300
        assert world.reserved() == (0, 0)
        assert len(world.stream("operations")) == 301
        assert_sound(world)
