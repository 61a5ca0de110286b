"""match.lua: each outcome of an order, and all that one atomic step moves together."""

from __future__ import annotations

from typing import Any

import pytest

from mm.market import Order, Report
from mm.store import execute
from tests.kit import MakeWorld, World, assert_sound

TTL = 150


@pytest.fixture
def quoted(world: World) -> World:
    """A world with 10 lots quoted at 99 x 101 in both symbols."""
    world.propose("AAA")
    world.propose("BBB")
    return world


def outcome(report: Report) -> tuple[Any, ...]:
    """What an order came to, without the ids and the time."""
    return report.status, report.reason, report.cum_lots, report.price_ticks


class TestOutcomes:
    def test_full_fill_buy(self, quoted: World) -> None:
        """A buy whose limit reaches the ask fills at the ask; the report names fill and quote."""
        (report,) = quoted.trade(quoted.order("buy", 4, 101))
        assert outcome(report) == ("filled", "", 4, 101)
        assert (report.fill_id, report.quote_id, report.duplicate) == ("AAA-1", "AAA-1", False)
        assert quoted.quote_lots() == (10, 6)

    def test_full_fill_sell(self, quoted: World) -> None:
        """A sell whose limit reaches the bid fills at the bid, not at its own limit."""
        (report,) = quoted.trade(quoted.order("sell", 4, 90))
        assert outcome(report) == ("filled", "", 4, 99)
        assert quoted.quote_lots() == (6, 10)

    def test_exactly_the_remaining(self, quoted: World) -> None:
        """An order of exactly the remaining quantity is filled, not partially filled."""
        (report,) = quoted.trade(quoted.order("buy", 10))
        assert outcome(report) == ("filled", "", 10, 101)
        assert quoted.quote_lots() == (10, 0)

    def test_partial_fill(self, quoted: World) -> None:
        """An order larger than what remains fills that, and the rest is cancelled as exhausted."""
        (report,) = quoted.trade(quoted.order("buy", 11))
        assert outcome(report) == ("partially_filled", "exhausted", 10, 101)

    def test_exhausted(self, quoted: World) -> None:
        """An order that finds nothing remaining on its side is cancelled and says so."""
        _, report = quoted.trade(quoted.order("buy", 10), quoted.order("buy", 1))
        assert outcome(report) == ("canceled", "exhausted", 0, 0)
        assert (report.fill_id, report.quote_id) == ("", "AAA-1")

    @pytest.mark.parametrize(("side", "limit"), [("buy", 100), ("sell", 100)])
    def test_not_crossing(self, quoted: World, side: Any, limit: int) -> None:
        """One tick short of the quote's price does not fill."""
        (report,) = quoted.trade(quoted.order(side, 1, limit))
        assert outcome(report) == ("canceled", "not_crossing", 0, 0)

    @pytest.mark.parametrize(("side", "limit"), [("buy", 101), ("sell", 99)])
    def test_touching_crosses(self, quoted: World, side: Any, limit: int) -> None:
        """A limit equal to the quote's price fills."""
        (report,) = quoted.trade(quoted.order(side, 1, limit))
        assert outcome(report) == ("filled", "", 1, limit)

    def test_no_quote(self, world: World) -> None:
        """Without a quote an order is cancelled and names no quote."""
        (report,) = world.trade(world.order())
        assert outcome(report) == ("canceled", "no_quote", 0, 0)
        assert report.quote_id == ""

    def test_one_sided_quote(self, world: World) -> None:
        """A side that is not quoted counts as no quote; the other side still fills."""
        world.propose(ask_lots=0)
        bought, sold = world.trade(world.order("buy"), world.order("sell"))
        assert outcome(bought) == ("canceled", "no_quote", 0, 0)
        assert outcome(sold) == ("filled", "", 1, 99)
        assert_sound(world)

    def test_unknown_symbol(self, quoted: World) -> None:
        """An order for a symbol that is not configured is rejected and kept on the dead letters."""
        (report,) = quoted.trade(quoted.order(symbol="ZZZ"))
        assert outcome(report) == ("rejected", "unknown_symbol", 0, 0)
        ((_, fields),) = quoted.stream("deadletter")
        assert dict(fields)["reason"] == "unknown_symbol"

    def test_halted(self, quoted: World) -> None:
        """A halted symbol fills nothing, though its quote still stands; the others go on."""
        execute(quoted.client, "HSET", quoted.keys.member("position:*", "AAA"), "halted", "why")
        first, other = quoted.trade(quoted.order(), quoted.order(symbol="BBB"))
        assert outcome(first) == ("canceled", "halted", 0, 0)
        assert other.status == "filled"

    def test_reaped_quote(self, make_world: MakeWorld) -> None:
        """A quote past its expiry cannot be executed, whether or not anyone has announced it."""
        world = make_world(quote_ttl_ms=TTL, refresh_ms=1)
        world.propose()
        world.advance(TTL)
        (report,) = world.trade(world.order())
        assert (report.status, report.cum_lots) == ("canceled", 0)
        assert report.reason in ("no_quote", "expired")
        assert world.fills() == []

    def test_unreaped_quote(self, make_world: MakeWorld) -> None:
        """A quote whose key the server has not reaped is refused by its stored expiry alone."""
        world = make_world(quote_ttl_ms=TTL, refresh_ms=1)
        world.propose()
        execute(world.client, "PERSIST", world.keys.member("quote:*", "AAA"))
        world.advance(TTL)
        (report,) = world.trade(world.order())
        assert outcome(report) == ("canceled", "expired", 0, 0)
        assert report.quote_id == "AAA-1"

    def test_last_millisecond(self, fake_world: World) -> None:
        """A quote is good in its last millisecond and dead at its expiry itself."""
        world = fake_world
        placed = world.propose()
        execute(world.client, "PERSIST", world.keys.member("quote:*", "AAA"))
        world.backend.set_ms(placed.expires_ms - 1)  # type: ignore[attr-defined]  # it is the fake
        assert world.trade(world.order())[0].status == "filled"
        world.backend.set_ms(placed.expires_ms)  # type: ignore[attr-defined]  # it is the fake
        assert world.trade(world.order())[0].reason == "expired"


