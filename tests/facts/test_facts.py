"""The facts of a snapshot: plain, exact and stable numbers."""

from __future__ import annotations

import pytest

from mm.facts import (
    active_quotes,
    budgets,
    exposure_facts,
    halts,
    process_rows,
    quotes_facts,
    status_facts,
    symbol_count,
)
from mm.store import take_snapshot
from tests.kit import Fake, World, small_config, symbol_names
from tests.kit.plain import plain


def beat(world: World, name: str, restarts: int = 0) -> None:
    """A heartbeat of a process."""
    world.beat(name, 7, pid=4711, fields={"restarts": str(restarts)})


class TestQuotes:
    def test_facts(self, fake_world: World) -> None:
        """A side that is not quoted has no price, a symbol without a quote has no quote facts."""
        fake_world.propose("AAA", bid=98, ask=101, ask_lots=0)
        fake_world.trade(fake_world.order("sell", 4))
        quoted, empty = plain(quotes_facts(take_snapshot(fake_world.scripts)))
        assert quoted == {
            "symbol": "AAA",
            "active": True,
            "quote_id": "AAA-1",
            "quote_version": 1,
            "position_version": 0,
            "bid": "0.98",
            "bid_ticks": 98,
            "bid_lots": 6,
            "bid_quantity": "6",
            "bid_size_lots": 10,
            "ask": None,
            "ask_ticks": None,
            "ask_lots": 0,
            "ask_quantity": "0",
            "ask_size_lots": 0,
            "expires_ms": fake_world.now_ms() + 30_000,
            "ttl_ms": 30_000,
            "maker_id": "maker-1",
            "outcome": "granted",
            "mode": "active",
            "halted": None,
            "frozen": None,
            "frozen_until_ms": None,
            "retired": False,
        }
        assert {name for name, fact in empty.items() if fact is None} == {
            *("quote_id", "position_version", "bid", "bid_ticks", "ask", "ask_ticks"),
            *("frozen", "frozen_until_ms"),
            *("expires_ms", "ttl_ms", "maker_id", "outcome", "halted"),
        }
        assert (empty["active"], empty["quote_version"], empty["bid_quantity"]) == (False, 0, "0")

    def test_an_expired_quote_is_no_quote(self, fake_world: World) -> None:
        """From the instant of its expiry a quote is neither shown nor counted."""
        fake_world.propose("AAA")
        fake_world.advance(29_999)
        found = take_snapshot(fake_world.scripts)
        assert (quotes_facts(found)[0]["ttl_ms"], active_quotes(found)) == (1, 1)
        fake_world.advance(1)
        found = take_snapshot(fake_world.scripts)
        assert (quotes_facts(found)[0]["active"], active_quotes(found)) == (False, 0)

    def test_halts(self, fake_world: World) -> None:
        """Halted symbols are listed with their reasons."""
        fake_world.client.hset(fake_world.keys.member("position:*", "BBB"), "halted", "a gap")
        assert halts(take_snapshot(fake_world.scripts)) == {"BBB": "a gap"}

    def test_symbols_that_are_cut_from_the_snapshot_count(self, fake: Fake) -> None:
        """Symbols that the snapshot leaves out count, whether they have a quote or not."""
        world = World(fake, small_config(20, limit=150))
        found = take_snapshot(world.scripts, max_symbols=5)
        assert (len(found.symbols), symbol_count(found)) == (5, 20)


class TestExposure:
    def test_facts(self, fake: Fake) -> None:
        """Both budgets have their used and free units and the symbols that wait, in turn."""
        world = World(fake, small_config(3, limit=15))
        for name in symbol_names(3):
            world.propose(name, ask_lots=2)
        found = take_snapshot(world.scripts)
        assert plain(exposure_facts(found)) == {
            "exposure_mode": "lots",
            "currency": None,
            "unit": "1 lot",
            "limit": "15",
            "long": "15",
            "short": "6",
            "long_free": "0",
            "short_free": "9",
            "limit_units": 15,
            "long_units": 15,
            "short_units": 6,
            "long_free_units": 0,
            "short_free_units": 9,
            "waiting_long": ["BBB", "CCC"],
            "waiting_short": [],
            "reservations": [
                {
                    "symbol": name,
                    "quote_id": f"{name}-1",
                    "long_units": long_units,
                    "short_units": 2,
                    "expires_ms": world.now_ms() + 30_000,
                    "long": str(long_units),
                    "short": "2",
                }
                for name, long_units in (("AAA", 10), ("BBB", 5), ("CCC", 0))
            ],
        }
        long, short = budgets(found)
        assert (long.name, long.free_units, long.waiting) == ("long", 0, ("BBB", "CCC"))
        assert (short.name, short.free_units, short.waiting) == ("short", 9, ())

    def test_money(self, fake: Fake) -> None:
        """Notional exposure is shown as exact money with its currency and its unit."""
        config = small_config(1, limit=300_000, mode="notional", of_symbol={"multiplier": 5})
        world = World(fake, config)
        world.propose(bid_lots=10, ask_lots=2)
        facts = exposure_facts(take_snapshot(world.scripts))
        assert (facts["currency"], facts["unit"], facts["limit"]) == ("USD", "0.01 USD", "3000.00")
        assert (facts["long"], facts["short"]) == ("49.50", "10.10")
        assert (facts["long_free"], facts["short_free"]) == ("2950.50", "2989.90")
        assert (facts["long_units"], facts["limit_units"]) == (4950, 300_000)
        reserved = facts["reservations"]
        assert isinstance(reserved, list)
        assert (reserved[0]["long"], reserved[0]["short"]) == ("49.50", "10.10")


