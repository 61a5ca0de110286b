"""A desk sends the orders of one client, and hands each its report.

An order client is for one thread, so each desk has one. What comes meanwhile goes together in the
next round trip. Nobody waits here without a bound: a request gives up by itself, and its order is
then never sent again from here. It may still be executed; sent again under its id it gets the
outcome (R13).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from redis.exceptions import RedisError

from mm.backoff import Backoff
from mm.errors import MMError, SystemRefused, Unavailable
from mm.gateway.answers import Refused, unavailable
from mm.log_event import log_details
from mm.market import CONFLICT, Config, Order, Report
from mm.order_lines import reported_order, sent_order
from mm.orders import Answer, FirstOrder, OrderClient, first_orders, waiting_order
from mm.store import OrderMemory, Scripts, partition_of, trouble_of

#: Milliseconds of one wait for reports: an order that comes meanwhile waits as long at most.
WAIT_MS = 5
#: Orders that may wait at one desk. A desk that had no order for so many seconds is closed when
#: another one is opened.
MAX_WAITING, IDLE_S = 1_000, 60.0
#: First and longest pause before a lost connection is tried again.
FIRST_RETRY_S, LONGEST_RETRY_S = 0.02, 0.2
_LOG = logging.getLogger("mm.serve")


@dataclass(frozen=True)
class Answered:
    """The report of an order, and the first order of its id when that is another one."""

    report: Report
    first: FirstOrder | None = None


@dataclass(eq=False)
class Waiting:
    """An order without a report, and the requests that wait for it."""

    order: Order
    config: Config
    futures: list[asyncio.Future[Answered]] = field(default_factory=list)


class Desk:
    """Sends the orders of one client; all but the thread's own work is on the event loop.

    ``reader`` returns scripts that may read what the exchange remembers. ``trouble`` is why orders
    do not get through now, or empty text. ``ended`` says that a fault of this program has ended its
    thread: no order may be given to it any more.
    """

    def __init__(self, client: OrderClient, reader: Callable[[], Scripts]) -> None:
        self.trouble = ""
        self.ended = False
        self.used_at = time.monotonic()
        self._client, self._reader = client, reader
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[str, Waiting] = {}
        self._new: queue.SimpleQueue[Order | str | None] = queue.SimpleQueue()
        self._unsent: list[Order] = []
        self._homes: dict[str, str] = {}
        self._memories: dict[str, OrderMemory] = {}
        name = f"desk {client.client_id}"
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def idle(self) -> bool:
        """Whether no order waits here."""
        return not self._waiting

    def close(self) -> None:
        """Let the thread end."""
        self._new.put(None)

    async def submit(self, order: Order, config: Config) -> Answered:
        """The report of an order; a caller that waits no longer cancels this.

        The same order from another request is not sent twice: its report is marked duplicate.
        Refused: 409 for another order of an id that waits here, 503 when there are too many.
        Unavailable and SystemRefused: why no report comes.
        """
        self.used_at = time.monotonic()
        found = self._waiting.get(order.order_id)
        if found is not None and found.order != order:
            first = waiting_order(found.order, found.config.symbol(found.order.symbol))
            raise Refused(
                409,
                CONFLICT,
                f"order id {order.order_id}: another order of this id waits for its report:"
                f" {first.words}",
                facts={"reason": CONFLICT, "first_order": first.facts},
            )
        again = found is not None
        if found is None:
            if len(self._waiting) >= MAX_WAITING:
                raise unavailable(
                    f"{MAX_WAITING} orders of this client wait for their reports. This one was not"
                    " sent, and may be sent again",
                    may_be_executed=False,
                )
            found = self._waiting[order.order_id] = Waiting(order, config)
            self._new.put(order)
        future = self._loop.create_future()
        found.futures.append(future)
        try:
            answered: Answered = await future
        finally:
            found.futures.remove(future)
            if not found.futures and self._waiting.get(order.order_id) is found:
                del self._waiting[order.order_id]
                self._new.put(order.order_id)
        if again and answered.first is None:
            return Answered(replace(answered.report, duplicate=True))
        return answered

    # --- the thread

    def _run(self) -> None:
        backoff = Backoff(FIRST_RETRY_S, LONGEST_RETRY_S)
        try:
            while self._take():
                try:
                    self._trade()
                    self.trouble = ""
                    backoff.succeeded()
                except (MMError, RedisError, OSError) as error:
                    self.trouble = trouble_of(error).words
                    if isinstance(error, SystemRefused):
                        self._fail(error)
                    time.sleep(backoff.failed())
        except Exception:  # noqa: BLE001  # whatever it is, those who wait must learn it
            if not self._loop.is_closed():
                _LOG.exception("a fault has ended the desk of %s", self._client.client_id)
                self._loop.call_soon_threadsafe(self._end)
        finally:
            self._client.close()

    def _take(self) -> bool:
        """Take what is new; waits for it while no order is unanswered. False at the end."""
        busy = bool(self._unsent or self._client.unanswered)
        if not busy:
            # Whatever it was, no order waits for it.
            self.trouble = ""
        with contextlib.suppress(queue.Empty):
            item = self._new.get(block=not busy)
            while item is not None:
                if isinstance(item, Order):
                    self._unsent.append(item)
                else:
                    self._forget(item)
                item = self._new.get_nowait()
            return False
        return True

    def _forget(self, order_id: str) -> None:
        self._unsent = [one for one in self._unsent if one.order_id != order_id]
        self._client.forget(order_id)

    def _trade(self) -> None:
        """One round: send what is new, read reports, and hand them out."""
        if not (self._unsent or self._client.unanswered):
            return
        orders, self._unsent = self._unsent, []
        try:
            reports = self._client.trade(orders, WAIT_MS)
        except BaseException:
            # What the client has accepted it sends again by itself.
            known = self._client.unanswered
            self._unsent = [one for one in orders if one.order_id not in known]
            raise
        finally:
            sent = (sent_order(one) for one in orders if one not in self._unsent)
            log_details(_LOG, "sent", sent)
        if reports:
            self._loop.call_soon_threadsafe(self._hand_out, self._judged(reports))

    def _judged(self, reports: Iterable[Report]) -> list[tuple[str, Answered | MMError]]:
        """Each report with its order's id; another sender's report is made one of a conflict."""
        waited = [(self._waiting.get(one.order_id), one) for one in reports]
        batches: dict[str, list[tuple[Waiting, Report]]] = {}
        try:
            for one, report in waited:
                if one is not None:
                    batches.setdefault(self._home(one.order.symbol), []).append((one, report))
            return [
                answer for home, batch in batches.items() for answer in self._first(home, batch)
            ]
        except (MMError, RedisError, OSError) as error:
            # Whose reports they are is not known.
            unknown = Unavailable(trouble_of(error).words)
            return [(report.order_id, unknown) for _, report in waited]

    def _home(self, symbol: str) -> str:
        """The key prefix of the partition that has the symbol."""
        if symbol not in self._homes:
            one = partition_of(self._reader(), symbol)
            self._homes[symbol] = one.keys.prefix
            self._memories.setdefault(one.keys.prefix, OrderMemory(one.client, one.keys))
        return self._homes[symbol]

    def _first(
        self, home: str, batch: Sequence[tuple[Waiting, Report]]
    ) -> Iterator[tuple[str, Answered | MMError]]:
        """The answers of one partition."""
        memory, config = self._memories[home], batch[-1][0].config
        others = first_orders(memory, config, [Answer(one.order, report) for one, report in batch])
        for one, report in batch:
            first = others.get(one.order.order_id)
            yield report.order_id, Answered(report.as_conflict() if first else report, first)

    def _hand_out(self, answers: Iterable[tuple[str, Answered | MMError]]) -> None:
        for order_id, answered in answers:
            if isinstance(answered, Answered):
                facts = reported_order(self._client.client_id, answered.report)
                log_details(_LOG, "reported", [facts])
            waiting = self._waiting.pop(order_id, None)
            for future in waiting.futures if waiting else ():
                if future.done():
                    continue
                if isinstance(answered, Answered):
                    future.set_result(answered)
                else:
                    future.set_exception(answered)

    def _fail(self, error: MMError) -> None:
        """No order can be sent: all that wait learn why."""
        names = [*self._client.unanswered, *(one.order_id for one in self._unsent)]
        for order_id in names:
            self._forget(order_id)
        self._loop.call_soon_threadsafe(self._hand_out, [(name, error) for name in names])

    def _end(self) -> None:
        """Take no order any more; all that wait learn why."""
        self.ended = True
        words = "a fault of the gateway, which its log names, has ended the desk of this client"
        fault = Unavailable(words)
        self._hand_out([(order_id, fault) for order_id in list(self._waiting)])