class TestMalformed:
    CASES = (
        ("o1", "c1 aaa buy 1 101", "bad_symbol"),
        ("o1", "c1 AAAAAAAAAAAAAAAAA buy 1 101", "bad_symbol"),
        ("o1", "c1 AAA BUY 1 101", "bad_side"),
        ("o1", "c1 AAA hold 1 101", "bad_side"),
        ("o" * 64, f"{'c' * 64} {'A' * 16} hold 1 101", "bad_side"),
        ("o1", "c1 AAA buy x 101", "quantity_not_integer"),
        ("o1", "c1 AAA buy 1.0 101", "quantity_not_integer"),
        ("o1", "c1 AAA buy 1e3 101", "quantity_not_integer"),
        ("o1", "c1 AAA buy 0x10 101", "quantity_not_integer"),
        ("o1", "c1 AAA buy +1 101", "quantity_not_integer"),
        ("o1", "c1 AAA buy nan 101", "quantity_not_integer"),
        ("o1", "c1 AAA buy inf 101", "quantity_not_integer"),
        ("o1", "c1 AAA buy - 101", "quantity_not_integer"),
        ("o1", "c1 AAA buy 0 101", "quantity_not_positive"),
        ("o1", "c1 AAA buy 00000000000000000000 101", "quantity_not_positive"),
        ("o1", "c1 AAA buy -0 101", "quantity_not_positive"),
        ("o1", "c1 AAA buy -1 101", "quantity_not_positive"),
        ("o1", "c1 AAA buy -99999999999999999999 101", "quantity_not_positive"),
        ("o1", "c1 AAA buy 9007199254740992 101", "quantity_too_large"),
        ("o1", "c1 AAA buy 99999999999999999999 101", "quantity_too_large"),
        ("o1", "c1 AAA buy 00000000000000001 101", "quantity_too_large"),
        ("o1", "c1 AAA buy 1 y", "price_not_integer"),
        ("o1", "c1 AAA buy 1 100.5", "price_not_integer"),
        ("o1", "c1 AAA buy 1 0", "price_not_positive"),
        ("o1", "c1 AAA buy 1 -101", "price_not_positive"),
        ("o1", "c1 AAA buy 1 9007199254740992", "price_too_large"),
    )

    @pytest.mark.parametrize(("name", "line", "reason"), CASES)
    def test_rejected(self, quoted: World, name: str, line: str, reason: str) -> None:
        """Each kind of fault is rejected with its reason, kept verbatim, and changes no quote."""
        before = quoted.dump()
        entry = quoted.send_raw(name, line)
        done = quoted.scripts.match(10)
        assert (done.orders, done.fills, done.rejected, done.cursor) == (1, 0, 1, entry)
        (report,) = quoted.reports(line.split()[0])
        assert (report.order_id, *outcome(report)) == (name, "rejected", reason, 0, 0)
        ((_, fields),) = quoted.stream("deadletter")
        assert dict(fields) == {
            "source": "orders",
            "entry_id": entry,
            "reason": reason,
            "raw": f"{name} {line}",
        }
        after = quoted.dump()
        changed = {key for key in before | after if before.get(key) != after.get(key)}
        assert {key.split(":")[1] for key in changed} <= {
            "orders",
            "reports",
            "deadletter",
            "cursors",
            "seen",
        }

    @pytest.mark.parametrize("name", ["", "o 1", "ö1", "o" * 65, "o/1"])
    def test_bad_order_id(self, quoted: World, name: str) -> None:
        """An order whose id breaks the rule is answered under the name "-"."""
        quoted.send_raw(name, "c1 AAA buy 1 101")
        quoted.scripts.match(10)
        (report,) = quoted.reports("c1")
        assert (report.order_id, report.status, report.reason) == ("-", "rejected", "bad_order_id")

    @pytest.mark.parametrize("client", ["c/1", "ü", "c" * 65, "\x00"])
    def test_bad_client_id(self, quoted: World, client: str) -> None:
        """Without a usable client id there is nobody to answer; the dead letter keeps the order."""
        quoted.send_raw("o1", f"{client} AAA buy 1 101")
        assert quoted.scripts.match(10).rejected == 1
        ((_, fields),) = quoted.stream("deadletter")
        assert dict(fields)["reason"] == "bad_client_id"
        assert not [key for key in quoted.dump() if ":reports:" in key]

    NOT_FIVE_WORDS = (
        "",
        " ",
        "c1",
        "c1 AAA buy 1",
        "c1 AAA buy 1 101 9",
        " c1 AAA buy 1 101",
        "c1  AAA buy 1 101",
        "c1 AAA buy 1 101 ",
        "c1\tAAA buy 1 101",
        "c1 AAA buy 1 101\n",
    )

    @pytest.mark.parametrize("line", NOT_FIVE_WORDS)
    def test_not_five_words(self, quoted: World, line: str) -> None:
        """A line that has not five words is a dead letter: no report, and nothing remembered."""
        entry = quoted.send_raw("o1", line)
        done = quoted.scripts.match(10)
        assert (done.orders, done.fills, done.rejected, done.cursor) == (1, 0, 1, entry)
        ((_, fields),) = quoted.stream("deadletter")
        assert (dict(fields)["reason"], dict(fields)["raw"]) == ("malformed", f"o1 {line}")
        assert not [key for key in quoted.dump() if ":reports:" in key or ":seen:" in key]

    def test_words_given_as_fields(self, quoted: World) -> None:
        """The words of an order given as fields by mistake invent no clients."""
        quoted.send_raw("buy", "5", "AAA", "100")
        assert quoted.scripts.match(10).rejected == 2
        letters = [dict(fields) for _, fields in quoted.stream("deadletter")]
        assert [(one["reason"], one["raw"]) for one in letters] == [
            ("malformed", "buy 5"),
            ("malformed", "AAA 100"),
        ]
        assert not [key for key in quoted.dump() if ":reports:" in key or ":seen:" in key]
        assert_sound(quoted)

    def test_binary_verbatim(self, quoted: World) -> None:
        """Any bytes are kept on the dead-letter stream exactly as they came."""
        rubbish = bytes(range(256))
        quoted.send_raw(b"\xff\x00id", rubbish)
        assert quoted.scripts.match(10).rejected == 1
        ((_, fields),) = execute(quoted.client, "XRANGE", quoted.keys.named("deadletter"), "-", "+")
        assert fields[b"raw"] == b"\xff\x00id " + rubbish

    def test_longest_ids(self, make_world: MakeWorld) -> None:
        """Ids of 64 characters of the whole alphabet are accepted."""
        world = make_world()
        world.propose()
        order = Order("C-._" * 16, "0-._" * 16, "AAA", "buy", 1, 101)
        assert world.trade(order)[0].status == "filled"

    def test_rubbish_between_orders(self, quoted: World) -> None:
        """Rubbish stops nothing: good orders before and after it in the same entry are executed."""
        quoted.send_raw("o1", "c1 AAA buy 1 101", "o2", b"\x00\xff", "o3", "c1 AAA buy 2 101")
        assert quoted.scripts.match(10).fills == 2
        assert [one.cum_lots for one in quoted.reports()] == [1, 2]
        assert_sound(quoted)

    def test_largest_numbers(self, quoted: World) -> None:
        """2^53 - 1 is the largest quantity and price, and is matched exactly."""
        top = 2**53 - 1
        (report,) = quoted.trade(quoted.order("buy", top, top))
        assert outcome(report) == ("partially_filled", "exhausted", 10, 101)


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


