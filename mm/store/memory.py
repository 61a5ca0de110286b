"""The exchange's memory of orders, read for people; only ``match.lua`` decides on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import redis

from mm.store.calls import execute, text
from mm.store.keys import Keys

#: The client_id and the order_id of an order.
OrderName: TypeAlias = tuple[str, str]


@dataclass(frozen=True)
class RememberedOrder:
    """The first order of a client_id and order_id, and its outcome in six words.

    ``content`` is the line of the order without its client id, as :attr:`mm.market.Order.content`;
    None in memory of schema 1, which has no contents.
    """

    content: str | None
    outcome: str


def remembered_orders(
    client: redis.Redis, keys: Keys, orders: Sequence[OrderName]
) -> dict[OrderName, RememberedOrder]:
    """What is remembered under these pairs of client_id and order_id; nothing of forgotten ones."""
    newest = text(execute(client, "HGET", keys.named("cursors"), "seen_bucket") or b"-")
    found: dict[OrderName, RememberedOrder] = {}
    if not orders or not newest.isdecimal():
        return found
    for bucket in (int(newest) - 1, int(newest)):
        key = keys.member("seen:*", str(bucket))
        values = execute(client, "HMGET", key, *map("/".join, orders))
        for order, value in zip(orders, values, strict=True):
            if value is not None:
                found[order] = _parsed(text(value))
    return found


def _parsed(value: str) -> RememberedOrder:
    content, *outcome = value.rsplit(" ", 6)
    if len(outcome) < 6:
        return RememberedOrder(None, value)
    return RememberedOrder(content, " ".join(outcome))
