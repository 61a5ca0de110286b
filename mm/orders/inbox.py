"""Where a client's orders go and its reports come from, and as whom it connects."""

from __future__ import annotations

from collections.abc import Iterable

import redis

from mm.market import Order
from mm.store import OPERATOR, Keys, execute, is_client, text


def stream_of_orders(client: redis.Redis, keys: Keys, client_id: str) -> str:
    """The key to append the client's orders to: its inbox, or that of all orders without one."""
    if execute(client, "HGET", keys.named("clients"), client_id) is not None:
        return keys.member("inbox:*", client_id)
    return keys.named("orders")


def user_of(client_id: str) -> str:
    """The user of a managed server that sends the client's orders: its own, or an operator."""
    return client_id if is_client(client_id) else OPERATOR


def newest_report(client: redis.Redis, reports_key: str) -> str:
    """The id of the newest entry of the reports, or ``0-0``."""
    last = execute(client, "XREVRANGE", reports_key, "+", "-", "COUNT", 1)
    return text(last[0][0]) if last else "0-0"


def entries_of(orders: Iterable[Order], bulk: int) -> list[list[str]]:
    """The words of each entry: up to ``bulk`` fields of order_id and line."""
    lines = [(order.order_id, order.wire()) for order in orders]
    chunks = (lines[start : start + bulk] for start in range(0, len(lines), bulk))
    return [[word for line in chunk for word in line] for chunk in chunks]