class TestSteps:
    def test_order_of_execution(self, make_world: MakeWorld) -> None:
        """Orders execute in stream order, within an entry in field order, over all clients."""
        world = make_world()
        world.propose()
        world.send(world.order("buy", 6, client="a"), world.order("buy", 3, client="b"))
        world.send(world.order("buy", 3, client="a"))
        world.scripts.match(10)
        assert [(fill.client_id, fill.qty_lots) for fill in world.fills()] == [
            ("a", 6),
            ("b", 3),
            ("a", 1),
        ]
        assert [fill.fill_id for fill in world.fills()] == ["AAA-1", "AAA-2", "AAA-3"]

    def test_one_step_moves_everything(self, quoted: World) -> None:
        """Quote, reservation, totals, ledger, reports, sequence and cursor move in one step."""
        quoted.send(quoted.order("buy", 4), quoted.order("sell", 3), quoted.order(symbol="BBB"))
        entry = quoted.send(quoted.order("buy", 2, client="c2"))
        done = quoted.scripts.match(10)
        assert (done.orders, done.fills, done.cursor, done.more) == (4, 4, entry, False)
        assert quoted.quote_lots("AAA") == (7, 4)
        held = quoted.hash("reservation:*", "AAA")
        assert (held["bid_units"], held["ask_units"]) == ("7", "4")
        assert quoted.reserved() == (17, 13)
        assert quoted.hash("symbol:*", "AAA")["fill_seq"] == "3"
        assert quoted.hash("symbol:*", "BBB")["fill_seq"] == "1"
        assert quoted.hash("cursors")["exchange_records"] == "4"
        assert (len(quoted.reports("c1")), len(quoted.reports("c2"))) == (3, 1)
        assert_sound(quoted)

    def test_packed(self, quoted: World) -> None:
        """A batch is one ledger entry and one report entry a client, a record an order."""
        for _ in range(3):
            quoted.send(quoted.order(), quoted.order())
        quoted.scripts.match(10)
        assert [len(records) for _, records in quoted.stream("fills")] == [6]
        assert [len(records) for _, records in quoted.stream("reports:*", "c1")] == [6]

    def test_ledger_record(self, quoted: World) -> None:
        """A fill record is the contract's line, word for word."""
        quoted.trade(quoted.order("sell", 3, client="bob", order_id="x"))
        ((name, line),) = quoted.records("fills")
        assert name == "AAA-1"
        assert line.split(" ")[:6] == ["sell", "3", "99", "bob", "x", "AAA-1"]
        assert line.split(" ")[6] == str(
            quoted.report(Order("bob", "x", "AAA", "sell", 3, 1)).ts_ms
        )

    def test_running_again_does_nothing(self, quoted: World) -> None:
        """With nothing new behind the cursor another run changes no key."""
        quoted.trade(quoted.order("buy", 4))
        before = quoted.dump()
        done = quoted.scripts.match(10)
        assert (done.orders, done.fills, done.more) == (0, 0, False)
        assert quoted.dump() == before

    def test_empty_market(self, world: World) -> None:
        """Before the first order the step does nothing and says so."""
        before = world.dump()
        done = world.scripts.match(10)
        assert (done.cursor, done.orders, done.next_expiry_ms) == ("0-0", 0, 0)
        assert world.dump() == before

    def test_entry_never_split(self, quoted: World) -> None:
        """A bulk entry above the batch size is taken whole; the next one waits."""
        quoted.send(*(quoted.order() for _ in range(5)))
        quoted.send(quoted.order(), quoted.order())
        first = quoted.scripts.match(3)
        assert (first.orders, first.more) == (5, True)
        second = quoted.scripts.match(3)
        assert (second.orders, second.more) == (2, False)

    def test_batch_size(self, quoted: World) -> None:
        """A step takes entries while they fit, and tells whether more is at hand."""
        for _ in range(5):
            quoted.send(quoted.order())
        done = [quoted.scripts.match(2) for _ in range(3)]
        assert [(one.orders, one.more) for one in done] == [(2, True), (2, True), (1, False)]

    def test_batches_do_not_change_the_result(self, fake_world: World) -> None:
        """More than 100 entries, read in chunks, all are taken, none twice."""
        for _ in range(250):
            fake_world.send(fake_world.order())
        done = fake_world.scripts.match(1000)
        assert (done.orders, done.more) == (250, False)
        assert len({one.order_id for one in fake_world.reports()}) == 250

    def test_next_expiry(self, quoted: World) -> None:
        """The reply names the earliest deadline, so that the exchange knows until when to wait."""
        deadlines = [int(quoted.hash("quote:*", name)["expires_ms"]) for name in quoted.names]
        assert quoted.scripts.match(10).next_expiry_ms == min(deadlines)

    def test_many_fills(self, make_world: MakeWorld) -> None:
        """More than 1,000 fills in one batch are all in the ledger, in entries of at most 1,000."""
        world = make_world(limit=5000, size=3000, of_symbol={"position_limit_lots": 5000})
        world.propose()
        world.send(*(world.order() for _ in range(2300)))
        assert world.scripts.match(100).fills == 2300
        sizes = [len(records) for _, records in world.stream("fills")]
        assert sizes == [1000, 1000, 300]
        assert [fill.seq for fill in world.fills()] == list(range(1, 2301))
        assert len(world.reports()) == 2300
        before = world.quote_lots()
        world.drain()
        assert world.position()["net_lots"] == -2300
        assert before == (3000, 700)
        assert_sound(world)

    def test_many_duplicates(self, make_world: MakeWorld) -> None:
        """Thousands of orders sent again in one batch are all recognised."""
        world = make_world(limit=9000, size=9000, of_symbol={"position_limit_lots": 9000})
        world.propose()
        orders = [world.order() for _ in range(4500)]
        world.send(*orders)
        world.scripts.match(1)
        world.send(*orders)
        done = world.scripts.match(1)
        assert (done.duplicates, done.fills) == (4500, 0)

    def test_notional(self, make_world: MakeWorld) -> None:
        """In notional mode a fill frees price x lots x multiplier of its side."""
        world = make_world(mode="notional", limit=10_000, of_symbol={"multiplier": 3})
        world.propose(bid_lots=10, ask_lots=10)
        assert world.reserved() == (10 * 99 * 3, 10 * 101 * 3)
        world.trade(world.order("buy", 4), world.order("sell", 1))
        assert world.reserved() == (9 * 99 * 3, 6 * 101 * 3)
        assert_sound(world)

    def test_fill_after_expiry_of_another(self, make_world: MakeWorld) -> None:
        """An expired quote that nobody has released does not disturb fills of the others."""
        world = make_world(quote_ttl_ms=TTL, refresh_ms=1)
        world.propose("AAA")
        world.advance(TTL)
        world.propose("BBB")
        first, second = world.trade(world.order(symbol="AAA"), world.order(symbol="BBB"))
        assert (first.cum_lots, second.cum_lots) == (0, 1)
        assert_sound(world)


