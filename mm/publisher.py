"""The publisher: drives orders through the public order API, synthetic ones or those of a tape.

It knows the configuration, which is public, and its own reports, and nothing else of the system.
At its end it sends no more, waits a bounded time for the reports that are missing, and says what
came of everything it sent.
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

#: Orders sent in one round trip at most.
BATCH = 1_000


@dataclass(frozen=True)
class PublisherOptions:
    """What a publisher sends and for how long; ValueRefused names what cannot be used.

    ``tape`` replaces the synthetic ``flow``, at ``speed`` (1 real time, 0 flat out). It ends after
    ``duration_s`` or ``orders`` orders or with the tape, whichever is first; without any, never.
    ``in_flight`` bounds the orders without a report, ``bulk`` is how many share a stream entry,
    ``drain_s`` how long missing reports are awaited at the end. ``journal`` is a file to which
    each outcome is appended (see :mod:`mm.journal`).
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
        check_int("bulk", self.bulk, high=BATCH)


class Publisher(Process):
    """Sends the flow at its pace and counts what comes of it.

    :meth:`run` returns at the end of the flow or soon after its ``stop`` is set;
    :attr:`summary` then says what happened. Order ids are ``<run>-<n>`` with a run id of its own,
    so that a publisher started again never repeats one.
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
        self._orders: OrderClient | None = None
        self._intents: Iterator[Intent] = iter(())
        self._next: Intent | None = None
        self._started_s: float | None = None
        self._draining_until_s: float | None = None
        self._outcomes = OutcomeCounts()
        self._journal: Journal | None = None

    @property
    def summary(self) -> Summary:
        """What came of everything sent so far."""
        return self._outcomes.summary(self.count, self._orders)

    def run(self, stop: threading.Event) -> None:
        """Send until the flow ends or ``stop`` is set, then wait for what is unanswered.

        Raises SystemRefused and UsageError; a lost connection is retried, and nothing is dropped.
        """
        self._stop = stop
        try:
            super().run(self.over)
        finally:
            self.finish()

    def finish(self) -> None:
        """Close the journal and log what came of everything."""
        if self._journal is not None:
            self._journal.close()
        self.log.info("summary %s", self.summary.text())

    def attach(self, scripts: Scripts) -> None:
        """Take up a connection; what is unanswered is sent again over it when it is overdue."""
        super().attach(scripts)
        if self._orders is not None:
            self._orders.reconnect(scripts.client)

    def close(self) -> None:
        """Drop the connection; an end that is due comes whether or not a server answers."""
        super().close()
        self._end_when_due()

    def beat(self) -> None:
        """One heartbeat, and a line of progress."""
        super().beat()
        self.log.info("progress %s", self.summary.text())

    def release_expired(self) -> None:
        """Nothing: exposure is not a publisher's business."""
        return

    def step(self, wait_ms: int = 0) -> bool:
        """Send what is due, wait up to ``wait_ms`` for reports or the next order, count them."""
        orders = self._begin()
        self._end_when_due()
        due = self._take_due(orders)
        wait_s = min(wait_ms / 1000, self._next_due_s(orders))
        if due or orders.unanswered:
            self.count += len(due)
            self._count(orders.trade(due, int(wait_s * 1000), self.options.bulk))
            # The server waits in whole milliseconds; the rest is waited here.
            left_s = self._next_due_s(orders)
            wait_s = left_s if wait_ms > 0 and left_s < 0.001 else 0.0
        if wait_s > 0:
            self.over.wait(wait_s)
        self._end_when_due()
        return self._next_due_s(orders) <= 0

    def _begin(self) -> OrderClient:
        if self._orders is None:
            options = self.options
            config = self._config or require_config(self.scripts)
            self._intents = _intents(config, options)
            self._next = next(self._intents, None)
            if options.journal is not None:
                self._journal = Journal(options.journal)
            client = self.scripts.client
            self._orders = OrderClient(client, self.keys, self.name, options.resend_after_s)
            self._started_s = time.monotonic()
        return self._orders

    def _take_due(self, orders: OrderClient) -> Sequence[Order]:
        due: list[Order] = []
        most = min(BATCH, self.options.in_flight - len(orders.unanswered))
        while len(due) < most and self._next is not None and self._in_s(self._next) <= 0:
            number = self.count + len(due) + 1
            due.append(self._next.order(self.name, f"{self.run_id}-{number}"))
            last = number == self.options.orders
            self._next = None if last else next(self._intents, None)
        return due

    def _in_s(self, intent: Intent) -> float:
        return (self._started_s or 0.0) + intent.at_s - time.monotonic()

    def _next_due_s(self, orders: OrderClient) -> float:
        """Seconds until the next order may go out; infinite when none may before a report."""
        if self._next is None or len(orders.unanswered) >= self.options.in_flight:
            return math.inf
        return self._in_s(self._next)

    def _count(self, answers: Sequence[Answer]) -> None:
        self._outcomes.add(answers)
        if self._journal is not None:
            self._journal.write(answers)

    def _end_when_due(self) -> None:
        now = time.monotonic()
        begun, duration = self._started_s, self.options.duration_s
        late = begun is not None and duration is not None and now - begun >= duration
        if self._stop.is_set() or late:
            self._next = None
        ended = self._stop.is_set() or (begun is not None and self._next is None)
        if not ended:
            return
        if self._draining_until_s is None:
            self._draining_until_s = now + self.options.drain_s
        missing = self._orders is not None and self._orders.unanswered
        if not missing or now >= self._draining_until_s:
            self.over.set()


def _intents(config: Config, options: PublisherOptions) -> Iterator[Intent]:
    if options.tape is not None:
        return iter(tape_orders(options.tape, config, options.speed))
    return synthetic_orders(config.symbols, options.flow)
