"""An order id that was used before for another order: which order that was (R13)."""

from __future__ import annotations

from dataclasses import dataclass

from mm.errors import ValueRefused
from mm.market import CONFLICT, Config, Order, Report, check_side
from mm.orders.ticket import report_facts
from mm.store import RememberedOrder, Scripts, remembered_orders


@dataclass(frozen=True)
class FirstOrder:
    """The order that an order id belongs to: in words for people, and its facts for ``--json``."""

    words: str
    facts: dict[str, object]


def first_order(
    scripts: Scripts, config: Config, order: Order, report: Report
) -> FirstOrder | None:
    """The first order under the ids of ``order``, if ``report`` or the memory says it is another.

    None when it is the same order, or when the exchange remembers nothing of it any more.
    """
    name = (order.client_id, order.order_id)
    found = remembered_orders(scripts.client, scripts.keys, [name]).get(name)
    if found is None or found.content == order.content:
        return None
    if found.content is None and report.reason != CONFLICT:
        return None  # memory of schema 1: nothing contradicts the report
    return _described(config, order, found)


def _described(config: Config, order: Order, found: RememberedOrder) -> FirstOrder:
    try:
        outcome = Report.parse(order.order_id, f"{found.outcome} 0 0")
        name, side, lots, ticks = (found.content or "").split(" ")
        first = Order(
            order.client_id, order.order_id, name, check_side(side), int(lots), int(ticks)
        )
        symbol = config.symbol(name)
    except (ValueError, ValueRefused):
        what = "an order" if found.content is None else f"the line {found.content!r}"
        words = f"{what}, with the outcome {found.outcome}"
        return FirstOrder(words, {"content": found.content, "outcome": found.outcome})
    facts = report_facts(first, outcome, symbol)
    words = f"{name} {side} {facts['quantity']} at {facts['limit_price']}, {outcome.status}"
    if outcome.cum_lots:
        words += f" {facts['filled_quantity']} at {facts['price']} by fill {outcome.fill_id}"
    unknown = ("client_id", "order_id", "duplicate", "ts_ms")
    return FirstOrder(words, {key: value for key, value in facts.items() if key not in unknown})