class TestBounds:
    def test_reports_expire(self, make_world: MakeWorld) -> None:
        """A client's reports are gone when it has been idle for the configured time."""
        world = make_world(report_idle_ms=120)
        world.trade(world.order())
        assert world.reports()
        world.advance(121)
        assert not world.reports()

    def test_reports_expiry_is_pushed_on(self, make_world: MakeWorld) -> None:
        """Each new report gives the stream its whole idle time again."""
        world = make_world()
        key = world.keys.member("reports:*", "c1")
        world.trade(world.order())
        first = int(execute(world.client, "PEXPIRETIME", key))
        world.advance(20)
        world.trade(world.order())
        assert int(execute(world.client, "PEXPIRETIME", key)) >= first + 20

    def test_reports_bounded(self, make_world: MakeWorld) -> None:
        """A client's report stream does not grow without end."""
        world = make_world(keep_reports=5, keep_deadletters=10_000)
        for _ in range(300):
            world.send(world.order())
            world.scripts.match(1)
        # The server trims in blocks of about a hundred entries.
        assert len(world.stream("reports:*", "c1")) <= 5 + 200

    def test_deadletters_bounded(self, make_world: MakeWorld) -> None:
        """The dead-letter stream does not grow without end."""
        world = make_world(keep_deadletters=5)
        for _ in range(300):
            world.send_raw("x", "")
        world.scripts.match(1000)
        assert len(world.stream("deadletter")) <= 5 + 200

    def test_orders_trimmed_behind_the_cursor(self, make_world: MakeWorld) -> None:
        """Old orders go, the newest keep_orders stay, and none that is unprocessed ever goes."""
        world = make_world(keep_orders=50)
        for round_ in range(30):
            for _ in range(20):
                world.send(world.order())
            world.send(world.order())
            before = len(world.stream("orders"))
            world.scripts.match(20)
            left = [entry for entry, _ in world.stream("orders")]
            cursor = world.cursor("exchange")
            kept = [entry for entry in left if _key(entry) <= _key(cursor)]
            assert len(kept) >= min(50, before - len(left) + len(kept))
            assert len([one for one in left if _key(one) > _key(cursor)]) == round_ + 1
        assert len(world.reports()) == 600
        assert len(world.stream("orders")) < 400

    def test_ledger_never_trimmed(self, make_world: MakeWorld) -> None:
        """The ledger keeps every fill, whatever the other bounds are."""
        world = make_world(
            limit=500,
            size=500,
            of_symbol={"position_limit_lots": 1000},
            keep_orders=5,
            keep_reports=5,
            keep_updates=5,
            keep_quotes=5,
            keep_deadletters=5,
        )
        world.propose()
        for _ in range(250):
            world.send(world.order())
            world.scripts.match(10)
        assert len(world.fills()) == 250


def _key(entry: str) -> tuple[int, int]:
    first, _, second = entry.partition("-")
    return int(first), int(second)
