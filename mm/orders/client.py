"""The order API for Python programs: send orders, wait for their reports, lose none.

An order that has no report after a while is sent again under the same order_id. That is safe: the
exchange never executes an order twice. It answers the second sending with the first outcome,
marked duplicate (R13). So a caller need not handle lost connections. An order that was given to
:meth:`OrderClient.send` stays unanswered until its report has been read.

::

    client = OrderClient.connect("mm-data", "c1")
    report = client.submit(Order("c1", "o1", "AAPL", "buy", 10, 18760))
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import redis
from redis.exceptions import RedisError

from mm.backoff import Backoff
from mm.errors import TimedOut, Unavailable, ValueRefused
from mm.market import Order, Report, check_id
from mm.orders.inbox import user_of
from mm.orders.partition_client import FIRST_RETRY_S, LONGEST_RETRY_S, PartitionClient
from mm.orders.trouble import order_api_error
from mm.orders.unanswered import UnansweredOrder, check_resend_after
from mm.store import Keys, open_client, over_tag, send_pipeline, server_url, text

#: Milliseconds that a poll waits for one partition while others have unanswered orders too.
SLICE_MS = 20


class OrderClient:
    """Sends one client's orders and reads its reports; for one thread.

    Each order goes to the partition that has its symbol; a system without partitions is one of its
    own. ``client`` is a connection of :func:`mm.store.open_client`: it must not retry by itself,
    and must leave replies as bytes. ``clock`` gives seconds and is used for timeouts only. With
    replicas an order stays unanswered until its report is final (R28).

    An order id used again for another order is not executed. Its report has the status ``rejected``
    and the reason ``order_id_conflict``. The partitions know nothing of each other's orders: there
    an order id must be unique over all symbols, and only this object's unanswered orders are
    compared.

    Errors: ValueRefused for an order of another client. Unavailable when the server cannot be
    reached; the orders stay unanswered, and the next :meth:`poll` sends them again. SystemRefused
    when the server refuses the order API for good.
    """

    def __init__(
        self,
        client: redis.Redis,
        keys: Keys,
        client_id: str,
        resend_after_s: float = 2.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.client_id = check_id("client_id", client_id)
        self._client = client
        self._keys = keys
        self._resend_after_s = check_resend_after(resend_after_s)
        self._clock = clock
        self._routes: dict[str, str] = {}
        self._homes: dict[str, PartitionClient] = {}

    @classmethod
    def connect(
        cls,
        server: str | Path,
        client_id: str,
        keys: Keys | None = None,
        resend_after_s: float = 2.0,
    ) -> OrderClient:
        """A client for a server: its URL, or the data directory of its ``mm up``.

        The server need not run yet. Raises ValueRefused when ``server`` is neither.
        """
        client = open_client(server_url(server), user=user_of(client_id))
        return cls(client, keys or Keys(), client_id, resend_after_s)

    @property
    def unanswered(self) -> Mapping[str, UnansweredOrder]:
        """The orders that have no report yet, by order_id."""
        return {name: one for home in self._clients for name, one in home.unanswered.items()}

    @property
    def resent(self) -> int:
        """How many orders were sent again."""
        return sum(home.resent for home in self._clients)

    @property
    def duplicates(self) -> int:
        """How many reports were marked duplicate."""
        return sum(home.duplicates for home in self._clients)

    def forget(self, order_id: str) -> None:
        """Never send this order again. What was sent of it may still be executed."""
        for home in self._clients:
            home.forget(order_id)

    def close(self) -> None:
        """Drop the connections."""
        for home in self._clients:
            home.close()
        self._client.close()

    def send(self, orders: Iterable[Order]) -> None:
        """Send each order as its own entry, in one round trip for each partition.

        Does not wait for reports.
        """
        for home, batch in self._by_home(orders):
            home.send(batch)

    def send_bulk(self, orders: Iterable[Order]) -> None:
        """Send all orders as the fields of one entry for each partition; waits for no reports."""
        for home, batch in self._by_home(orders):
            home.send_bulk(batch)

    def poll(self, wait_ms: int = 0) -> list[Report]:
        """Reports received since the last poll, at most one per order.

        Waits up to ``wait_ms`` (1 s at most) for the first one. Sends overdue orders again. A
        partition that cannot be reached raises Unavailable only when no other has a report.
        """
        deadline = self._clock() + wait_ms / 1000
        found: list[Report] = []
        while True:
            busy = [home for home in self._clients if home.unanswered] or self._clients
            trouble: Unavailable | None = None
            for home in busy:
                left_ms = int(1000 * max(0.0, deadline - self._clock()))
                share = left_ms if len(busy) == 1 else min(left_ms, SLICE_MS)
                try:
                    found += home.poll(0 if found else share)
                except Unavailable as error:
                    trouble = error
            if found:
                return found
            if trouble is not None:
                raise trouble
            if len(busy) < 2 or self._clock() >= deadline:
                return found

    def trade(self, orders: Iterable[Order], wait_ms: int = 0) -> list[Report]:
        """Send orders and read reports, as :meth:`send` and :meth:`poll` do.

        In one round trip, where nothing is under way in another partition than theirs.
        """
        batches = self._by_home(orders)
        busy = {home for home in self._clients if home.unanswered} | {home for home, _ in batches}
        if len(batches) == len(busy) == 1:
            ((home, batch),) = batches
            return [answer.report for answer in home.trade(batch, wait_ms)]
        for home, batch in batches:
            home.send(batch)
        return self.poll(wait_ms)

    def submit(self, order: Order, timeout_s: float = 5.0) -> Report:
        """Send one order and wait for its report, across lost connections.

        Raises TimedOut. The order then stays unanswered, and a later :meth:`poll` goes on with it.
        Reports of other orders that arrive meanwhile are kept for the next poll.
        """
        deadline = self._clock() + timeout_s
        backoff = Backoff(FIRST_RETRY_S, LONGEST_RETRY_S)
        while True:
            try:
                home = self._home_of(order)
            except Unavailable as error:
                left_s = deadline - self._clock()
                if left_s <= 0:
                    raise TimedOut(
                        f"order {order.order_id}: it was not sent within {timeout_s:g} s ({error})"
                    ) from error
                time.sleep(min(backoff.failed(), left_s))
            else:
                return home.submit(order, max(0.0, deadline - self._clock()))

    @property
    def _clients(self) -> list[PartitionClient]:
        return list(self._homes.values())

    def _by_home(self, orders: Iterable[Order]) -> list[tuple[PartitionClient, list[Order]]]:
        batches: dict[str, list[Order]] = {}
        for order in orders:
            self._home_of(order)
            batches.setdefault(self._routes[order.symbol], []).append(order)
        return [(self._homes[prefix], batch) for prefix, batch in batches.items()]

    def _home_of(self, order: Order) -> PartitionClient:
        """The client of the partition that has the order's symbol; its errors are raised."""
        prefix = self._routes.get(order.symbol) or self._learn(order.symbol)
        for known, home in self._homes.items():
            if known != prefix and order.order_id in home.unanswered:
                raise ValueRefused(
                    f"order_id {order.order_id!r}: another order of this id is being sent; it must"
                    " be unique for the client"
                )
        return self._homes[prefix]

    def _learn(self, symbol: str) -> str:
        """The key prefix of the symbol's partition; it never changes once there is one."""
        config, routes = self._keys.named("config"), self._keys.named("routes")
        try:
            named, route = send_pipeline(
                self._client,
                [
                    ("HMGET", config, "system_id", "partitions", "partition"),
                    ("HGET", routes, symbol),
                ],
            )
        except (RedisError, OSError) as error:
            raise order_api_error(error) from error
        for reply in (named, route):
            if isinstance(reply, Exception):
                raise order_api_error(reply) from reply
        system_id, count, own = named
        if system_id is None:
            raise Unavailable(f"there is no system under {self._keys.prefix} yet")
        keys = self._keys
        if count is not None and own is None:
            # Any partition rejects a symbol that none has.
            keys = Keys(text(route)) if route is not None else keys.partition(0)
        if keys.prefix not in self._homes:
            client = over_tag(self._client, keys.prefix)
            self._homes[keys.prefix] = PartitionClient(
                client, keys, self.client_id, self._resend_after_s, self._clock
            )
        self._routes[symbol] = keys.prefix
        return keys.prefix
