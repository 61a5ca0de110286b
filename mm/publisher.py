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
from itertools import chain, islice
from typing import ClassVar

import redis

from mm.errors import Unavailable
from mm.market import Config, Durability, Order
from mm.order_lines import reported_order, sent_order
from mm.orders import (
    MAX_BATCH,
    Answer,
    FirstQuotes,
    Intent,
    Journal,
    OutcomeCounts,
    Pacing,
    PartitionClient,
    PublisherOptions,
    Summary,
    new_run_id,
    newest_answered,
    order_number,
)
from mm.process import Process
from mm.store import Keys, Scripts, execute

#: Seconds from one look for the first quotes to the next.
LOOK_S = 0.05


class Publisher(Process):
    """Sends the flow at its pace and counts the outcomes.

    :meth:`run` returns at the end of the flow, or soon after its ``stop`` is set. Then
    :attr:`summary` is complete. Order ids are ``RUN-NUMBER``. The same number of the same run is
    always the same order. So a publisher that goes on with a run sends its last orders again, and
    none of them trades twice. The flow follows from the configuration: from its version 2 on the
    run is ``RUN-vVERSION``, and when the version changes, the publisher waits for its reports and
    begins the next run.
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
        self.run_id = self._run_name = self.options.run_id or new_run_id()
        self.over = threading.Event()
        self._stop = threading.Event()
        self._client: PartitionClient | None = None
        self._intents: Iterator[Intent] = iter(())
        self._next: Intent | None = None
        self._run_at_s: float | None = None
        self._started_s: float | None = None
        self._draining_until_s: float | None = None
        self._first = 1
        self._version = 1
        self._version_seen = 1
        self._flow_at_s = 0.0
        #: Orders of earlier runs, and the number of the first order of this run beside ``count``.
        self._before = 0
        self._number_at_0 = 1
        tape = self.options.tape
        symbols = tape.by_symbol if tape is not None else ()
        self._quotes = FirstQuotes(symbols, self.options.quotes_wait_s, self._tell)
        self._pacing: Pacing | None = None
        if self.options.paced:
            self._pacing = Pacing(keys, self.options.quotes_wait_s, self._tell)
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
        if self._pacing is not None and self._client is not None:
            self._tell(self._pacing.verdict())

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
            self._started_s = self._flow_at_s = time.monotonic()
        self._end_when_due()
        if self._started_s is None:
            self.over.wait(min(wait_ms / 1000, LOOK_S))
            return False
        if self._is_outdated and not client.unanswered and self._next is not None:
            self._begin_next_run()
        if not self._is_answered(client, wait_ms):
            return False
        due = self._take_due(client)
        wait_s = min(wait_ms / 1000, self._next_due_s(client))
        if due or client.unanswered:
            self.count += len(due)
            self.done["sent"] += len(due)
            self.detail_each("sent", map(sent_order, due))
            self._count(client.trade(due, int(wait_s * 1000), self.options.bulk))
            # The server waits in whole milliseconds. This process waits for the rest.
            left_s = self._next_due_s(client)
            wait_s = left_s if wait_ms > 0 and left_s < 0.001 else 0.0
        if wait_s > 0:
            self.over.wait(wait_s)
        self._end_when_due()
        return self._next_due_s(client) <= 0

    def _begin(self) -> PartitionClient:
        if self._client is None:
            options = self.options
            config = self._follow()
            if self._pacing is not None and options.tape is not None:
                self._pacing.begin(config, options.tape)
            connection = self.scripts.client
            answered = 0
            if options.run_id is not None:
                answered = newest_answered(connection, self.keys, self.name, self.run_id)
            self._continue(options.intents(config), answered)
            if options.journal is not None:
                self._journal = Journal(options.journal)
            self._client = PartitionClient(connection, self.keys, self.name, options.resend_after_s)
        return self._client

    def _follow(self) -> Config:
        """The configuration; the run is that of its version from now on."""
        config = self.stored_config()
        self._version = self._version_seen = config.version
        if self.options.tape is None and config.version > 1:
            self.run_id = f"{self._run_name}-v{config.version}"
        return config

    def announce(self) -> None:
        """Look whether the system is still there, and for another version of the configuration.

        A client is no part of the system, so it has no heartbeat.
        """
        fields = ["system_id", "config_version"]
        config = self.keys.named("config")
        system_id, version = execute(self.scripts.client, "HMGET", config, *fields)
        self._presence.check(self.keys, system_id)
        if self._started_s is not None and self.options.tape is None:
            self._version_seen = int(version or 1)

    def _begin_next_run(self) -> None:
        """Every order of the run has its report: the flow begins anew, by the new configuration."""
        self._before += self._number_at_0 + self.count - 1
        self._number_at_0 = 1 - self.count
        self._intents = self.options.intents(self._follow())
        self._flow_at_s = time.monotonic()
        self._next = next(self._intents, None)
        self._tell(f"run {self.run_id} begins: the configuration has version {self._version}")

    def _continue(self, intents: Iterator[Intent], answered: int) -> None:
        """Go on after the order number ``answered``; 0 begins the run.

        The last orders up to it may be unanswered, so they are sent again, at once. The time of the
        flow goes on from it.
        """
        again = deque(islice(intents, answered), maxlen=self.options.window)
        if answered:
            self._first = self._number_at_0 = max(1, answered - self.options.window + 1)
            self._started_s = time.monotonic() - (again[-1].at_s if again else 0.0)
            self._flow_at_s = self._started_s
            self._tell(f"run {self.run_id} goes on at order {self._first}")
        self._intents = chain(again, intents)
        self._next = next(self._intents, None)

    def _tell(self, words: str) -> None:
        self.log.info("%s", words)
        self.say(words)

    def _take_due(self, client: PartitionClient) -> Sequence[Order]:
        due: list[Order] = []
        max_orders = min(MAX_BATCH, self._room(client))
        while len(due) < max_orders and self._next is not None and self._due_in_s(self._next) <= 0:
            number = self._number_at_0 + self.count + len(due)
            due.append(self._next.order(self.name, f"{self.run_id}-{number}"))
            most = self.options.orders
            last = most is not None and self._before + number >= most
            self._next = None if last else next(self._intents, None)
        return due

    def _room(self, client: PartitionClient) -> int:
        """How many orders may be sent before the oldest one without a report has one."""
        if self._is_outdated:
            return 0
        number = self._number_at_0 + self.count
        oldest = next(iter(client.unanswered), "")
        # Orders are first sent in the order of their numbers, and the table keeps that order.
        behind = number - order_number(self.run_id, oldest) if oldest else 0
        return self.options.window - behind

    def _is_answered(self, client: PartitionClient, wait_ms: int) -> bool:
        """Whether the next order may be sent as far as the quotes are concerned."""
        if self._pacing is None or client.unanswered or self._next is None:
            return True
        return self._pacing.is_answered(self.scripts.client, self._next.symbol, wait_ms)

    def _due_in_s(self, intent: Intent) -> float:
        return self._flow_at_s + intent.at_s - time.monotonic()

    @property
    def _is_outdated(self) -> bool:
        """Whether the flow follows from an earlier configuration than the present one."""
        return self._version_seen != self._version

    def _next_due_s(self, client: PartitionClient) -> float:
        """Seconds until the next order may be sent; infinite when a report must come first."""
        if self._next is None or self._room(client) <= 0:
            return math.inf
        return self._due_in_s(self._next)

    def _count(self, answers: Sequence[Answer]) -> None:
        self._outcomes.add(answers)
        self.detail_each("reported", (reported_order(self.name, one.report) for one in answers))
        if self._pacing is not None:
            self._pacing.note(answers)
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
