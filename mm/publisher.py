"""The publisher: sends synthetic orders, or those of a tape, through the public order API.

It reads only the configuration, which is public, and its own reports. At its end it stops sending,
waits a bounded time for missing reports, and says how many orders had which outcome.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import ClassVar

import redis

from mm.errors import Unavailable, ValueRefused
from mm.market import Config, Durability, Order, check_int
from mm.orders import (
    Answer,
    FirstQuotes,
    FlowOptions,
    Intent,
    Journal,
    OrderClient,
    OutcomeCounts,
    Summary,
    Tape,
    check_run_id,
    new_run_id,
    newest_answered,
    order_number,
    synthetic_orders,
    tape_orders,
)
from mm.process import Process
from mm.store import Keys, Scripts

#: Largest number of orders sent in one round trip.
MAX_BATCH = 1_000
#: Seconds from one look for the first quotes to the next.
LOOK_S = 0.05


@dataclass(frozen=True)
class PublisherOptions:
    """What a publisher sends and for how long. ValueRefused names an option that cannot be used.

    ``tape`` replaces the synthetic ``flow``, at ``speed`` (1 real time, 0 flat out). Sending ends
    after ``duration_s``, after ``orders`` orders, or with the tape, whichever is first; without any
    of them it never ends. No order is sent that is ``in_flight`` or more behind the oldest one
    without a report. ``bulk`` orders share a stream entry. An order without a report is sent again
    after ``resend_after_s``. At the end the publisher waits up to ``drain_s`` for missing reports.
    Each outcome is appended to the file ``journal`` (see :class:`mm.orders.Journal`).

    A publisher that is started again with the same ``run_id`` and otherwise the same options goes
    on with its run, as do ``orders``, the tape and ``duration_s``. (A flow that is flat out has no
    time of its own: its duration begins again.) None is a new run. A tape begins when each of its
    symbols has had a quote, or ``quotes_wait_s`` later.
    """

    flow: FlowOptions = field(default_factory=FlowOptions)
    tape: Tape | None = None
    speed: float = 1.0
    duration_s: float | None = None
    orders: int | None = None
    in_flight: int = 200
    bulk: int = 1
    resend_after_s: float = 2.0
    drain_s: float = 5.0
    journal: Path | None = None
    run_id: str | None = None
    quotes_wait_s: float = 15.0

    def __post_init__(self) -> None:
        for name in ("duration_s", "drain_s", "quotes_wait_s"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise ValueRefused(f"{name} {value}: it must be a number of seconds, 0 or more")
        if not 0 < self.resend_after_s < 1e6:
            raise ValueRefused(f"resend_after_s {self.resend_after_s}: it must be above 0 seconds")
        if self.orders is not None:
            check_int("orders", self.orders)
        check_int("in_flight", self.in_flight, high=1_000_000)
        check_int("bulk", self.bulk, high=MAX_BATCH)
        if self.run_id is not None:
            check_run_id(self.run_id)


class Publisher(Process):
    """Sends the flow at its pace and counts the outcomes.

    :meth:`run` returns at the end of the flow, or soon after its ``stop`` is set. Then
    :attr:`summary` is complete. Order ids are ``RUN-NUMBER``. The same number of the same run is
    always the same order. So a publisher that goes on with a run sends its last orders again, and
    none of them trades twice.
    """

    kind: ClassVar[str] = "publisher"

    def __init__(
        self,
        connect: Callable[[], redis.Redis],
        keys: Keys,
        ident: str = "1",
        config: Config | None = None,
        durability: Durability | None = None,
        options: PublisherOptions | None = None,
        system_id: str | None = None,
    ) -> None:
        super().__init__(connect, keys, ident, config, durability, system_id)
        self.options = options or PublisherOptions()
        self.run_id = self.options.run_id or new_run_id()
        self.over = threading.Event()
        self._stop = threading.Event()
        self._client: OrderClient | None = None
        self._intents: Iterator[Intent] = iter(())
        self._next: Intent | None = None
        self._run_at_s: float | None = None
        self._started_s: float | None = None
        self._draining_until_s: float | None = None
        self._first = 1
        tape = self.options.tape
        symbols = tape.by_symbol if tape is not None else ()
        self._quotes = FirstQuotes(symbols, self.options.quotes_wait_s, self._tell)
        self._outcomes = OutcomeCounts()
        self._journal: Journal | None = None

    @property
    def summary(self) -> Summary:
        """The outcomes of all orders sent so far."""
        return self._outcomes.summary(self.count, self._client, self._first)

    def run(self, stop: threading.Event) -> None:
        """Send until the flow ends or ``stop`` is set, then wait for missing reports.

        Raises SystemRefused and UsageError, and Unavailable when no server could be used for the
        whole duration. It retries after a lost connection, and drops no order.
        """
        self._stop, self._run_at_s = stop, time.monotonic()
        try:
            super().run(self.over)
        finally:
            self.finish()
        if self._started_s is None and not stop.is_set():
            why = self._waiting_for or "no server could be used"
            raise Unavailable(f"nothing was sent in {self.options.duration_s:g} s: {why}")

    def finish(self) -> None:
        """Close the journal and log the summary."""
        if self._journal is not None:
            self._journal.close()
        self.log.info("summary %s", self.summary.text())

    def attach(self, scripts: Scripts) -> None:
        """Take up a connection. Unanswered orders are sent again over it when they are overdue."""
        super().attach(scripts)
        if self._client is not None:
            self._client.reconnect(scripts.client)

    def close(self) -> None:
        """Drop the connection. An end that is due comes even if no server answers."""
        super().close()
        self._end_when_due()

    def release_expired(self) -> float | None:
        """Do nothing: a publisher does not touch exposure."""
        return None

    def step(self, wait_ms: int = 0) -> bool:
        """Send the orders that are due and count reports. Wait up to ``wait_ms`` for either."""
        client = self._begin()
        if self._started_s is None and self._quotes.are_there(self.scripts.client, self.keys):
            self._started_s = time.monotonic()
        self._end_when_due()
        if self._started_s is None:
            self.over.wait(min(wait_ms / 1000, LOOK_S))
            return False
        due = self._take_due(client)
        wait_s = min(wait_ms / 1000, self._next_due_s(client))
        if due or client.unanswered:
            self.count += len(due)
            self.done["sent"] += len(due)
            self._count(client.trade(due, int(wait_s * 1000), self.options.bulk))
            # The server waits in whole milliseconds. This process waits for the rest.
            left_s = self._next_due_s(client)
            wait_s = left_s if wait_ms > 0 and left_s < 0.001 else 0.0
        if wait_s > 0:
            self.over.wait(wait_s)
        self._end_when_due()
        return self._next_due_s(client) <= 0

    def _begin(self) -> OrderClient:
        if self._client is None:
            options = self.options
            config = self.stored_config()
            if options.tape is None and config.version > 1:
                # The flow follows from the configuration: with another one it is another run.
                self.run_id = f"{self.run_id}-v{config.version}"
            connection = self.scripts.client
            answered = 0
            if options.run_id is not None:
                answered = newest_answered(connection, self.keys, self.name, self.run_id)
            self._continue(_intents(config, options), answered)
            if options.journal is not None:
                self._journal = Journal(options.journal)
            self._client = OrderClient(connection, self.keys, self.name, options.resend_after_s)
        return self._client

    def _continue(self, intents: Iterator[Intent], answered: int) -> None:
        """Go on after the order number ``answered``; 0 begins the run.

        The last orders up to it may be unanswered, so they are sent again, at once. The time of the
        flow goes on from it.
        """
        again = deque(islice(intents, answered), maxlen=self.options.in_flight)
        if answered:
            self._first = max(1, answered - self.options.in_flight + 1)
            self._started_s = time.monotonic() - (again[-1].at_s if again else 0.0)
            self._tell(f"run {self.run_id} goes on at order {self._first}")
        self._intents = chain(again, intents)
        self._next = next(self._intents, None)

    def _tell(self, words: str) -> None:
        self.log.info("%s", words)
        self.say(words)

    def _take_due(self, client: OrderClient) -> Sequence[Order]:
        due: list[Order] = []
        max_orders = min(MAX_BATCH, self._room(client))
        while len(due) < max_orders and self._next is not None and self._due_in_s(self._next) <= 0:
            number = self._first + self.count + len(due)
            due.append(self._next.order(self.name, f"{self.run_id}-{number}"))
            last = self.options.orders is not None and number >= self.options.orders
            self._next = None if last else next(self._intents, None)
        return due

    def _room(self, client: OrderClient) -> int:
        """How many orders may be sent before the oldest one without a report has one."""
        number = self._first + self.count
        oldest = next(iter(client.unanswered), "")
        # Orders are first sent in the order of their numbers, and the table keeps that order.
        behind = number - order_number(self.run_id, oldest) if oldest else 0
        return self.options.in_flight - behind

    def _due_in_s(self, intent: Intent) -> float:
        return (self._started_s or 0.0) + intent.at_s - time.monotonic()

    def _next_due_s(self, client: OrderClient) -> float:
        """Seconds until the next order may be sent; infinite when a report must come first."""
        if self._next is None or self._room(client) <= 0:
            return math.inf
        return self._due_in_s(self._next)

    def _count(self, answers: Sequence[Answer]) -> None:
        self._outcomes.add(answers)
        self.done.update(answer.report.status for answer in answers)
        if self._journal is not None:
            self._journal.write(answers)

    def _end_when_due(self) -> None:
        """Stop sending when it is time; end when no report is missing, or after ``drain_s``."""
        now_s = time.monotonic()
        started_s, duration_s = self._started_s, self.options.duration_s
        if self._stop.is_set():
            self._next = None
        elif started_s is None:
            # Without a server nothing began: the duration counts from the start of the run.
            if duration_s is not None and now_s - (self._run_at_s or now_s) >= duration_s:
                self.over.set()
            return
        elif duration_s is not None and now_s - started_s >= duration_s:
            self._next = None
        if self._next is not None:
            return
        if self._draining_until_s is None:
            self._draining_until_s = now_s + self.options.drain_s
        missing = self._client is not None and self._client.unanswered
        if not missing or now_s >= self._draining_until_s:
            self.over.set()


def _intents(config: Config, options: PublisherOptions) -> Iterator[Intent]:
    if options.tape is not None:
        return iter(tape_orders(options.tape, config, options.speed))
    return synthetic_orders(config.traded, options.flow)
