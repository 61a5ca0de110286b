"""A publisher beside the processes that it trades with."""

from __future__ import annotations

from typing import Any

import pytest

from mm.orders import FlowOptions, PublisherOptions, Summary
from mm.process import Process
from mm.publisher import Publisher
from tests.kit import Fake, World, small_config

FLAT_OUT = FlowOptions(rate_per_s=0)


class Market:
    """A publisher and the processes that it trades with, each stepped by hand."""

    def __init__(self, fake: Fake, symbols: int = 2, quoted: bool = True, **options: Any) -> None:
        config = small_config(symbols, limit=20 * symbols, of_symbol={"skew_ticks": 4})
        self.world = World(fake, config)
        self.options = PublisherOptions(**({"flow": FLAT_OUT} | options))
        self.publisher = self.make_publisher()
        self.others: list[Process] = [
            self.world.exchange(),
            self.world.state(),
            self.world.maker(),
        ]
        if quoted:
            self.quote()

    def quote(self) -> None:
        """Give every symbol its first quote."""
        for _ in range(2):
            self.others[-1].step()

    def make_publisher(self, **changes: Any) -> Publisher:
        """Another publisher with the same name and a connection."""
        world = self.world
        options = PublisherOptions(**(vars(self.options) | changes))
        made = Publisher(world.backend.client, world.keys, durability="relaxed", options=options)
        made.attach(world.make_scripts())
        return made

    def step(self) -> None:
        """One step of each."""
        self.publisher.step()
        for process in self.others:
            process.step()

    def run(self) -> Summary:
        """Step until the publisher is done."""
        for _ in range(10_000):
            if self.publisher.over.is_set():
                self.publisher.finish()
                return self.publisher.summary
            self.step()
        pytest.fail("the publisher never ended")


def total(summary: Summary) -> int:
    """The number of orders that a summary counts."""
    done = summary.filled + summary.partially_filled + summary.canceled + summary.rejected
    return done + summary.unanswered
