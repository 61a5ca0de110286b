"""survey.lua: what a maker learns of its symbols, and for which symbols exposure is free."""

from __future__ import annotations

import threading
from unittest.mock import ANY

import pytest

from mm.market import Position, Trade
from mm.store import SurveyRow, execute
from tests.kit import Fake, MakeWorld, Real, World, small_config

TTL = 150


class TestRows:
    def test_fresh(self, world: World) -> None:
        """A symbol that was never quoted has a row of zeros and no quote."""
        survey = world.scripts.survey(["AAA"])
        row = SurveyRow("AAA", 0, 0, False, Position(trades=ANY), False, -1, 0)
        assert survey.rows == {"AAA": row}
        assert list(survey.rows["AAA"].position.trades) == []
        assert survey.servable == []

    def test_quoted_and_traded(self, world: World) -> None:
        """The row tells emitted and committed fills apart, and on what the quote was based."""
        placed = world.propose()
        world.trade(world.order("sell", 4))
        world.scripts.commit(10)
        world.trade(world.order("buy", 1))
        row = world.scripts.survey(["AAA"]).rows["AAA"]
        position = Position(4, -4 * 99, 4 * 99, 1, 99, 4 * 2, 99, 0, ANY)
        assert row == SurveyRow("AAA", 2, 1, False, position, False, 0, placed.expires_ms)
        assert list(row.position.trades) == [Trade(4, 99)]

    def test_expired_is_no_quote(self, make_world: MakeWorld) -> None:
        """A quote past its expiry is no quote, though nobody has announced it."""
        world = make_world(quote_ttl_ms=TTL, refresh_ms=1)
        world.propose()
        execute(world.client, "PERSIST", world.keys.member("quote:*", "AAA"))
        world.advance(TTL)
        row = world.scripts.survey(["AAA"]).rows["AAA"]
        assert (row.quote_version, row.quote_position_version, row.quote_expires_ms) == (1, -1, 0)

    def test_halted(self, world: World) -> None:
        """A halted symbol says so."""
        execute(world.client, "HSET", world.keys.member("position:*", "AAA"), "halted", "why")
        assert world.scripts.survey(["AAA"]).rows["AAA"].halted

    def test_unknown_and_doubled(self, world: World) -> None:
        """An unknown symbol has no row, a doubled one has one."""
        assert list(world.scripts.survey(["ZZZ", "AAA", "AAA"]).rows) == ["AAA"]

    def test_changes_nothing(self, make_world: MakeWorld) -> None:
        """A survey changes no key, also with quotes due to expire."""
        world = make_world(quote_ttl_ms=TTL, refresh_ms=1)
        world.propose()
        world.advance(TTL)
        before = world.dump()
        world.scripts.survey(world.names)
        assert world.dump() == before

    def test_empty_keys(self, make_world: MakeWorld) -> None:
        """Without a system there is nothing to tell, and no error."""
        world = make_world(setup=False)
        survey = world.scripts.survey(["AAA"])
        assert (survey.rows, survey.servable) == ({}, [])


class TestServable:
    @pytest.mark.parametrize("field", ["limit_units", "bid_units", "ask_units"])
    def test_incomplete_exposure(self, make_world: MakeWorld, field: str) -> None:
        """Without the limit or a total no symbol can be served, and the rows are still there."""
        world = self.waiting(make_world)
        world.propose("AAA", bid_lots=5, ask_lots=5, trigger="capacity")
        execute(world.client, "HDEL", world.keys.named("exposure"), field)
        survey = world.scripts.survey(["AAA"])
        assert (survey.servable, list(survey.rows)) == ([], ["AAA"])

    def waiting(self, make_world: MakeWorld) -> World:
        """AAA holds everything; BBB, CCC and DDD wait in this order for 10 lots a side."""
        world = make_world(symbols=4)
        world.propose("AAA", bid_lots=20, ask_lots=20)
        for name in ("BBB", "CCC", "DDD"):
            world.propose(name)
        return world

    def test_nothing_free(self, make_world: MakeWorld) -> None:
        """While nothing is free nobody can be served, and the rows say who waits."""
        world = self.waiting(make_world)
        survey = world.scripts.survey(world.names)
        assert survey.servable == []
        assert [row.waiting for row in survey.rows.values()] == [False, True, True, True]

    def test_in_their_order(self, make_world: MakeWorld) -> None:
        """Those for whom a lot is free are listed in their order, each with a row, asked or not."""
        world = self.waiting(make_world)
        world.propose("AAA", bid_lots=5, ask_lots=5, trigger="capacity")
        survey = world.scripts.survey([])
        assert survey.servable == ["BBB", "CCC"]
        assert list(survey.rows) == ["BBB", "CCC"]

    def test_one_side(self, make_world: MakeWorld) -> None:
        """A free side is enough, either of the two."""
        for taken in ({"bid_lots": 20, "ask_lots": 19}, {"bid_lots": 19, "ask_lots": 20}):
            world = self.waiting(make_world)
            world.propose("AAA", trigger="capacity", **taken)
            assert world.scripts.survey([]).servable == ["BBB"]
            execute(world.client, "FLUSHALL")

    def test_freed_by_a_fill(self, make_world: MakeWorld) -> None:
        """What a fill frees can be served at once."""
        world = self.waiting(make_world)
        world.trade(world.order("buy", 1))
        assert world.scripts.survey([]).servable == ["BBB"]

    @pytest.mark.parametrize("other", ["bid_lots", "ask_lots"])
    def test_freed_by_expiry(self, make_world: MakeWorld, other: str) -> None:
        """What has expired counts as free, on either side, before anyone has released it."""
        world = make_world(symbols=4, quote_ttl_ms=TTL, refresh_ms=1)
        world.propose("AAA", **({"bid_lots": 20, "ask_lots": 20} | {other: 0}))
        world.propose("BBB", **{other: 0})
        world.propose("CCC", **{other: 0})
        world.advance(TTL)
        assert world.scripts.survey([]).servable == ["BBB", "CCC"]

    def test_less_than_a_lot(self, make_world: MakeWorld) -> None:
        """In notional mode units that do not make a lot serve nobody; one lot's units do."""
        world = make_world(mode="notional", limit=1000)
        world.propose("AAA", bid=100, bid_lots=10, ask_lots=0)
        world.propose("BBB", bid=100, bid_lots=2, ask_lots=0)
        world.propose("AAA", bid=99, bid_lots=10, ask_lots=0, trigger="capacity")
        assert world.scripts.survey([]).servable == []
        world.trade(world.order("sell", 1))
        assert world.scripts.survey([]).servable == ["BBB"]

    def test_at_most_64(self, fake: Fake) -> None:
        """One survey lists 64 symbols at most; the next one finds the others."""
        world = World(fake, small_config(symbols=80, limit=100, size=1))
        world.propose("AAA", bid_lots=100, ask_lots=100)
        for name in world.names[1:]:
            world.propose(name)
        world.propose("AAA", bid_lots=0, ask_lots=0)
        assert world.scripts.survey([]).servable == world.names[1:65]


