"""match.lua: what is no order is a dead letter or a rejection, and holds up nothing."""

from __future__ import annotations

import pytest

from mm.market import Order
from mm.store import execute
from tests.kit import MakeWorld, World, assert_sound, outcome


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
