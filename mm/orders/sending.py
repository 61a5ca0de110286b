"""What a publisher sends, and for how long."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mm.errors import ValueRefused
from mm.market import Config, check_int
from mm.orders.flow import FlowOptions, Intent, synthetic_orders
from mm.orders.pacing import check_paced
from mm.orders.replay import tape_orders
from mm.orders.resume import check_run_id
from mm.orders.tape import Tape

#: Largest number of orders sent in one round trip.
MAX_BATCH = 1_000


@dataclass(frozen=True)
class PublisherOptions:
    """What a publisher sends and for how long. ValueRefused names an option that cannot be used.

    ``tape`` replaces the synthetic ``flow``, at ``speed`` (1 real time, 0 flat out). A tape that is
    ``paced`` sends the next order when the quotes have answered the last. Sending ends
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
    paced: bool = False
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
        if self.paced:
            check_paced(self.tape)

    @property
    def window(self) -> int:
        """The largest number of orders without a report."""
        return 1 if self.paced else self.in_flight

    def intents(self, config: Config) -> Iterator[Intent]:
        """The orders to send; what :func:`tape_orders` raises."""
        if self.tape is not None:
            return iter(tape_orders(self.tape, config, self.speed))
        return synthetic_orders(config.traded, self.flow)