class TestUpdates:
    """A survey after a cursor, of the symbols that position updates name."""

    @pytest.fixture
    def traded(self, make_world: MakeWorld) -> World:
        """Three quoted symbols; BBB has traded and is committed, and then CCC."""
        world = make_world(3, 100)
        for name in world.names:
            world.propose(name)
        for name in ("BBB", "CCC"):
            world.trade(world.order("sell", 1, symbol=name))
            world.scripts.commit(10)
        return world

    def test_only_what_was_updated(self, traded: World) -> None:
        """Rows are those of the named symbols that have updates; without names, of all of these."""
        survey = traded.scripts.survey_updated("0-0", 0, ["AAA", "CCC"])
        assert (list(survey.rows), survey.more) == (["CCC"], False)
        assert survey.rows["CCC"].position_version == 1
        assert list(traded.scripts.survey_updated("0-0", 0, []).rows) == ["BBB", "CCC"]
        assert survey.cursor == traded.stream("positions")[-1][0]

    def test_goes_on_at_the_cursor(self, traded: World) -> None:
        """What was surveyed is not surveyed again, and nothing is left out."""
        first = traded.scripts.survey(["AAA"])
        cursor = first.cursor
        assert not first.more
        assert cursor == traded.stream("positions")[-1][0]
        after = traded.scripts.survey_updated(cursor, 0, traded.names)
        assert (after.rows, after.cursor) == ({}, cursor)
        traded.trade(traded.order("sell", 1, symbol="AAA"))
        traded.scripts.commit(10)
        assert list(traded.scripts.survey_updated(cursor, 0, traded.names).rows) == ["AAA"]

    def test_at_most_so_many_updates(self, traded: World) -> None:
        """A survey that reads as many updates as it may says that there are more."""
        _, rows, _, cursor, more, *_ = traded.scripts.call("survey", "0-0", 1, *traded.names)
        assert ([row[0] for row in rows], more) == ([b"BBB"], 1)
        _, rows, _, _, more, *_ = traded.scripts.call("survey", cursor, 1, *traded.names)
        assert ([row[0] for row in rows], more) == ([b"CCC"], 0)

    def test_an_entry_of_many_symbols(self, make_world: MakeWorld) -> None:
        """Each symbol of one committing step has a row, however many there are."""
        world = make_world(12, 120)
        for name in world.names:
            world.propose(name)
            world.trade(world.order("sell", 1, symbol=name))
        world.scripts.commit(100)
        assert len(world.stream("positions")) == 1
        assert list(world.scripts.survey_updated("0-0", 0, []).rows) == world.names

    def test_without_updates(self, world: World) -> None:
        """Before the first update the cursor is that of an empty stream."""
        assert world.scripts.survey(["AAA"]).cursor == "0-0"
        survey = world.scripts.survey_updated("0-0", 0, ["AAA"])
        assert (survey.rows, survey.cursor, survey.more) == ({}, "0-0", False)

    @pytest.mark.server
    def test_waits(self, real_backend: Real) -> None:
        """It waits for an update, and ends without one after its time."""
        world = World(real_backend, small_config())
        assert world.scripts.survey_updated("0-0", 1, ["AAA"]).rows == {}
        world.propose()
        world.trade(world.order("sell", 1))
        committing = threading.Timer(0.05, world.state().step)
        committing.start()
        assert list(world.scripts.survey_updated("0-0", 20_000, ["AAA"]).rows) == ["AAA"]
        committing.join()
