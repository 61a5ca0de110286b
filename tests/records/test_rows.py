"""Fills, orders and quote events as rows: exact values, in order, within bounds."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

import pytest

from mm.market import Fill
from mm.records import Entry, fill_rows, merged, order_rows, quote_rows, sources_of
from mm.store import execute, take_snapshot
from tests.kit import SEEDS, Fake, World, make_symbol, small_config
from tests.kit.partitioned import Partitioned
from tests.kit.past import facts_of, rows_of, trade


class TestFills:
    def test_values(self, world: World) -> None:
        """A row has what the record has, in exact decimals, on each server."""
        trade(world, "AAA", "sell", 4, order_id="o7")
        trade(world, "BBB", "buy", 2, order_id="o8")
        first, second = facts_of(world.scripts, fill_rows)
        assert isinstance(first.pop("time"), int)
        assert first == {
            "fill_id": "AAA-1",
            "symbol": "AAA",
            "side": "sell",
            "quantity": "4",
            "price": "0.99",
            "notional": "3.96",
            "currency": None,
            "spread": "0.02",
            "client_id": "c1",
            "order_id": "o7",
            "quote_id": "AAA-1",
        }
        assert (second["fill_id"], second["notional"]) == ("BBB-1", "2.02")

    def test_bounds(self, fake_world: World) -> None:
        """The first instant belongs to the range, the last one does not; so do only its symbols."""
        for _ in range(3):
            trade(fake_world, "AAA", "sell", 1)
            trade(fake_world, "BBB", "sell", 1)
        times = [one["time"] for one in facts_of(fake_world.scripts, fill_rows)]
        assert all(later - before == 1_000 for before, later in pairwise(times))
        for first in range(6):
            for last in range(first, 6):
                wanted = {"since_ms": times[first], "until_ms": times[last]}
                found = facts_of(fake_world.scripts, fill_rows, **wanted)
                assert [one["time"] for one in found] == times[first:last]
        found = facts_of(fake_world.scripts, fill_rows, symbols=frozenset({"BBB"}))
        assert [one["fill_id"] for one in found] == ["BBB-1", "BBB-2", "BBB-3"]

    def test_a_clock_that_was_set_back(self, fake: Fake) -> None:
        """A record belongs to its own time, wherever in the ledger it stands."""
        world = World(fake, small_config())
        trade(world, "AAA", "sell", 1)
        late = world.now_ms()
        fake.set_ms(late - 3_600_000)
        trade(world, "AAA", "sell", 1)
        found = facts_of(world.scripts, fill_rows, until_ms=late)
        assert [one["fill_id"] for one in found] == ["AAA-2"]
        found = facts_of(world.scripts, fill_rows, since_ms=late)
        assert [one["fill_id"] for one in found] == ["AAA-1"]

    @pytest.mark.parametrize(
        "record",
        [
            ("AAA-2", "rubbish"),
            ("ZZZ-1", "buy 1 1 c o q 1 1"),
            ("AAA-x", "buy 1 1 c o q 1 1"),
            ("AAA-2", "buy 1 1 c o q 999999999999999 1"),
        ],
    )
    def test_foreign_records(self, fake_world: World, record: tuple[str, str]) -> None:
        """What is not a fill of a symbol is left out, and counted."""
        trade(fake_world, "AAA", "sell", 1)
        execute(fake_world.client, "XADD", fake_world.keys.named("fills"), "*", *record)
        rows = rows_of(fake_world.scripts, fill_rows)
        assert len(list(rows.rows)) == 1
        assert rows.left_out == 1

    def test_of_an_earlier_version(self, fake_world: World) -> None:
        """A record without a spread has none."""
        line = f"sell 1 99 c1 o1 AAA-1 {fake_world.now_ms()}"
        execute(fake_world.client, "XADD", fake_world.keys.named("fills"), "*", "AAA-1", line)
        (found,) = facts_of(fake_world.scripts, fill_rows)
        assert (found["spread"], found["price"]) == (None, "0.99")


class TestOrders:
    def test_outcomes(self, world: World) -> None:
        """Each order has the outcome that the exchange remembers; a conflict has its own."""
        trade(world, "AAA", "sell", 4, order_id="o1")
        trade(world, "AAA", "buy", 1, order_id="o2", limit=1)
        world.trade(world.order("sell", 4, order_id="o1", limit=1))
        world.trade(world.order("sell", 5, order_id="o1", limit=1))
        world.send(world.order("sell", 1, order_id="waits"))
        found = facts_of(world.scripts, order_rows)
        kept = ("order_id", "quantity", "status", "reason", "filled_quantity", "price", "fill_id")
        assert [tuple(one[name] for name in kept) for one in found] == [
            ("o1", "4", "filled", None, "4", "0.99", "AAA-1"),
            ("o2", "1", "canceled", "not_crossing", "0", None, None),
            ("o1", "4", "filled", None, "4", "0.99", "AAA-1"),
            ("o1", "5", "rejected", "order_id_conflict", "0", None, None),
            ("waits", "1", None, None, None, None, None),
        ]

    def test_bounds(self, fake_world: World) -> None:
        """By the time at which the exchange took them, and by symbol."""
        sent = [trade(fake_world, name, "sell", 1) for name in ("AAA", "BBB", "AAA", "BBB")]
        times = [one["time"] for one in facts_of(fake_world.scripts, order_rows)]
        found = facts_of(
            fake_world.scripts, order_rows, since_ms=times[1], until_ms=times[3], symbols={"BBB"}
        )
        assert [one["order_id"] for one in found] == [sent[1]]

    def test_what_is_no_order(self, fake_world: World) -> None:
        """Dead letters are left out, and counted."""
        fake_world.send_raw("o1", "c1 ZZZ buy 1 1", "o2", "rubbish", "o3", "c1 AAA buy x 1")
        fake_world.send(fake_world.order("sell", 1))
        rows = rows_of(fake_world.scripts, order_rows)
        assert len(list(rows.rows)) == 1
        assert rows.left_out == 3


class TestQuotes:
    def test_placements_and_ends(self, world: World) -> None:
        """Each event is a row; an end repeats its placement, an omission has its own outcome."""
        world.propose("AAA", bid_lots=7)
        world.control("halted", "AAA")
        placed, ended = facts_of(world.scripts, quote_rows)
        assert (placed["event"], placed["quote_id"], placed["outcome"]) == (
            "active",
            "AAA-1",
            "granted",
        )
        assert (placed["bid_price"], placed["ask_price"]) == ("0.99", "1.01")
        assert (placed["bid_quantity"], placed["requested_ask_quantity"]) == ("7", "10")
        assert placed["expires"] > placed["time"]
        assert (ended["event"], ended["cause"]) == ("withdrawn", "operator_halt")
        same = ("quote_id", "bid_price", "bid_quantity", "expires", "maker_id")
        assert [ended[name] for name in same] == [placed[name] for name in same]

    def test_an_end_without_its_placement(self, fake_world: World) -> None:
        """Once the placement is trimmed its values do not exist."""
        fake_world.propose("AAA")
        execute(fake_world.client, "XTRIM", fake_world.keys.named("quotes"), "MAXLEN", 0)
        fake_world.control("halted", "AAA")
        rows = rows_of(fake_world.scripts, quote_rows)
        (row,) = rows.rows
        found = {
            column.name: value
            for column, value in zip(rows.columns, row, strict=True)
            if value is not None
        }
        assert set(found) == {"time", "event", "symbol", "quote_id", "cause"}

    def test_foreign_entries(self, fake_world: World) -> None:
        """What is no quote event is left out, and counted."""
        key = fake_world.keys.named("quotes")
        execute(fake_world.client, "XADD", key, "*", "event", "active")
        rows = rows_of(fake_world.scripts, quote_rows)
        assert (list(rows.rows), rows.left_out) == ([], 1)


@pytest.mark.parametrize("seed", SEEDS)
def test_partitions(fake: Fake, seed: int) -> None:
    """The records of all partitions are one sequence by time; each partition keeps its order."""
    rng = random.Random(seed)
    made = Partitioned(fake, small_config(4, partitions=2, limit=400))
    for _ in range(4):
        made.round()
    names = [rng.choice(["AAA", "BBB", "CCC", "DDD"]) for _ in range(40)]
    for name in names:
        trade(made.world_of(name), name, rng.choice(["buy", "sell"]), 1, rng.choice([0, 0, 5]))
    for read in (fill_rows, order_rows, quote_rows):
        found = facts_of(made.root.scripts, read)
        times = [one["time"] for one in found]
        assert times == sorted(times)
        assert len({one["symbol"] for one in found}) == 4
        assert found == facts_of(made.root.scripts, read)
        for name in ("AAA", "BBB"):
            alone = facts_of(made.root.scripts, read, symbols=frozenset({name}))
            assert alone == [one for one in found if one["symbol"] == name]
            assert alone == facts_of(made.world_of(name).scripts, read, symbols=frozenset({name}))
    assert len(facts_of(made.root.scripts, fill_rows)) == 40


def test_the_order_of_equal_ids() -> None:
    """The lower partition comes first, and ids compare as numbers."""
    parts = [[("9-1", "a"), ("10-0", "b")], [("9-0", "c"), ("9-1", "d"), ("10-0", "e")]]
    assert "".join(word for _, word in merged(parts, lambda one: one[0])) == "cadbe"


def test_trimmed(make_world: Any) -> None:
    """It is known whether entries of a range are no longer kept."""
    world: World = make_world(2)
    for _ in range(2):
        trade(world, "AAA", "sell", 1, 2)
    before = len(facts_of(world.scripts, quote_rows))
    trade(world, "AAA", "sell", 1, 2)
    # What is kept begins a while after the last that is not: nothing of one instant is cut in two.
    kept = len(facts_of(world.scripts, quote_rows)) - before

    def lacks(since_ms: int = 0) -> bool:
        (source,) = sources_of(world.scripts, take_snapshot(world.scripts))
        return source.lacks("quotes", since_ms)

    assert not lacks()
    execute(world.client, "XTRIM", world.keys.named("quotes"), "MAXLEN", kept)
    first, *_ = facts_of(world.scripts, quote_rows)
    assert lacks() and lacks(first["time"] - 1)
    assert not lacks(first["time"])


def test_an_entry_has_its_records() -> None:
    """Its names with their values, a repeated name as well."""
    entry = Entry("12-3", [b"a", b"1", b"a", b"2"])
    assert (entry.entry_ms, list(entry.records)) == (12, [("a", "1"), ("a", "2")])
    assert Fill.parse("A-B-7", "sell 1 99 c o q 5").symbol == "A-B"


def test_wide_steps_stay_exact(fake: Fake) -> None:
    """Tick and lot of other sizes, and a multiplier: nothing is rounded."""
    config = small_config(1, of_symbol={"tick": make_symbol().tick / 4, "multiplier": 50})
    world = World(fake, config)
    trade(world, "AAA", "sell", 3)
    (found,) = facts_of(world.scripts, fill_rows)
    assert (found["price"], found["notional"]) == ("0.2475", "37.1250")
