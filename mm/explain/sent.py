"""The orders of fills, as they were sent: each is searched among the entries before its fill."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TypeAlias

from mm.market import Fill
from mm.store import OrderName, StreamReader, pairs, remembered_orders, stream_id_order, text

#: How many entries before a fill are searched for its order.
NEAR = 1_000


@dataclass(frozen=True)
class SentOrder:
    """An order as it is on the orders stream."""

    qty_lots: int
    limit_ticks: int
    sent_ms: int

    def can_have(self, fill: Fill) -> bool:
        """Whether the fill can be of this order, by its size and its limit."""
        better = self.limit_ticks - fill.price_ticks
        return self.qty_lots >= fill.qty_lots and (better if fill.side == "buy" else -better) >= 0


Orders: TypeAlias = dict[OrderName, SentOrder]


def end_of(ms: int) -> str:
    """The id after every entry of a millisecond, which SQLite can hold, too."""
    return f"{ms}-{2**62}"


def orders_of(reader: StreamReader, fills: Collection[Fill]) -> Orders:
    """The orders of these fills, as far as they are found.

    Another order may have come under the id of one, and was refused. So the record must be what the
    exchange remembers, and fit the fill.
    """
    wanted = {(fill.client_id, fill.order_id): fill for fill in fills}
    remembered = remembered_orders(reader.client, reader.keys, list(wanted))
    contents = {order: one.content for order, one in remembered.items()}
    found: Orders = {}
    for fill in sorted(fills, key=lambda fill: -fill.seq):
        order = (fill.client_id, fill.order_id)
        if order in found:
            continue
        for entry, flat in islice(reader.whole_back("orders", end_of(fill.ts_ms)), NEAR):
            sent_ms, _ = stream_id_order(text(entry))
            for name, one in _fitting(sent_ms, pairs(flat), wanted, contents):
                found.setdefault(name, one)
            if order in found:
                break
    return found


def _fitting(
    sent_ms: int,
    records: Mapping[str, str],
    wanted: Mapping[OrderName, Fill],
    contents: Mapping[OrderName, str | None],
) -> list[tuple[OrderName, SentOrder]]:
    """The records of an entry that can be the order of a wanted fill."""
    found = []
    for order_id, line in records.items():
        client_id, _, content = line.partition(" ")
        words, order = line.split(" "), (client_id, order_id)
        fill = wanted.get(order)
        if contents.get(order) not in (None, content):
            continue
        if fill is None or len(words) != 5 or words[1:3] != [fill.symbol, fill.side]:
            continue
        try:
            sent = SentOrder(int(words[3]), int(words[4]), sent_ms)
        except ValueError:
            continue
        if sent.can_have(fill):
            found.append((order, sent))
    return found
