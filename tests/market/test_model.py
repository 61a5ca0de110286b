"""The records: their rules, their lines on the wire, and the arithmetic of a position."""

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


class TestSymbol:
    def test_decimals_kept(self) -> None:
        """Text has as many decimals as the tick; negative money keeps its sign."""
        symbol = make_symbol(tick=Decimal("0.50"), lot=Decimal("0.001"), multiplier=2)
        assert symbol.price(3) == "1.50"
        assert symbol.quantity(12) == "0.012"
        assert symbol.money(-3) == "-0.00300"


class TestOrder:
    def test_wire(self) -> None:
        """The line has the five words of the order API."""
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
        """Each word of a report is read; a dash means none."""
        report = Report.parse("o1", "partially_filled exhausted 4 101 AAA-7 AAA-3 1 99")
        assert report == Report(
            "o1", "partially_filled", "exhausted", 4, 101, "AAA-7", "AAA-3", True, 99
        )
        assert Report.parse("o1", "rejected malformed 0 - - - 0 99").price_ticks == 0

    @pytest.mark.parametrize(
        "line",
        [
            "",
            "canceled no_quote 0 - - - 0",
            "zzz - 0 - - - 0 99",
            "FILLED - 4 101 AAA-7 AAA-3 0 99",
            "filled - x 101 AAA-7 AAA-3 0 99",
            *(f"filled - 4 101 {word} AAA-3 0 99" for word in ("AAA-x", "AAA-", "AAA", "-7", "-")),
            *(f"filled - 4 101 {word} AAA-3 0 99" for word in ("aaa-7", "AAA--7x", "AAA-1_0")),
            f"filled - 4 101 AAA-{'9' * 17} AAA-3 0 99",
            "filled - 4 101 AAA-\N{ARABIC-INDIC DIGIT THREE} AAA-3 0 99",
            "canceled no_quote 0 - AAA-7 - 0 99",
        ],
    )
    def test_not_a_report(self, line: str) -> None:
        """A status that none has, a fill's id that names none, and lots without a fill are refused.

        So is a fill without lots.
        """
        with pytest.raises(ValueError, match=r".*"):
            Report.parse("o1", line)

    def test_fill(self) -> None:
        """A fill's symbol may hold a dash; a buy order makes the position smaller."""
        fill = Fill.parse("A-B-12", "buy 3 101 c1 o1 A-B-2 99")
        assert (fill.symbol, fill.seq, fill.signed_lots) == ("A-B", 12, -3)

    @pytest.mark.parametrize(
        ("name", "line"),
        [("AAA", "buy 3 101 c1 o1 q 99"), ("AAA-1", "hold 3 101 c1 o1 q 99"), ("AAA-1", "buy")],
    )
    def test_not_a_fill(self, name: str, line: str) -> None:
        """A record that is not a fill raises ValueError."""
        with pytest.raises(ValueError, match=r".*"):
            Fill.parse(name, line)


class TestPosition:
    @pytest.mark.parametrize("seed", SEEDS)
    def test_random_fills(self, seed: int) -> None:
        """Profit is exact: realised plus unrealised equals cash plus marked lots."""
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
        """Closing keeps the average cost, to a tick; a flip sets it to the price."""
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
