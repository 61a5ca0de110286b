"""The exchange's memory of orders, read for people; only ``match.lua`` decides on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import redis

from mm.store.calls import send_pipeline, text
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

    @classmethod
    def parse(cls, value: str) -> RememberedOrder:
        """Read the text that ``seen:*`` holds."""
        content, *outcome = value.rsplit(" ", 6)
        if len(outcome) < 6:
            return cls(None, value)
        return cls(content, " ".join(outcome))


def remembered_orders(
    client: redis.Redis, keys: Keys, orders: Sequence[OrderName]
) -> dict[OrderName, RememberedOrder]:
    """What is remembered under these pairs of client_id and order_id; nothing of forgotten ones."""
    return OrderMemory(client, keys).read(orders)


class OrderMemory:
    """Reads the memory again and again: in one round trip, while its newest bucket is the same."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client, self._keys = client, keys
        self._newest: int | None = None

    def read(self, orders: Sequence[OrderName]) -> dict[OrderName, RememberedOrder]:
        """As :func:`remembered_orders`; errors of the connection are raised."""
        values = self.texts(["/".join(order) for order in orders])
        return {
            order: RememberedOrder.parse(text(value))
            for order, value in zip(orders, values, strict=True)
            if value is not None
        }

    def texts(self, names: Sequence[str | bytes]) -> list[bytes | None]:
        """What ``seen:*`` holds of orders named ``client_id/order_id``; None of forgotten ones."""
        nothing: list[bytes | None] = [None] * len(names)
        if not names:
            return nothing
        known = self._newest
        newest, *values = self._ask(names)
        self._newest = int(newest) if newest is not None and text(newest).isdecimal() else None
        if self._newest is None:
            return nothing
        if self._newest != known:
            # What was asked, if anything, was of other buckets.
            _, *values = self._ask(names)
        older, newer = values
        return [
            before if after is None else after for before, after in zip(older, newer, strict=True)
        ]

    def _ask(self, names: Sequence[str | bytes]) -> list[Any]:
        """The number of the newest bucket, and what that before it and it have of the orders."""
        buckets = () if self._newest is None else (self._newest - 1, self._newest)
        commands: list[Sequence[Any]] = [("HGET", self._keys.named("cursors"), "seen_bucket")]
        commands += [("HMGET", self._keys.member("seen:*", str(one)), *names) for one in buckets]
        replies = send_pipeline(self._client, commands)
        for reply in replies:
            if isinstance(reply, Exception):
                raise reply
        return replies
