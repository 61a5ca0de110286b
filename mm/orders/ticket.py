"""An order as a person writes it, and its report as a person reads it: in decimals, exactly."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from decimal import Decimal

from mm.errors import ValueRefused, shown
from mm.market import (
    REASONS,
    Config,
    Order,
    Report,
    Side,
    Symbol,
    check_id,
    check_symbol,
    parse_decimal,
    to_steps,
)

#: What a person may type for each side.
SIDES: dict[str, Side] = {"buy": "buy", "b": "buy", "sell": "sell", "s": "sell"}


def typed_side(word: str) -> Side:
    """The side that a word stands for: ``buy``, ``BUY``, ``b``; ValueRefused for another word."""
    side = SIDES.get(word.lower())
    if side is None:
        raise ValueRefused(f"side {shown(word)}: it must be buy or sell, or b or s for short")
    return side


@dataclass(frozen=True)
class Ticket:
    """An order in exact decimals, not yet checked against a configuration.

    ``limit_price`` is None for one that takes any price, until the mark is known.
    """

    client_id: str
    order_id: str
    symbol: str
    side: Side
    quantity: Decimal
    limit_price: Decimal | None

    @classmethod
    def parse(
        cls,
        client_id: str,
        order_id: str | None,
        symbol: str,
        side: str,
        quantity: str,
        limit_price: str | None,
    ) -> Ticket:
        """Read the words of an order; without an ``order_id`` it gets a new one.

        The symbol may be in small letters, until a configuration is there. ValueRefused names the
        word that breaks a rule.
        """
        check_symbol(symbol.upper())
        return cls(
            check_id("client-id", client_id),
            f"hand-{secrets.token_hex(6)}" if order_id is None else check_id("order-id", order_id),
            symbol,
            typed_side(side),
            parse_decimal("quantity", quantity),
            None if limit_price is None else parse_decimal("limit price", limit_price),
        )

    def limited(self, limit_price: Decimal) -> Ticket:
        """The same with this limit price."""
        return replace(self, limit_price=limit_price)

    def order(self, config: Config) -> Order:
        """The order in lots and ticks.

        ValueRefused when the symbol is not configured, or the quantity is not a whole number of
        lots, or the price not one of ticks.
        """
        assert self.limit_price is not None
        symbol = config.symbol(self.symbol)
        lots = to_steps("quantity", self.quantity, symbol.lot, "lot")
        ticks = to_steps("limit price", self.limit_price, symbol.tick, "tick")
        return Order(self.client_id, self.order_id, self.symbol, self.side, lots, ticks)


def report_facts(order: Order, report: Report, symbol: Symbol) -> dict[str, object]:
    """An order and its report: decimals as text, empty text where there is no value."""
    return {
        "client_id": order.client_id,
        "order_id": order.order_id,
        "symbol": order.symbol,
        "side": order.side,
        "quantity": symbol.quantity(order.qty_lots),
        "limit_price": symbol.price(order.limit_ticks),
        "status": report.status,
        "reason": report.reason,
        "reason_text": REASONS.get(report.reason, ""),
        "filled_quantity": symbol.quantity(report.cum_lots),
        # An immediate-or-cancel order leaves nothing open.
        "leaves_quantity": symbol.quantity(0),
        "canceled_quantity": symbol.quantity(order.qty_lots - report.cum_lots),
        "price": symbol.price(report.price_ticks) if report.cum_lots else "",
        "fill_id": report.fill_id,
        "quote_id": report.quote_id,
        "duplicate": report.duplicate,
        "ts_ms": report.ts_ms,
    }
