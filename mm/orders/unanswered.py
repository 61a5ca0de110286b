"""Orders that were sent and have no report yet, and when to send each again."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from mm.errors import ValueRefused
from mm.market import Order, Report

#: The wait before a resend doubles each time, up to this many times the first wait.
MAX_WAIT_FACTOR = 8


@dataclass(frozen=True, slots=True)
class Answer:
    """An order and its one report."""

    order: Order
    report: Report


@dataclass(slots=True)
class UnansweredOrder:
    """An order without a report.

    ``sent_s`` is when it was sent last, ``due_s`` when to send it again, in seconds of the clock of
    its table. ``times`` counts the sendings since it was last known to be lost.
    """

    order: Order
    sent_s: float
    due_s: float
    times: int = 1


def check_resend_after(seconds: float) -> float:
    """The seconds after which an order is sent again; ValueRefused when they are none."""
    if not 0 < seconds < 1e6:
        raise ValueRefused(f"resend_after_s {seconds}: it must be above 0 seconds")
    return seconds


class UnansweredOrders:
    """The table of unanswered orders by order_id, and the sequence in which they are due."""

    def __init__(self, resend_after_s: float, clock: Callable[[], float]) -> None:
        self.by_id: dict[str, UnansweredOrder] = {}
        self._resend_after_s = resend_after_s
        self._clock = clock
        # A heap of (due_s, order_id). An item is valid only while the table has the same due_s.
        self._due: list[tuple[float, str]] = []

    def mark_sent(self, order: Order) -> bool:
        """Note that the order is being sent now; returns whether it was unanswered already."""
        known = self.by_id.get(order.order_id)
        times = known.times + 1 if known else 1
        now = self._clock()
        due = now + self._resend_after_s * min(2 ** min(times - 1, 30), MAX_WAIT_FACTOR)
        self.by_id[order.order_id] = UnansweredOrder(order, now, due, times)
        heapq.heappush(self._due, (due, order.order_id))
        return known is not None

    def mark_lost(self, orders: Iterable[Order]) -> None:
        """Note that the orders may not have reached the server; they are due at once."""
        now = self._clock()
        for order in orders:
            unanswered = self.by_id.get(order.order_id)
            if unanswered is not None:
                unanswered.due_s, unanswered.times = now, 1
                heapq.heappush(self._due, (now, order.order_id))

    def remove(self, order_id: str) -> Order | None:
        """Take an answered order off the table; None when it is not there."""
        unanswered = self.by_id.pop(order_id, None)
        return unanswered.order if unanswered is not None else None

    def due_in_s(self) -> float | None:
        """Seconds until the first order is due, negative when overdue; None without orders."""
        while self._due:
            due, order_id = self._due[0]
            unanswered = self.by_id.get(order_id)
            if unanswered is not None and unanswered.due_s == due:
                return due - self._clock()
            heapq.heappop(self._due)
        return None

    def take_overdue(self, max_orders: int) -> list[Order]:
        """Overdue orders, at most ``max_orders``, each noted as being sent now."""
        overdue: list[Order] = []
        while len(overdue) < max_orders and (due_s := self.due_in_s()) is not None and due_s <= 0:
            order = self.by_id[heapq.heappop(self._due)[1]].order
            self.mark_sent(order)
            overdue.append(order)
        return overdue
