"""Tickets: a person's words become an exact order, and its report becomes decimals again."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from mm.errors import ValueRefused
from mm.market import Config, Order, Report, Side
from mm.orders import Ticket, far_limit, report_facts, with_symbol
from tests.kit import make_symbol, small_config

WORDS: dict[str, Any] = {
    "client_id": "c1",
    "order_id": "o1",
    "symbol": "AAA",
    "side": "buy",
    "quantity": "2.5",
    "limit_price": "10.50",
}


@pytest.fixture
def config() -> Config:
    """One symbol with a tick of 0.25 and a lot of 0.5."""
    return small_config(1, of_symbol={"tick": Decimal("0.25"), "lot": Decimal("0.5")})


def test_decimals_become_lots_and_ticks(config: Config) -> None:
    """The order has the ticket's ids and side, and its decimals as whole lots and ticks."""
    assert Ticket.parse(**WORDS).order(config) == Order("c1", "o1", "AAA", "buy", 5, 42)


def test_words_as_a_person_types_them(config: Config) -> None:
    """Small letters and short sides do, once the configuration is there."""
    ticket = with_symbol(Ticket.parse(**WORDS | {"symbol": "aaa", "side": "B"}), config)
    assert ticket.order(config) == Order("c1", "o1", "AAA", "buy", 5, 42)


@pytest.mark.parametrize(("side", "limit"), [("buy", "44.25"), ("sell", "36.00")])
def test_a_far_limit_is_on_a_tick(config: Config, side: Side, limit: str) -> None:
    """Ten percent beyond the mark, rounded away from it; never below one tick."""
    symbol = config.symbols[0]
    assert far_limit(symbol, side, 2 * 160 + 1) == Decimal(limit)
    assert far_limit(symbol, "sell", 1) == symbol.tick


def test_order_ids_are_new(config: Config) -> None:
    """Tickets without an order_id get ids that differ."""
    orders = [Ticket.parse(**WORDS | {"order_id": None}).order(config) for _ in range(100)]
    assert len({order.order_id for order in orders}) == 100


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("client_id", "a b", "client-id"),
        ("order_id", "", "order-id"),
        ("symbol", "a a", "symbol"),
        ("side", "hold", "side"),
        ("quantity", "1e3", "quantity"),
        ("limit_price", "nan", "limit price"),
    ],
)
def test_words_are_refused_without_a_configuration(field: str, value: str, named: str) -> None:
    """A word that breaks a rule is refused by its name, before any server is asked."""
    with pytest.raises(ValueRefused, match=named):
        Ticket.parse(**WORDS | {field: value})


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("symbol", "ZZZ", "AAA"),
        ("quantity", "2.6", "lot 0.5"),
        ("quantity", "0", "quantity"),
        ("limit_price", "10.30", "tick 0.25"),
        ("limit_price", "-10.25", "limit price"),
    ],
)
def test_off_the_grid(config: Config, field: str, value: str, named: str) -> None:
    """An unknown symbol, a part of a lot or tick, and what is not above 0 are refused."""
    ticket = Ticket.parse(**WORDS | {field: value})
    with pytest.raises(ValueRefused, match=named):
        ticket.order(config)


def test_facts_of_a_partial_fill() -> None:
    """Filled and canceled quantities add up to the order's, and the reason is explained."""
    symbol = make_symbol(tick=Decimal("0.25"), lot=Decimal("0.5"))
    order = Order("c1", "o1", "AAA", "buy", 5, 42)
    report = Report("o1", "partially_filled", "exhausted", 3, 41, "AAA-7", "AAA-3", True, 99)
    facts = report_facts(order, report, symbol)
    assert (facts["quantity"], facts["limit_price"]) == ("2.5", "10.50")
    assert (facts["filled_quantity"], facts["canceled_quantity"]) == ("1.5", "1.0")
    assert (facts["leaves_quantity"], facts["price"]) == ("0.0", "10.25")
    assert facts["reason"] == "exhausted"
    assert str(facts["reason_text"]).startswith("the quote's remaining quantity")
    assert (facts["fill_id"], facts["quote_id"], facts["duplicate"]) == ("AAA-7", "AAA-3", True)


def test_facts_of_an_order_that_did_not_fill() -> None:
    """Without a fill there is no price, and the whole quantity was canceled."""
    order = Order("c1", "o1", "AAA", "sell", 5, 42)
    report = Report("o1", "canceled", "no_quote", 0, 0, "", "", False, 99)
    facts = report_facts(order, report, make_symbol())
    assert (facts["price"], facts["fill_id"]) == ("", "")
    assert facts["canceled_quantity"] == facts["quantity"] == "5"
