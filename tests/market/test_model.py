"""The words: exact numbers at the edges, wire forms, and the arithmetic of a position."""

from __future__ import annotations

import random
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from mm.errors import ValueRefused
from mm.market import (
    MAX_INT,
    Fill,
    Order,
    Position,
    Report,
    check_int,
    from_steps,
    parse_decimal,
    to_steps,
)
from tests.kit import SEEDS, make_symbol

ORDER: dict[str, Any] = {
    "client_id": "c1",
    "order_id": "o1",
    "symbol": "AAA",
    "side": "buy",
    "qty_lots": 1,
    "limit_ticks": 101,
}


class TestNumbers:
    @pytest.mark.parametrize("value", [1, MAX_INT])
    def test_int(self, value: int) -> None:
        """1 and 2^53 - 1 are integers of the system."""
        assert check_int("n", value) == value

    @pytest.mark.parametrize("value", [0, -1, MAX_INT + 1, 1.0, True, "1", None, float("nan")])
    def test_not_int(self, value: Any) -> None:
        """Zero, negatives, floats, booleans, text and what is too large are refused by name."""
        with pytest.raises(ValueRefused, match="lots"):
            check_int("lots", value)

    @pytest.mark.parametrize("text", ["0", "1", "-1", "187.25", "0.00005", "64250.0"])
    def test_decimal(self, text: str) -> None:
        """Plain decimals are read exactly."""
        assert parse_decimal("price", text) == Decimal(text)

    @pytest.mark.parametrize(
        "text",
        ["", "1e3", "nan", "inf", "+1", "1.", ".5", "1,5", " 1", "1_0", "٣", "0x1", "1" * 31],
    )
    def test_not_decimal(self, text: str) -> None:
        """Anything else is refused: no exponent, no sign but minus, no foreign digits."""
        with pytest.raises(ValueRefused, match="price"):
            parse_decimal("price", text)

    @pytest.mark.parametrize(
        ("value", "step", "steps"), [("187.25", "0.01", 18725), ("1.0825", "0.00005", 21650)]
    )
    def test_steps(self, value: str, step: str, steps: int) -> None:
        """A price on the grid is a whole number of ticks, and comes back as the same price."""
        assert to_steps("price", Decimal(value), Decimal(step), "tick") == steps
        assert Decimal(from_steps(steps, Decimal(step))) == Decimal(value)

    @pytest.mark.parametrize(("value", "step"), [("187.255", "0.01"), ("0.1", "0.3"), ("0", "1")])
    def test_off_the_grid(self, value: str, step: str) -> None:
        """A price off its tick, or nothing at all, is refused and never rounded."""
        with pytest.raises(ValueRefused, match="price"):
            to_steps("price", Decimal(value), Decimal(step), "tick")

    def test_decimals_kept(self) -> None:
        """Text keeps the tick's number of decimals, negative money its sign."""
        symbol = make_symbol(tick=Decimal("0.50"), lot=Decimal("0.001"), multiplier=2)
        assert symbol.price(3) == "1.50"
        assert symbol.quantity(12) == "0.012"
        assert symbol.money(-3) == "-0.00300"


class TestOrder:
    def test_wire(self) -> None:
        """The line is the contract's five words."""
        assert Order(**ORDER).wire() == "c1 AAA buy 1 101"

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("client_id", ""),
            ("client_id", "a b"),
            ("client_id", "a\n"),
            ("order_id", "x" * 65),
            ("order_id", "ö"),
            ("symbol", "aaa"),
            ("symbol", "A" * 17),
            ("side", "BUY"),
            ("qty_lots", 0),
            ("qty_lots", 1.5),
            ("limit_ticks", -1),
            ("limit_ticks", MAX_INT + 1),
        ],
    )
    def test_refused(self, field: str, value: Any) -> None:
        """An order that breaks a rule cannot be made."""
        with pytest.raises(ValueRefused):
            Order(**(ORDER | {field: value}))


class TestLines:
    def test_report(self) -> None:
        """A report line is read word for word, a dash as none."""
        report = Report.parse("o1", "partially_filled exhausted 4 101 AAA-7 AAA-3 1 99")
        assert report == Report(
            "o1", "partially_filled", "exhausted", 4, 101, "AAA-7", "AAA-3", True, 99
        )
        assert Report.parse("o1", "rejected malformed 0 - - - 0 99").price_ticks == 0

    def test_fill(self) -> None:
        """A fill's symbol may hold a dash; a buy order makes the position smaller."""
        fill = Fill.parse("A-B-12", "buy 3 101 c1 o1 A-B-2 99")
        assert (fill.symbol, fill.seq, fill.signed_lots) == ("A-B", 12, -3)

    @pytest.mark.parametrize(
        ("name", "line"),
        [("AAA", "buy 3 101 c1 o1 q 99"), ("AAA-1", "hold 3 101 c1 o1 q 99"), ("AAA-1", "buy")],
    )
    def test_no_fill(self, name: str, line: str) -> None:
        """What is no fill raises."""
        with pytest.raises(ValueError, match=r".*"):
            Fill.parse(name, line)


class TestPosition:
    @pytest.mark.parametrize("seed", SEEDS)
    def test_random_fills(self, seed: int) -> None:
        """Profit is exact: realised plus unrealised is what cash and the mark say, at any time."""
        rng, position, net, cash = random.Random(seed), Position(), 0, 0
        for version in range(1, 500):
            lots = rng.choice((-1, 1)) * rng.randint(1, 50)
            price = rng.randint(50, 150)
            before = position
            position = position.apply(lots, price)
            net, cash = net + lots, cash - lots * price
            assert (position.net_lots, position.cash_ticks) == (net, cash)
            assert (position.position_version, position.last_price_ticks) == (version, price)
            mark = rng.randint(50, 150)
            profit = position.realised_ticks + position.unrealised_ticks(mark)
            assert profit == cash + net * mark
            self.check_cost(before, position, lots, price)

    @staticmethod
    def check_cost(before: Position, after: Position, lots: int, price: int) -> None:
        """The average cost stays when closing (to a tick), and is the price after a flip."""
        assert after.cost_ticks * after.net_lots >= 0
        if after.net_lots == 0:
            assert after.cost_ticks == 0
        elif before.net_lots * lots >= 0:
            assert after.cost_ticks == before.cost_ticks + lots * price
        elif before.net_lots * after.net_lots < 0:
            assert after.cost_ticks == after.net_lots * price
        else:
            exact = Fraction(before.cost_ticks * after.net_lots, before.net_lots)
            assert 0 <= abs(exact) - abs(after.cost_ticks) < 1
