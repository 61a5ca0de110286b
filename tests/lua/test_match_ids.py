"""match.lua: an id that was used before, for the same order or for another."""

from __future__ import annotations

from typing import Any

import pytest

from mm.store import execute
from tests.kit import MakeWorld, World, assert_sound, outcome


class TestDuplicates:
    def test_same_batch(self, quoted: World) -> None:
        """The same order in two entries of one batch executes once and is answered twice."""
        order = quoted.order("buy", 3)
        quoted.send(order)
        quoted.send(order)
        done = quoted.scripts.match(10)
        assert (done.orders, done.fills, done.duplicates) == (2, 1, 1)
        first, second = quoted.reports()
        assert (first.duplicate, second.duplicate) == (False, True)
        assert (first.cum_lots, first.fill_id) == (second.cum_lots, second.fill_id) == (3, "AAA-1")
        assert_sound(quoted)

    def test_later_batch(self, quoted: World) -> None:
        """The same order in a later batch gets the first outcome again, whatever is quoted."""
        order = quoted.order("buy", 3)
        quoted.trade(order)
        quoted.scripts.commit(10)
        quoted.propose(bid=50, ask=60)
        (again,) = quoted.trade(order)
        assert again.duplicate
        assert (again.cum_lots, again.price_ticks, again.quote_id) == (3, 101, "AAA-1")
        assert len(quoted.fills()) == 1

    def test_same_id_other_client(self, quoted: World) -> None:
        """An order id is unique per client only: two clients may use the same one."""
        first, second = quoted.trade(
            quoted.order("buy", 1, client="c1", order_id="x"),
            quoted.order("buy", 2, client="c2", order_id="x"),
        )
        assert (first.cum_lots, second.cum_lots) == (1, 2)
        assert not second.duplicate

    def test_ids_do_not_run_together(self, quoted: World) -> None:
        """Client and order id are kept apart: c/1 with 2 is another order than c with 1/2."""
        first, second = quoted.trade(
            quoted.order(client="c.1", order_id="2"), quoted.order(client="c", order_id="1.2")
        )
        assert not first.duplicate
        assert not second.duplicate

    def test_rejection_remembered(self, quoted: World) -> None:
        """A malformed order sent again gets its rejection again, marked duplicate."""
        for _ in range(2):
            quoted.send_raw("x", "c1 AAA buy -1 101")
            quoted.scripts.match(10)
        first, again = quoted.reports()
        assert (first.duplicate, again.duplicate) == (False, True)
        assert outcome(first) == outcome(again) == ("rejected", "quantity_not_positive", 0, 0)

    def test_twice_in_one_bulk_entry_batch(self, quoted: World) -> None:
        """Two reports under one name never share an entry, so that a map reader sees both."""
        order = quoted.order()
        quoted.send(order)
        quoted.send(order)
        quoted.scripts.match(10)
        assert [len(records) for _, records in quoted.stream("reports:*", "c1")] == [1, 1]

    def test_across_buckets(self, make_world: MakeWorld) -> None:
        """An order is known for a whole window, also deep in the next bucket."""
        window = 400
        world = make_world(dedup_window_ms=window)
        world.propose()
        # Begin early in a bucket, and come back in the next one.
        world.advance(window - world.now_ms() % window)
        order = world.order("buy", 2)
        world.trade(order)
        world.advance(window - world.now_ms() % window + window // 2)
        (again,) = world.trade(order)
        assert again.duplicate
        assert len([key for key in world.dump() if ":seen:" in key]) >= 1

    def test_forgotten_after_the_window(self, make_world: MakeWorld) -> None:
        """After two windows at most the memory of an order is gone, its key expired by itself."""
        window = 100
        world = make_world(dedup_window_ms=window)
        world.propose()
        order = world.order("buy", 2)
        world.trade(order)
        world.advance(2 * window + 1)
        assert not [key for key in world.dump() if ":seen:" in key]
        (again,) = world.trade(order)
        assert not again.duplicate

    def test_clock_set_back(self, fake_world: World) -> None:
        """A clock set back by more than a window makes no order forgotten and stops nothing."""
        world = fake_world
        world.propose()
        order = world.order("buy", 2)
        world.trade(order)
        world.advance(-3 * world.config.dedup_window_ms)
        assert world.trade(order)[0].duplicate
        assert world.trade(world.order())[0].status == "filled"
        assert_sound(world)


REFUSED = ("rejected", "order_id_conflict", 0, 0)


class TestConflicts:
    @pytest.mark.parametrize(
        "other",
        [
            {"symbol": "BBB"},
            {"side": "sell"},
            {"qty": 6},
            {"limit": 102},
            {"symbol": "ZZZ"},
        ],
    )
    def test_other_content(self, quoted: World, other: dict[str, Any]) -> None:
        """An id used again for an order that differs in a word is refused, and names no fill."""
        same: dict[str, Any] = {
            "side": "buy",
            "qty": 5,
            "limit": 101,
            "symbol": "AAA",
            "order_id": "x",
        }
        quoted.trade(quoted.order(**same))
        before = quoted.dump()
        quoted.send(quoted.order(**same | other))
        done = quoted.scripts.match(10)
        report = quoted.reports()[-1]
        assert outcome(report) == REFUSED
        assert (report.fill_id, report.quote_id, report.duplicate) == ("", "", False)
        assert (done.orders, done.fills, done.duplicates, done.rejected) == (1, 0, 0, 1)
        after = quoted.dump()
        changed = {key.split(":")[1] for key in after if before.get(key) != after[key]}
        assert changed == {"orders", "reports", "deadletter", "cursors"}
        assert_sound(quoted)

    def test_same_batch(self, quoted: World) -> None:
        """The first order of a batch has the id; the other is refused, the first again is not."""
        first, other = quoted.order("buy", 3, order_id="x"), quoted.order("buy", 4, order_id="x")
        for order in (first, other, first, other):
            quoted.send(order)
        done = quoted.scripts.match(10)
        assert (done.fills, done.duplicates, done.rejected) == (1, 1, 2)
        assert [(outcome(one)[2], one.duplicate) for one in quoted.reports()] == [
            (3, False),
            (0, False),
            (3, True),
            (0, False),
        ]
        assert [len(records) for _, records in quoted.stream("reports:*", "c1")] == [1, 1, 1, 1]
        assert_sound(quoted)

    def test_dead_letter(self, quoted: World) -> None:
        """The refused order is kept word for word with its reason."""
        quoted.trade(quoted.order("buy", 3, order_id="x"))
        quoted.trade(quoted.order("sell", 7, 99, order_id="x"))
        ((_, fields),) = quoted.stream("deadletter")
        assert dict(fields)["reason"] == "order_id_conflict"
        assert dict(fields)["raw"] == "x c1 AAA sell 7 99"

    @pytest.mark.parametrize(
        ("first", "second"),
        [
            ("c1 AAA buy -1 101", "c1 AAA buy 1 101"),
            ("c1 AAA buy 1 101", "c1 AAA buy 01 101"),
            ("c1 AAA buy 1 101", "c1 AAA BUY 1 101"),
            ("c1 AAA buy 1 101", "c1 AAA buy 1 101\x00"),
            (f"c1 {'x' * 192}a buy 1 1", f"c1 {'x' * 192}b buy 1 1"),
        ],
    )
    def test_malformed(self, quoted: World, first: str, second: str) -> None:
        """A bad line and an order, or two bad lines, are never the same order."""
        quoted.send_raw("x", first)
        quoted.send_raw("x", second)
        quoted.scripts.match(10)
        assert outcome(quoted.reports()[-1]) == REFUSED

    def test_long_lines(self, quoted: World) -> None:
        """Of a bad line 200 bytes after the client count; a megabyte is not remembered."""
        for end in ("1", "2"):
            quoted.send_raw("x", f"c1 {'x' * 200} buy 1 {end}")
        quoted.send_raw("y", f"c1 {'y' * 1_000_000} buy 1 1")
        quoted.scripts.match(10)
        assert [one.duplicate for one in quoted.reports()] == [False, True, False]
        (bucket,) = [key for key in quoted.dump() if ":seen:" in key]
        value = execute(quoted.client, "HGET", bucket, "c1/y")
        assert value == b"y" * 200 + b" rejected bad_symbol 0 - - -"

    def test_across_buckets(self, fake_world: World) -> None:
        """The id is taken for a whole window, also deep in the next bucket."""
        world = fake_world
        world.propose()
        window = world.config.dedup_window_ms
        world.backend.set_ms(window * (world.now_ms() // window + 1) + 1)  # type: ignore[attr-defined]  # it is the fake
        world.propose()
        world.trade(world.order("buy", 2, order_id="x"))
        world.advance(window + window // 2)
        (report,) = world.trade(world.order("buy", 3, order_id="x"))
        assert outcome(report) == REFUSED

    def test_memory_of_schema_1(self, quoted: World) -> None:
        """An outcome that was remembered without its order counts for every order of its id."""
        quoted.trade(quoted.order("buy", 3, order_id="x"))
        (bucket,) = [key for key in quoted.dump() if ":seen:" in key]
        value = "filled - 3 101 AAA-1 AAA-1"
        execute(quoted.client, "HSET", bucket, "c1/x", value)
        (again,) = quoted.trade(quoted.order("buy", 3, order_id="x"))
        assert (again.duplicate, again.fill_id) == (True, "AAA-1")
        assert_sound(quoted)

    def test_memory(self, quoted: World) -> None:
        """The memory holds the order without its client, and its outcome, as readable words."""
        quoted.trade(quoted.order("buy", 3, 101, order_id="x"))
        (bucket,) = [key for key in quoted.dump() if ":seen:" in key]
        value = execute(quoted.client, "HGET", bucket, "c1/x")
        assert value == b"AAA buy 3 101 filled - 3 101 AAA-1 AAA-1"
