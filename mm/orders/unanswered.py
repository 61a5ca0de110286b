"""Orders that were sent and have no report yet, and when each is due to be sent again."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from mm.market import Order

#: Each time an order stays unanswered its timeout doubles, up to this many times the first.
PATIENCE = 8


@dataclass(slots=True)
class Unanswered:
    """An order without a report; ``sent_s`` and ``due_s`` are seconds of the table's clock."""

    order: Order
    sent_s: float
    due_s: float
    times: int = 1


class Outstanding:
    """The table of unanswered orders by order_id, and the order in which they are due."""

    def __init__(self, resend_after_s: float, clock: Callable[[], float]) -> None:
        self.orders: dict[str, Unanswered] = {}
        self._resend_after_s = resend_after_s
        self._clock = clock
        # (due_s, order_id); an item counts only while it says what the table says.
        self._due: list[tuple[float, str]] = []

    def sent(self, order: Order) -> bool:
        """Note that the order is being sent now; whether it was unanswered already."""
        known = self.orders.get(order.order_id)
        times = known.times + 1 if known else 1
        now = self._clock()
        due = now + self._resend_after_s * min(2 ** min(times - 1, 30), PATIENCE)
        self.orders[order.order_id] = Unanswered(order, now, due, times)
        heapq.heappush(self._due, (due, order.order_id))
        return known is not None

    def lost(self, orders: Iterable[Order]) -> None:
        """What may not have reached the server is due as soon as it can be reached."""
        now = self._clock()
        for order in orders:
            one = self.orders.get(order.order_id)
            if one is not None:
                one.due_s, one.times = now, 1
                heapq.heappush(self._due, (now, order.order_id))

    def answered(self, order_id: str) -> Order | None:
        """Take an order off the table; None when it is not on it."""
        one = self.orders.pop(order_id, None)
        return one.order if one is not None else None

    def due_in_s(self) -> float | None:
        """Seconds until the first order is due, negative when overdue; None without any."""
        while self._due:
            due, order_id = self._due[0]
            one = self.orders.get(order_id)
            if one is not None and one.due_s == due:
                return due - self._clock()
            heapq.heappop(self._due)
        return None

    def overdue(self, most: int) -> list[Order]:
        """Up to ``most`` overdue orders, each noted as sent again."""
        found: list[Order] = []
        while len(found) < most and (due_s := self.due_in_s()) is not None and due_s <= 0:
            order = self.orders[heapq.heappop(self._due)[1]].order
            self.sent(order)
            found.append(order)
        return found
