"""The order API in one partition, or in a system without partitions.

Orders go to the client's inbox; a client that is not admitted appends to the stream of all orders.
A report that cannot be of the order that waits for it is never taken for its answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import redis
from redis.exceptions import RedisError

from mm.backoff import Backoff
from mm.errors import TimedOut, Unavailable, ValueRefused
from mm.market import Order, Report, check_id
from mm.orders.finality import Finality
from mm.orders.inbox import entries_of, newest_report, stream_of_orders
from mm.orders.trouble import order_api_error
from mm.orders.unanswered import (
    Answer,
    UnansweredOrder,
    UnansweredOrders,
    check_resend_after,
)
from mm.store import (
    Keys,
    send_pipeline,
    stream_id_order,
    text,
)

#: Longest blocking read, well below any usual socket timeout.
LONGEST_WAIT_MS = 1_000
#: Largest number of report entries read, and of orders sent again, in one round trip.
READ_ENTRIES = 1_000
MAX_RESENT = 1_000
#: First and longest delay before a lost connection is tried again.
FIRST_RETRY_S, LONGEST_RETRY_S = 0.02, 0.2


class PartitionClient:
    """Sends one client's orders in a partition and reads their reports; for one thread.

    Arguments and errors are those of :class:`mm.orders.OrderClient`, which finds the partition.

    ``resent`` counts orders sent again, and ``duplicates`` reports marked duplicate. ``unknown``
    counts reports of orders that this object did not send, or not with this content, or that
    already had one. ``malformed`` counts records that are not reports.
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
        self.resent = self.duplicates = self.unknown = self.malformed = 0
        self._client = client
        self._clock = clock
        self._keys = keys
        self._sends_to = ""
        self._reports_key = keys.member("reports:*", client_id)
        self._finality = Finality(keys, self._reports_key)
        self._unanswered = UnansweredOrders(check_resend_after(resend_after_s), clock)
        self._cursor: str | None = None
        self._ready: list[Answer] = []

    @property
    def unanswered(self) -> Mapping[str, UnansweredOrder]:
        """The orders that have no report yet, by order_id."""
        return self._unanswered.by_id

    def reconnect(self, client: redis.Redis) -> None:
        """Go on over another connection; unanswered orders stay so."""
        self._client = client

    def take_as_final(self) -> None:
        """From now on take a report for final when it is read, which a failover may undo."""
        self._finality.replicas = 0

    def forget(self, order_id: str) -> None:
        """Never send this order again. What was sent of it may still be executed."""
        self._unanswered.remove(order_id)

    def close(self) -> None:
        """Drop the connection."""
        self._client.close()

    def send(self, orders: Iterable[Order]) -> None:
        """Send each order as its own entry, all in one round trip. Does not wait for reports."""
        self._send(list(orders), 1)

    def send_bulk(self, orders: Iterable[Order]) -> None:
        """Send all orders as the fields of one entry. Does not wait for reports."""
        batch = list(orders)
        self._send(batch, len(batch))

    def poll(self, wait_ms: int = 0) -> list[Report]:
        """Reports received since the last poll, at most one per order.

        Waits up to ``wait_ms`` (1 s at most) for the first one. Sends overdue orders again.
        """
        return [answer.report for answer in self.trade([], wait_ms)]

    def trade(self, orders: Sequence[Order], wait_ms: int = 0, bulk: int = 1) -> list[Answer]:
        """Send orders, ``bulk`` to an entry, and read reports like :meth:`poll`."""
        self._accept(orders)
        self._round(orders, 0 if self._ready else wait_ms, bulk)
        self._resend()
        answers, self._ready = self._ready, []
        return answers

    def submit(self, order: Order, timeout_s: float = 5.0) -> Report:
        """Send one order and wait for its report, across lost connections.

        Raises TimedOut. The order then stays unanswered, and a later :meth:`poll` goes on with it.
        Reports of other orders that arrive meanwhile are kept for the next poll.
        """
        self._accept([order])
        deadline = self._clock() + timeout_s
        backoff = Backoff(FIRST_RETRY_S, LONGEST_RETRY_S)
        new, trouble = [order], ""
        while True:
            left_s = deadline - self._clock()
            try:
                wait_ms = int(min(max(0.0, left_s * 1000), LONGEST_WAIT_MS))
                self._round(new, wait_ms, 1)
                new, trouble = [], ""
                backoff.succeeded()
                self._resend()
            except Unavailable as error:
                new, trouble = [], f" ({error})"
                time.sleep(max(0.0, min(backoff.failed(), left_s)))
            for answer in self._ready:
                if answer.order.order_id == order.order_id:
                    self._ready.remove(answer)
                    return answer.report
            if left_s <= 0:
                raise TimedOut(
                    f"order {order.order_id}: no report within {timeout_s:g} s{trouble}. It may"
                    " still be executed: send it again under the same order_id to learn more."
                )

    def _send(self, orders: Sequence[Order], bulk: int) -> None:
        self._accept(orders)
        if orders:
            self._round(orders, None, bulk)

    def _accept(self, orders: Sequence[Order]) -> None:
        """Check the orders, and count them as unanswered before anything is sent."""
        order_ids = set()
        for order in orders:
            if order.client_id != self.client_id:
                raise ValueRefused(
                    f"client_id {order.client_id!r}: it must be this client's, {self.client_id!r}"
                )
            pending = self.unanswered.get(order.order_id)
            if order.order_id in order_ids or (pending and pending.order != order):
                raise ValueRefused(
                    f"order_id {order.order_id!r}: another order of this id is being sent; it must"
                    " be unique for the client"
                )
            order_ids.add(order.order_id)
        self.resent += sum([self._unanswered.mark_sent(order) for order in orders])

    def _round(self, orders: Sequence[Order], wait_ms: int | None, bulk: int) -> None:
        """One round trip: send the orders, and read reports unless ``wait_ms`` is None."""
        try:
            if not self._sends_to:
                self._sends_to = stream_of_orders(self._client, self._keys, self.client_id)
                self._finality.learn(self._client)
            if self._cursor is None:
                # This must precede the first order, else its report could be missed.
                self._cursor = newest_report(self._client, self._reports_key)
            commands: list[tuple[str | int, ...]] = [
                ("XADD", self._sends_to, "*", *words) for words in entries_of(orders, bulk)
            ]
            if wait_ms is not None:
                block = self._block_ms(wait_ms)
                options: tuple[str | int, ...] = ("BLOCK", block) if block > 0 else ()
                stream = (self._reports_key, self._cursor)
                commands.append(("XREAD", "COUNT", READ_ENTRIES, *options, "STREAMS", *stream))
            if not self._finality.replicas:
                results = send_pipeline(self._client, commands)
            else:
                results = self._final_round(commands, wait_ms)
        except Unavailable:
            self._unanswered.mark_lost(orders)
            raise
        except (RedisError, OSError) as error:
            self._unanswered.mark_lost(orders)
            raise order_api_error(error) from error
        failed = [result for result in results if isinstance(result, Exception)]
        if wait_ms is not None and not isinstance(results[-1], Exception):
            self._read(results[-1])
        if failed:
            self._unanswered.mark_lost(orders)
            is_admitted, self._sends_to = self._sends_to != self._keys.named("orders"), ""
            raise order_api_error(failed[0], self.client_id, is_admitted) from failed[0]

    def _final_round(
        self, commands: Sequence[tuple[str | int, ...]], wait_ms: int | None
    ) -> list[Any]:
        """The same with replicas: what was read is final when this returns.

        When it waits for a report, what makes it final goes along: so one wait of the server's for
        its disk serves both, and so does one round trip.
        """
        finality = self._finality
        along = finality.commands if wait_ms else []
        info, *results = send_pipeline(self._client, [finality.look, *commands, *along])
        if finality.is_cut(info):
            # What the cut of the history may have undone goes again.
            self._cursor = "0-0"
            self._unanswered.mark_lost([one.order for one in self.unanswered.values()])
            raise Unavailable("the server's history was cut: orders without a report go again")
        confirmed = results[len(commands) :]
        results = results[: len(commands)]
        reply = results[-1] if wait_ms is not None else None
        if reply and not isinstance(reply, Exception):
            if along:
                finality.judge(*confirmed)
            else:
                finality.confirm(self._client)
        return results

    def _block_ms(self, wait_ms: int) -> int:
        due_s = self._unanswered.due_in_s()
        if due_s is not None:
            wait_ms = min(wait_ms, int(1000 * due_s) + 1)
        return min(wait_ms, LONGEST_WAIT_MS)

    def _read(self, reply: Any) -> None:
        for _, entries in reply or []:
            for entry_id, fields in entries:
                self._cursor = text(entry_id)
                for order_id, line in zip(fields[::2], fields[1::2], strict=True):
                    self._record(text(order_id), text(line))

    def _record(self, order_id: str, line: str) -> None:
        try:
            report = Report.parse(order_id, line)
        except ValueError:
            self.malformed += 1
            return
        self.duplicates += report.duplicate
        pending = self.unanswered.get(order_id)
        if pending is None:
            self.unknown += not report.duplicate
            return
        order = pending.order
        if not report.can_answer(order):
            # It is of another order with this id, which another sender or an earlier run has sent.
            if not report.duplicate:
                self.unknown += 1
                return
            report = report.as_conflict()
        self._unanswered.remove(order_id)
        self._ready.append(Answer(order, report))

    def _resend(self) -> None:
        """Send overdue orders again."""
        orders = self._unanswered.take_overdue(MAX_RESENT)
        if orders:
            self.resent += len(orders)
            self._rewind()
            self._round(orders, 0, 1)

    def _rewind(self) -> None:
        """Set the cursor to the start of the reports stream when the stream ends before it.

        The stream expires when idle. If the server's clock has been set back since then, the new
        ids are below the old ones, so only reading from the start finds the new reports.
        """
        try:
            newest = stream_id_order(newest_report(self._client, self._reports_key))
            if self._cursor and newest < stream_id_order(self._cursor):
                self._cursor = "0-0"
        except (RedisError, OSError) as error:
            raise order_api_error(error) from error