class TestProcesses:
    def test_a_process_is_live_for_two_seconds(self, fake_world: World) -> None:
        """A process is live up to 2 s after its heartbeat; a silent one has no rate."""
        beat(fake_world, "exchange-1")
        fake_world.advance(2_000)
        (row,) = process_rows(take_snapshot(fake_world.scripts))
        assert (row.state, row.silent_ms, row.rate_per_s, row.pid) == ("live", 2_000, 0, 4711)
        fake_world.advance(1)
        (row,) = process_rows(take_snapshot(fake_world.scripts))
        assert (row.state, row.silent_ms, row.rate_per_s, row.count) == ("silent", 2_001, None, 7)

    def test_restarts(self, fake_world: World) -> None:
        """The higher of the supervisor's count and the process's own count is shown."""
        beat(fake_world, "exchange-1", restarts=3)
        beat(fake_world, "state-1", restarts=1)
        counts = {"exchange-1": 2, "state-1": 5}
        rows = process_rows(take_snapshot(fake_world.scripts), counts)
        assert [(row.name, row.restarts) for row in rows] == [("exchange-1", 3), ("state-1", 5)]

    def test_unheard_and_order(self, fake_world: World) -> None:
        """A supervised process without a heartbeat is listed; rows follow an order's way."""
        fake_world.admit("publisher-1", "publisher-2")
        for name in ("maker-10", "maker-2", "state-1", "exchange-1"):
            beat(fake_world, name)
        supervised = {"publisher-1": 3, "maker-3": 0}
        rows = process_rows(take_snapshot(fake_world.scripts), supervised)
        expected = ["publisher-1", "exchange-1", "state-1", "maker-2", "maker-3", "maker-10"]
        assert [row.name for row in rows] == expected
        assert (rows[0].state, rows[0].kind, rows[0].restarts) == ("idle", "client", 3)
        assert (rows[4].state, rows[4].kind, rows[4].pid) == ("unheard", "maker", None)

    def test_clients(self, fake_world: World) -> None:
        """A client is listed for an hour after its last order; what was taken of it counts."""
        fake_world.admit("c1", "c2")
        fake_world.send_to_inbox("c1", "o1", "c1 AAA buy 1 1", "o2", "c2 AAA buy 1 1")
        fake_world.scripts.collect(10)

        def found() -> list[tuple[str, str, int, int | None]]:
            rows = process_rows(take_snapshot(fake_world.scripts))
            return [(row.name, row.state, row.count, row.silent_ms) for row in rows]

        assert found() == [("c1", "live", 2, 0)]
        fake_world.advance(2_000)
        assert found() == [("c1", "live", 2, 2_000)]
        fake_world.advance(1)
        assert found() == [("c1", "idle", 2, 2_001)]
        fake_world.advance(3_600_000 - 2_001)
        assert len(found()) == 1
        fake_world.advance(1)
        assert found() == []

    @pytest.mark.parametrize(("name", "lag_ms"), [("exchange-1", 250), ("maker-1", None)])
    def test_lag(self, fake_world: World, name: str, lag_ms: int | None) -> None:
        """A process has the lag of its kind; a maker consumes no stream and has none."""
        fake_world.send(fake_world.order())
        fake_world.advance(250)
        beat(fake_world, name)
        assert process_rows(take_snapshot(fake_world.scripts))[0].lag_ms == lag_ms


def test_status(fake_world: World) -> None:
    """The status counts orders, fills, quotes and stream entries, and lists the processes."""
    fake_world.propose("AAA")
    fake_world.trade(fake_world.order("sell", 4), fake_world.order("sell", 1, limit=1_000))
    fake_world.scripts.commit(10)
    beat(fake_world, "exchange-1")
    found = take_snapshot(fake_world.scripts)
    assert plain(status_facts(found)) == {
        "now_ms": fake_world.now_ms(),
        "partitions": [],
        "nodes": [],
        "symbols": 2,
        "quotes_active": 1,
        "orders": 2,
        "fills_committed": 1,
        "lag_ms": {"exchange": 0, "state": 0},
        "halted": {},
        "modes": [],
        "profit": [
            {
                "realised": "0.00",
                "unrealised": "0.04",
                "total": "0.04",
                "spread": "0.04",
                "inventory": "0.00",
                "currency": "",
            }
        ],
        "exposure": exposure_facts(found),
        "processes": [
            {
                "name": "exchange-1",
                "kind": "exchange",
                "pid": 4711,
                "state": "live",
                "silent_ms": 0,
                "restarts": 0,
                "rate_per_s": 0,
                "count": 7,
                "lag_ms": 0,
            }
        ],
        "streams": {
            "orders": 2,
            "fills": 1,
            "positions": 1,
            "quotes": 1,
            "deadletter": 0,
            "lifecycle": 0,
            "operations": 0,
        },
    }
