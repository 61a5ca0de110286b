"""An order id that was used before for another order: which order that was (R13)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mm.errors import ValueRefused
from mm.market import CONFLICT, REASONS, Config, Order, Report, Symbol, check_side
from mm.orders.ticket import report_facts
from mm.orders.unanswered import Answer
from mm.store import OrderMemory, RememberedOrder, Scripts

#: What is known of an outcome alone, and all that a first order has beside its line.
OUTCOME_NAMES = ("status", "reason", "fill_id", "quote_id")
NAMES = (
    *("symbol", "side", "quantity", "limit_price", "reason_text"),
    *("filled_quantity", "leaves_quantity", "canceled_quantity", "price", *OUTCOME_NAMES),
)


@dataclass(frozen=True)
class FirstOrder:
    """The order that an order id belongs to: in words for people, and its facts for ``--json``.

    Each has the same facts: ``content``, which is its line without the client, and ``NAMES``.
    """

    words: str
    facts: dict[str, object]


def first_order(
    scripts: Scripts, config: Config, order: Order, report: Report
) -> FirstOrder | None:
    """The first order under the ids of ``order``, if ``report`` or the memory says it is another.

    None when it is the same order, or when the exchange remembers nothing of it any more.
    """
    memory = OrderMemory(scripts.client, scripts.keys)
    return first_orders(memory, config, [Answer(order, report)]).get(order.order_id)


def first_orders(
    memory: OrderMemory, config: Config, answers: Sequence[Answer]
) -> dict[str, FirstOrder]:
    """The first orders of several orders of one client, by order_id, where they are others."""
    names = [(one.order.client_id, one.order.order_id) for one in answers]
    remembered = memory.read(names)
    others = {}
    for name, one in zip(names, answers, strict=True):
        found = remembered.get(name)
        if found is None or found.content == one.order.content:
            continue
        if found.content is None and one.report.reason != CONFLICT:
            continue  # memory of schema 1: nothing contradicts the report
        others[one.order.order_id] = _described(config, one.order, found)
    return others


def waiting_order(order: Order, symbol: Symbol) -> FirstOrder:
    """The first order of an id that has no report yet."""
    known = {
        "symbol": order.symbol,
        "side": order.side,
        "quantity": symbol.quantity(order.qty_lots),
        "limit_price": symbol.price(order.limit_ticks),
    }
    words = f"{order.symbol} {order.side} {known['quantity']} at {known['limit_price']}"
    return FirstOrder(words, _facts(order.content, known))


def _described(config: Config, order: Order, found: RememberedOrder) -> FirstOrder:
    what = "an order" if found.content is None else f"the line {found.content!r}"
    words, known = f"{what}, with the outcome {found.outcome}", {}
    try:
        outcome = Report.parse(order.order_id, f"{found.outcome} 0 0")
        known = {name: getattr(outcome, name) for name in OUTCOME_NAMES}
        known["reason_text"] = REASONS.get(outcome.reason, "")
        name, side, lots, ticks = (found.content or "").split(" ")
        first = Order(
            order.client_id, order.order_id, name, check_side(side), int(lots), int(ticks)
        )
        facts = report_facts(first, outcome, config.symbol(name))
    except (ValueError, ValueRefused):
        return FirstOrder(words, _facts(found.content, known))
    words = f"{name} {side} {facts['quantity']} at {facts['limit_price']}, {outcome.status}"
    if outcome.cum_lots:
        words += f" {facts['filled_quantity']} at {facts['price']} by fill {outcome.fill_id}"
    return FirstOrder(words, _facts(found.content, facts))


def _facts(content: str | None, known: Mapping[str, object]) -> dict[str, object]:
    """The names of every first order; what is not known of it is empty text."""
    return {"content": content} | {name: known.get(name, "") for name in NAMES}
