"""The maker: why it quotes, which symbols are its own, and what becomes of late proposals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mm.errors import ProposalRefused
from mm.explain import explain
from mm.facts import Stoppage, stoppages
from mm.maker import decide, owner
from mm.market import LIVE_MS, Placement, Position, Symbol, Trade
from mm.rule import QuoteRule
from mm.store import Survey, SurveyRow, execute, take_snapshot
from tests.kit import MakeWorld, World, assert_sound, market_keys


class TestMakers:
    POSITION = Position(position_version=3, last_price_ticks=100)
    ROW = SurveyRow("AAA", 3, 5, False, POSITION, False, 3, 10_000)

    @pytest.mark.parametrize(
        ("changes", "servable", "trigger"),
        [
            ({}, False, None),
            ({"quote_position_version": 2}, False, "position"),
            ({"quote_expires_ms": 5_000}, False, "refresh"),
            ({"quote_expires_ms": 5_001}, False, None),
            ({"quote_position_version": -1, "quote_expires_ms": 0}, False, "expired"),
            (
                {"quote_position_version": -1, "quote_version": 0, "quote_expires_ms": 0},
                False,
                "bootstrap",
            ),
            ({"waiting": True}, False, None),
            ({"waiting": True}, True, "capacity"),
            ({"waiting": True, "quote_position_version": -1}, False, None),
            ({"waiting": True, "quote_position_version": -1}, True, "capacity"),
            ({"waiting": True, "quote_position_version": 2}, True, "position"),
            ({"fill_seq": 4}, True, None),
            ({"fill_seq": 4, "quote_position_version": -1}, False, None),
            ({"halted": True, "quote_position_version": -1}, True, None),
        ],
    )
    def test_decide(self, changes: dict[str, Any], servable: bool, trigger: str | None) -> None:
        """A quote is placed for one of the contract's reasons only, never while a fill is open."""
        row = replace(self.ROW, **changes)
        assert decide(row, servable, now_ms=0, refresh_ms=5_000) == trigger

    def test_owner(self) -> None:
        """Every symbol has one owner; when a maker dies only its own symbols move."""
        makers = ["maker-1", "maker-2", "maker-3"]
        symbols = [f"S{number}" for number in range(300)]
        before = {symbol: owner(symbol, makers) for symbol in symbols}
        assert set(before.values()) == set(makers)
        for symbol in symbols:
            assert owner(symbol, makers[::-1]) == before[symbol]
            after = owner(symbol, makers[:2])
            assert after == before[symbol] or before[symbol] == "maker-3"

    def test_own_symbols_follow_the_live_makers(self, fake_world: World) -> None:
        """When makers come and go, what each of them quotes is as if it had always been so."""
        maker = fake_world.maker()
        symbols = [f"S{number}" for number in range(60)]
        for live in (["maker-1", "maker-2", "maker-3"], ["maker-1", "maker-3"], ["maker-2"], []):
            maker.peers = live
            makers = sorted({*live, "maker-1"})
            assert maker._mine(symbols) == [
                symbol for symbol in symbols if owner(symbol, makers) == "maker-1"
            ]

    def test_triggers(self, make_world: MakeWorld) -> None:
        """Bootstrap, position, expired and refresh, each from its own cause."""
        world = make_world(quote_ttl_ms=400, refresh_ms=150)
        maker = world.maker()
        maker.step()
        assert [event["trigger"] for event in world.events()] == ["bootstrap", "bootstrap"]
        world.trade(world.order("sell", 2))
        world.drain()
        maker.step()
        assert world.events()[-1]["trigger"] == "position"
        assert world.events()[-1]["position_version"] == "1"
        world.advance(260)
        maker.step()
        assert world.events("AAA")[-1]["trigger"] == "refresh"
        world.advance(400)
        world.scripts.expire()
        maker.step()
        assert world.events("BBB")[-1]["trigger"] == "expired"
        assert_sound(world)

    def test_raw_fill_is_no_trigger(self, world: World) -> None:
        """A fill that is not committed makes no maker move."""
        maker = world.maker()
        maker.step()
        world.trade(world.order())
        before = market_keys(world)
        maker.step()
        maker.step()
        assert market_keys(world) == before

    def test_capacity(self, make_world: MakeWorld) -> None:
        """A symbol that waits is quoted when exposure becomes free."""
        world = make_world(symbols=3)
        maker = world.maker()
        maker.step()
        assert world.quote_lots("CCC") is None
        world.trade(world.order("buy", 4))
        maker.step()
        assert world.quote_lots("CCC") == (0, 4)
        assert world.events("CCC")[-1]["trigger"] == "capacity"

    def test_waiting_first(self, world: World) -> None:
        """Proposals for those who wait come first, in their order, then the others."""
        rows = {name: replace(self.ROW, symbol=name) for name in ("AAA", "BBB")}
        rows["AAA"] = replace(rows["AAA"], quote_position_version=2)
        rows["BBB"] = replace(rows["BBB"], waiting=True)
        found = world.maker().proposals(Survey(0, rows, ["BBB"], "0-0", False, 1, "h"))
        assert {one.history for one in found} == {"h"}
        assert [(one.symbol, one.trigger) for one in found] == [
            ("BBB", "capacity"),
            ("AAA", "position"),
        ]

    def test_share_the_work(self, make_world: MakeWorld) -> None:
        """Two live makers handle each trigger once."""
        world = make_world(symbols=6, limit=100)
        makers = [world.maker("1"), world.maker("2")]
        for maker in (*makers, *makers):
            maker.beat()
        for maker in makers:
            maker.step()
        assert sum(maker.count for maker in makers) == 6
        assert all(maker.count > 0 for maker in makers)
        assert {event["maker_id"] for event in world.events()} == {"maker-1", "maker-2"}

    def test_updates_between_two_surveys(
        self, make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A maker of many symbols hears what was committed while it looked at all of them."""
        monkeypatch.setattr("mm.maker.SURVEY_SYMBOLS", 1)
        world = make_world(symbols=3, limit=100)
        for name in world.names:
            world.propose(name)
        maker = world.maker()
        maker.reconcile_s = 3600.0
        looked: list[str] = []
        act = maker.act

        def act_late(survey: Survey) -> list[Placement | ProposalRefused]:
            looked.extend(survey.rows)
            if looked == ["AAA"]:
                world.trade(world.order("sell", 1, symbol="AAA"))
                world.drain()
            return act(survey)

        monkeypatch.setattr(maker, "act", act_late)
        maker.step()
        assert looked == world.names
        assert world.hash("quote:*", "AAA")["position_version"] == "0"
        maker.step()
        assert world.hash("quote:*", "AAA")["position_version"] == "1"

    def test_many_symbols_of_two_makers(
        self, make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Makers that name no symbols when they wait hear of all, and quote their own alone."""
        monkeypatch.setattr("mm.maker.NAMED_SYMBOLS", 1)
        world = make_world(symbols=6, limit=100)
        makers = [world.maker("1"), world.maker("2")]
        for maker in (*makers, *makers):
            maker.beat()
        for maker in makers:
            maker.reconcile_s = 3600.0
            maker.step()
        owners = {event["symbol"]: event["maker_id"] for event in world.events()}
        world.trade(*[world.order("sell", 1, symbol=name) for name in world.names])
        world.drain()
        for maker in makers:
            maker.step()
        answers = world.events()[6:]
        assert {event["symbol"]: event["maker_id"] for event in answers} == owners
        assert sum(maker.done["STALE_QUOTE"] for maker in makers) == 0

    def test_takeover(self, make_world: MakeWorld) -> None:
        """When a maker's heartbeat goes stale the other takes over its symbols."""
        world = make_world(symbols=6, limit=100)
        dead, alive = world.maker("1"), world.maker("2")
        for maker in (dead, alive, dead):
            maker.beat()
        alive.step()
        assert 0 < len(world.events()) < 6
        world.advance(LIVE_MS + 1)
        alive.beat()
        alive.step()
        assert len(world.events()) == 6
        assert {event["maker_id"] for event in world.events()} == {"maker-2"}

    def test_lost_messages(self, make_world: MakeWorld) -> None:
        """A maker that has missed every message finds its work by looking at the keys."""
        world = make_world()
        maker = world.maker()
        maker.step()
        world.trade(world.order("sell", 2))
        world.drain()
        execute(world.client, "DEL", world.keys.named("positions"), world.keys.named("quotes"))
        maker.step()
        row = world.scripts.survey(["AAA"]).rows["AAA"]
        assert row.quote_position_version == row.position_version == 1

    def test_same_quote_on_any_machine(self, make_world: MakeWorld) -> None:
        """Two makers that look at the same state propose the same prices."""
        world = make_world(of_symbol={"skew_ticks": 7})
        world.maker().step()
        world.trade(world.order("sell", 9))
        world.drain()
        survey = world.scripts.survey(["AAA"])
        first, second = (world.maker(ident).proposals(survey)[0] for ident in "12")
        assert first.prices == second.prices


class TestStaleProposals:
    def fill(self, world: World) -> None:
        world.trade(world.order("buy", 2))

    def commit(self, world: World) -> None:
        self.fill(world)
        world.scripts.commit(10)

    def requote(self, world: World) -> None:
        world.propose("AAA")

    def requote_after_commit(self, world: World) -> None:
        self.commit(world)
        world.propose("AAA")

    def omit(self, world: World) -> None:
        world.propose("AAA", bid_lots=0, ask_lots=0)

    def expire_and_requote(self, world: World) -> None:
        world.advance(world.config.quote_ttl_ms)
        world.scripts.expire()
        world.propose("AAA")

    def halt(self, world: World) -> None:
        execute(world.client, "XADD", world.keys.named("fills"), "*", "AAA-9", "x")
        world.scripts.commit(10)

    @pytest.mark.parametrize(
        ("action", "code"),
        [
            ("fill", "UNCOMMITTED_FILLS"),
            ("commit", "STALE_POSITION"),
            ("requote", "STALE_QUOTE"),
            ("requote_after_commit", "STALE_POSITION"),
            ("omit", "STALE_QUOTE"),
            ("expire_and_requote", "STALE_QUOTE"),
            ("halt", "HALTED"),
        ],
    )
    def test_delayed(self, make_world: MakeWorld, action: str, code: str) -> None:
        """A proposal delayed past any other action is refused by its rule and changes nothing."""
        # Long enough that on a busy machine no other quote expires between the two dumps.
        life_ms = 2_000 if action == "expire_and_requote" else 30_000
        world = make_world(quote_ttl_ms=life_ms, refresh_ms=life_ms - 50)
        world.maker().step()
        world.advance(60)
        survey = world.scripts.survey(["AAA"])
        (stale,) = world.maker().proposals(survey)
        getattr(self, action)(world)
        before = world.dump()
        with pytest.raises(ProposalRefused) as caught:
            world.scripts.place(stale)
        assert caught.value.code == code
        assert world.dump() == before

    def test_zombie(self, make_world: MakeWorld) -> None:
        """A maker that slept past its quote's life and wakes with an old proposal is refused."""
        world = make_world(quote_ttl_ms=300, refresh_ms=250)
        zombie, other = world.maker("1"), world.maker("2")
        zombie.step()
        world.advance(60)
        old = zombie.proposals(world.scripts.survey(world.names))
        assert len(old) == 2
        world.advance(300)
        other.step()
        results = world.scripts.place_many(old)
        assert {getattr(one, "code", "placed") for one in results} == {"STALE_QUOTE"}
        assert {event["maker_id"] for event in world.events()[-2:]} == {"maker-2"}


def picky(position: Position, symbol: Symbol) -> object:
    """A rule that fails for AAA while it is not flat, and wants no quote for CCC."""
    if symbol.name == "CCC":
        return None
    return (98, 4, 102, 4 if position.net_lots == 0 or symbol.name != "AAA" else 1.5)


class TestRules:
    """A maker with a quote rule of somebody's own."""

    def test_a_rule_gets_the_whole_committed_position(self, make_world: MakeWorld) -> None:
        """It sees money, fair price and last trades of exactly the version that it quotes for."""
        seen: list[Position] = []

        def watching(position: Position, symbol: Symbol) -> object:
            seen.append(position)
            return 99, 10, 101, 10

        world = make_world(symbols=1, of_symbol={"fair_weight": 50})
        maker = world.maker()
        maker.rule = QuoteRule("watching", watching)
        maker.step()
        world.trade(world.order("sell", 3), world.order("buy", 1))
        world.drain()
        maker.step()
        cash, cost = -3 * 99 + 101, 2 * 99
        assert replace(seen[-1], trades=()) == Position(2, cash, cost, 2, 101, 4 * 2, 100)
        assert list(seen[-1].trades) == [Trade(3, 99), Trade(-1, 101)]
        assert seen[-1] == replace(
            take_snapshot(world.scripts).symbols["AAA"].position, trades=seen[-1].trades
        )

    def test_a_fault_costs_its_symbol_its_quote(self, make_world: MakeWorld) -> None:
        """The others are quoted on; log, screens and story say so, and it ends by itself."""
        world = make_world(symbols=3, limit=100)
        said: list[str] = []
        maker = world.maker()
        maker.rule, maker.say = QuoteRule("my:picky", picky), said.append
        maker.step()
        assert [world.quote_lots(name) for name in world.names] == [(4, 4), (4, 4), None]
        world.trade(world.order("sell", 2, 98), world.order("sell", 2, 98, symbol="BBB"))
        world.drain()
        for _ in range(3):
            maker.step()
        assert [world.quote_lots(name) for name in world.names] == [None, (4, 4), None]
        assert world.reserved() == (4, 4)
        fault = "it returned ask size 1.5: it must be an integer of lots or an exact Decimal"
        assert said == [f"the quote rule my:picky failed for AAA: {fault}"]
        maker.beat()
        words = [one.words for one in troubles(world)]
        assert words == [f"maker-1: the quote rule my:picky fails for AAA: {fault}"]
        steps = explain(world.scripts, "AAA").steps
        omitted = [step for step in steps if step.kind == "omitted"]
        assert len(omitted) == 1 and "asked for no quote or failed" in omitted[0].text
        maker.peers = next(
            [other]
            for number in range(2, 99)
            if owner("AAA", ["maker-1", other := f"maker-{number}"]) == other
        )
        assert maker.beat_fields()["trouble"] == "-", "another maker's concern"
        maker.peers = []
        assert maker.beat_fields()["trouble"].startswith("the quote rule")
        maker.rule = QuoteRule("my:mended", lambda position, symbol: (98, 4, 102, 4))
        maker.step()
        assert world.quote_lots("AAA") == (4, 4)
        maker.beat()
        assert troubles(world) == []
        assert_sound(world)


def troubles(world: World) -> list[Stoppage]:
    """What live processes say that they cannot do."""
    found = stoppages(take_snapshot(world.scripts))
    return [one for one in found if one.cause.startswith("trouble of")]
