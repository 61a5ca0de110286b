"""snapshot.lua: everything that a reader needs, at one instant."""

from __future__ import annotations

import pytest

from mm.errors import SystemRefused
from mm.market import Position, Trade
from mm.store import Exposure, QuoteSide, execute, take_snapshot
from tests.kit import MakeWorld, World


class TestSnapshot:
    def test_fresh(self, world: World) -> None:
        """A fresh system has its configuration, empty streams and no lag."""
        taken = take_snapshot(world.scripts, 5)
        assert taken.config == world.config
        assert taken.exposure == Exposure(limit_units=20, bid_units=0, ask_units=0)
        assert list(taken.symbols) == world.names
        assert taken.symbols["AAA"].position == Position()
        assert taken.symbols["AAA"].quote is None
        assert {one.length for one in taken.streams.values()} == {0}
        assert taken.lag_ms == {"exchange": 0, "state": 0}
        assert (taken.fills, taken.events, taken.processes) == ([], [], {})

    def test_in_flight(self, world: World) -> None:
        """A system in flight: quote, reservation, position, ledger, events, queues, processes."""
        world.propose("AAA", bid_lots=20, ask_lots=20)
        world.propose("BBB")
        world.trade(world.order("sell", 3), world.order("buy", 1))
        world.scripts.commit(10)
        world.maker().beat()
        taken = take_snapshot(world.scripts, 10)
        one = taken.symbols["AAA"]
        assert one.fill_seq == 2
        trades = (Trade(3, 99), Trade(-1, 101))
        numbers = (2, -3 * 99 + 101, 2 * 99, 2, 101, 4 * 2, 101, 0)
        assert one.position == Position(*numbers, trades)
        assert one.quote is not None and one.quote.bid == QuoteSide(99, lots=17, size_lots=20)
        assert one.reservation is not None and one.reservation.ask_units == 19
        assert list(taken.expiry) == ["AAA"]
        assert list(taken.waiting_bid) == list(taken.waiting_ask) == ["BBB"]
        assert [fill.fill_id for fill in taken.fills] == ["AAA-2", "AAA-1"]
        assert [event.symbol for event in taken.events] == ["BBB", "AAA"]
        assert taken.processes["maker-1"].kind == "maker"
        assert taken.cursors.exchange_records == 2
        assert taken.streams["orders"].last_id == world.cursor("exchange")

    def test_lag(self, make_world: MakeWorld) -> None:
        """Lag is how long the oldest unprocessed entry has waited, per consumer."""
        world = make_world()
        world.propose()
        world.trade(world.order())
        world.send(world.order())
        world.advance(30)
        taken = take_snapshot(world.scripts)
        assert taken.lag_ms["exchange"] >= 30
        assert taken.lag_ms["state"] >= 30
        world.drain()
        assert take_snapshot(world.scripts).lag_ms == {"exchange": 0, "state": 0}

    def test_limits(self, world: World) -> None:
        """A reader may ask for fewer symbols, and for the newest events only."""
        for _ in range(5):
            world.propose()
        taken = take_snapshot(world.scripts, recent=2, max_symbols=1)
        assert list(taken.symbols) == ["AAA"]
        assert [event.quote_version for event in taken.events] == [5, 4]

    def test_which_symbols_of_many(self, make_world: MakeWorld) -> None:
        """Halted symbols come first, then those that are quoted; those of new fills come beside."""
        world = make_world(symbols=6, limit=1_000, quote_ttl_ms=3_000, refresh_ms=1_000)
        world.propose("CCC")
        world.trade(world.order("sell", symbol="CCC"))
        for name in ("DDD", "EEE"):
            world.propose(name)
        world.client.hset(world.keys.member("position:*", "FFF"), "halted", "a gap")
        taken = take_snapshot(world.scripts, max_symbols=3)
        assert list(taken.symbols) == ["CCC", "DDD", "FFF"]
        assert taken.symbol_names == tuple(world.names)
        world.advance(3_000)
        assert list(take_snapshot(world.scripts, max_symbols=3).symbols) == ["AAA", "BBB", "FFF"]
        taken = take_snapshot(world.scripts, recent=1, max_symbols=3)
        assert list(taken.symbols) == ["AAA", "BBB", "CCC", "FFF"]

    @pytest.mark.parametrize("foreign", [False, True])
    def test_symbols_of_the_newest_fills_only(self, make_world: MakeWorld, foreign: bool) -> None:
        """Beside the first symbols come those of the newest fills that are shown, and no others."""
        world = make_world(symbols=6, limit=1_000)
        for name in world.names:
            world.propose(name)
        world.trade(world.order("sell", symbol="FFF"))
        world.trade(*(world.order("sell", symbol=name) for name in ("BBB", "CCC", "DDD")))
        if foreign:
            execute(world.client, "XADD", world.keys.named("fills"), "*", "ZZZ-1", "x")
        for recent, names in ((2, "CCC DDD"), (3, "BBB CCC DDD"), (4, "BBB CCC DDD FFF")):
            taken = take_snapshot(world.scripts, recent, max_symbols=1)
            assert list(taken.symbols) == ["AAA", *names.split()]

    def test_changes_nothing(self, world: World) -> None:
        """A snapshot changes no key."""
        world.propose()
        world.send(world.order())
        before = world.dump()
        take_snapshot(world.scripts, 10)
        assert world.dump() == before

    def test_no_system(self, make_world: MakeWorld) -> None:
        """A snapshot of a server without a system is refused."""
        with pytest.raises(SystemRefused, match="no system runs"):
            take_snapshot(make_world(setup=False).scripts)

    def test_lost_terms(self, world: World) -> None:
        """A symbol's hash that someone deleted is reported, not a traceback."""
        execute(world.client, "DEL", world.keys.member("terms:*", "AAA"))
        with pytest.raises(SystemRefused, match="AAA"):
            take_snapshot(world.scripts)
