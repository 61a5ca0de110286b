"""The publisher: sends synthetic orders, or those of a tape, through the public order API.

It reads only the configuration, which is public, and its own reports. At its end it stops sending,
waits a bounded time for missing reports, and says how many orders had which outcome.
"""

from __future__ import annotations

import math
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import redis

from mm.errors import ValueRefused
from mm.market import Config, Durability, Order, check_int
from mm.orders import (
    Answer,
    FlowOptions,
    Intent,
    Journal,
    OrderClient,
    OutcomeCounts,
    Summary,
    Tape,
    synthetic_orders,
    tape_orders,
)
from mm.process import Process
from mm.store import Keys, Scripts, require_config

#: Largest number of orders sent in one round trip.
MAX_BATCH = 1_000


@dataclass(frozen=True)
class PublisherOptions:
    """What a publisher sends and for how long. ValueRefused names an option that cannot be used.

    ``tape`` replaces the synthetic ``flow``, at ``speed`` (1 real time, 0 flat out). Sending ends
    after ``duration_s``, after ``orders`` orders, or with the tape, whichever is first; without any
    of them it never ends. ``in_flight`` bounds the orders without a report. ``bulk`` orders share a
    stream entry. An order without a report is sent again after ``resend_after_s``. At the end the
    publisher waits up to ``drain_s`` for missing reports. Each outcome is appended to the file
    ``journal`` (see :class:`mm.orders.Journal`).
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

    def __post_init__(self) -> None:
        for name, value in (("duration_s", self.duration_s), ("drain_s", self.drain_s)):
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise ValueRefused(f"{name} {value}: it must be a number of seconds, 0 or more")
        if not 0 < self.resend_after_s < 1e6:
            raise ValueRefused(f"resend_after_s {self.resend_after_s}: it must be above 0 seconds")
        if self.orders is not None:
            check_int("orders", self.orders)
        check_int("in_flight", self.in_flight, high=1_000_000)
        check_int("bulk", self.bulk, high=MAX_BATCH)


class Publisher(Process):
    """Sends the flow at its pace and counts the outcomes.

    :meth:`run` returns at the end of the flow, or soon after its ``stop`` is set. Then
    :attr:`summary` is complete. Order ids are ``RUN-NUMBER`` with a new run id for each publisher,
    so that a restarted one repeats no id.
    """

    kind: ClassVar[str] = "publisher"
    creates: ClassVar[bool] = False

    def __init__(
        self,
        connect: Callable[[], redis.Redis],
        keys: Keys,
        ident: str = "1",
        config: Config | None = None,
        durability: Durability | None = None,
        options: PublisherOptions | None = None,
    ) -> None:
        super().__init__(connect, keys, ident, config, durability)
        self.options = options or PublisherOptions()
        self.run_id = secrets.token_hex(4)
        self.over = threading.Event()
        self._stop = threading.Event()
        self._client: OrderClient | None = None
        self._intents: Iterator[Intent] = iter(())
        self._next: Intent | None = None
        self._started_s: float | None = None
        self._draining_until_s: float | None = None
        self._outcomes = OutcomeCounts()
        self._journal: Journal | None = None

    @property
    def summary(self) -> Summary:
        """The outcomes of all orders sent so far."""
        return self._outcomes.summary(self.count, self._client)

    def run(self, stop: threading.Event) -> None:
        """Send until the flow ends or ``stop`` is set, then wait for missing reports.

        Raises SystemRefused and UsageError. It retries after a lost connection, and drops no order.
        """
        self._stop = stop
        try:
            super().run(self.over)
        finally:
            self.finish()

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

    def beat(self) -> None:
        """Send a heartbeat, and log the progress."""
        super().beat()
        self.log.info("progress %s", self.summary.text())

    def release_expired(self) -> None:
        """Do nothing: a publisher does not touch exposure."""
        return

    def step(self, wait_ms: int = 0) -> bool:
        """Send the orders that are due and count reports. Wait up to ``wait_ms`` for either."""
        client = self._begin()
        self._end_when_due()
        due = self._take_due(client)
        wait_s = min(wait_ms / 1000, self._next_due_s(client))
        if due or client.unanswered:
            self.count += len(due)
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
            config = self._config or require_config(self.scripts)
            self._intents = _intents(config, options)
            self._next = next(self._intents, None)
            if options.journal is not None:
                self._journal = Journal(options.journal)
            connection = self.scripts.client
            self._client = OrderClient(connection, self.keys, self.name, options.resend_after_s)
            self._started_s = time.monotonic()
        return self._client

    def _take_due(self, client: OrderClient) -> Sequence[Order]:
        due: list[Order] = []
        max_orders = min(MAX_BATCH, self.options.in_flight - len(client.unanswered))
        while len(due) < max_orders and self._next is not None and self._due_in_s(self._next) <= 0:
            number = self.count + len(due) + 1
            due.append(self._next.order(self.name, f"{self.run_id}-{number}"))
            last = number == self.options.orders
            self._next = None if last else next(self._intents, None)
        return due

    def _due_in_s(self, intent: Intent) -> float:
        return (self._started_s or 0.0) + intent.at_s - time.monotonic()

    def _next_due_s(self, client: OrderClient) -> float:
        """Seconds until the next order may be sent; infinite when a report must come first."""
        if self._next is None or len(client.unanswered) >= self.options.in_flight:
            return math.inf
        return self._due_in_s(self._next)

    def _count(self, answers: Sequence[Answer]) -> None:
        self._outcomes.add(answers)
        if self._journal is not None:
            self._journal.write(answers)

    def _end_when_due(self) -> None:
        """Stop sending when it is time; end when no report is missing, or after ``drain_s``."""
        now_s = time.monotonic()
        started_s, duration_s = self._started_s, self.options.duration_s
        if self._stop.is_set():
            self._next = None
        elif started_s is None:
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
    return synthetic_orders(config.symbols, options.flow)
