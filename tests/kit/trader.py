"""Trades by single script calls, each of which is one acknowledged step, drawn from a seed."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from mm.errors import ProposalRefused
from mm.exchange import BATCH as EXCHANGE_BATCH
from mm.market import Config
from mm.store import execute
from tests.kit.world import World, small_config

#: Quotes live this long here, so that a second of trading sees many expire.
TTL_MS = 300
CLIENTS = ("c1", "c2")


def busy_config(**changes: Any) -> Config:
    """Three symbols of 10 lots share 20 units, so the limit binds; quotes expire soon."""
    settings: dict[str, Any] = {"quote_ttl_ms": TTL_MS, "refresh_ms": TTL_MS // 3}
    return small_config(3, **(settings | changes))


class Trader:
    """Trades in a world by single steps; the same seed makes the same decisions."""

    def __init__(self, world: World, seed: int, ident: str = "m") -> None:
        self.world = world
        self.random = random.Random(seed)
        self.ident = ident
        self.sent = 0
        self.exchange, self.state = world.exchange(), world.state()
        self.makers = [world.maker("1"), world.maker("2")]

    def send(self) -> None:
        """Send one order: at times a malformed one, at times one that was sent before."""
        dice = self.random
        again = self.sent > 0 and dice.random() < 0.1
        number = dice.randint(1, self.sent) if again else self.sent + 1
        self.sent = max(self.sent, number)
        side = dice.choice(["buy", "sell"])
        limit = dice.choice([1, 98, 100, 102, 10_000])
        lots = dice.choice([0, 1, 1, 2, 3, 5])
        symbol = dice.choice(
            [*self.world.names, "NONE"] if dice.random() < 0.1 else self.world.names
        )
        client = CLIENTS[number % len(CLIENTS)]
        self.world.send_raw(f"{self.ident}{number}", f"{client} {symbol} {side} {lots} {limit}")

    def match(self) -> None:
        """One matching step, without the release of expired quotes that may follow it."""
        self.exchange.scripts.match(EXCHANGE_BATCH)

    def commit(self) -> None:
        """One committing step."""
        self.state.step()

    def expire(self) -> None:
        """Release what has expired."""
        self.exchange.scripts.expire()

    def place(self) -> None:
        """Place one proposal of one maker, if it has a reason for one."""
        maker = self.random.choice(self.makers)
        found = maker.proposals(maker.scripts.survey(self.world.names))
        if found:
            try:
                maker.scripts.place(self.random.choice(found))
            except ProposalRefused:
                return

    def beat(self) -> None:
        """A heartbeat of one process."""
        process = self.random.choice([self.exchange, self.state, *self.makers])
        self.world.beat(process.name, process.count)

    def step(self) -> None:
        """One random step."""
        steps: list[Callable[[], None]] = [
            self.send,
            self.match,
            self.commit,
            self.place,
            self.expire,
            self.beat,
        ]
        self.random.choices(steps, weights=[6, 4, 4, 6, 1, 1])[0]()

    def trade(self, steps: int) -> None:
        """Some random steps."""
        for _ in range(steps):
            self.step()

    def settle(self) -> None:
        """Process everything that waits, then quote what can be quoted."""
        self.world.drain()
        for _ in range(3):
            for maker in self.makers:
                maker.step()


def bulk_orders(world: World, count: int, seed: int, chunk: int = 5_000) -> None:
    """Append marketable orders on all symbols, one in each entry."""
    dice = random.Random(seed)
    client, orders = world.client, world.keys.named("orders")
    for start in range(0, count, chunk):
        pipeline = client.pipeline(transaction=False)
        for number in range(start, min(start + chunk, count)):
            side = dice.choice(["buy", "sell"])
            limit = 1_000_000 if side == "buy" else 1
            line = f"c{number % 50} {dice.choice(world.names)} {side} {dice.randint(1, 4)} {limit}"
            execute(pipeline, "XADD", orders, "*", f"b{number}", line)
        pipeline.execute()
