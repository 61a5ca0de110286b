"""A busy run for what judges or reads one: fills, duplicates, rubbish, refreshes, expiries."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

from mm.market import Config, Side
from mm.store import StreamReader, execute, text
from tests.kit.world import World, small_config


def run_busy(world: World, rounds: int = 40, seed: int = 1, pauses: bool = True) -> None:
    """Trade on all symbols: fills, duplicates, rubbish, refreshes, expiries. Ends at rest."""
    rng = random.Random(seed)
    exchange, state, maker = world.exchange(), world.state(), world.maker()
    sent = []
    for _ in range(rounds):
        maker.step()
        for _ in range(rng.randrange(6)):
            limit = None if rng.random() < 0.8 else rng.choice([50, 150])
            symbol, client = rng.choice(world.names), rng.choice(["c1", "c2"])
            side: Side = "buy" if rng.random() < 0.5 else "sell"
            order = world.order(side, rng.randrange(1, 8), limit, symbol, client)
            sent.append(order)
            world.send(order)
            if rng.random() < 0.1:
                world.send(rng.choice(sent))
            if rng.random() < 0.05:
                taken = rng.choice(sent)
                world.send(world.order(side, 9, limit, symbol, taken.client_id, taken.order_id))
        if rng.random() < 0.1:
            world.send_raw(f"bad{rng.random()}", "c1 AAA buy x 3")
            world.send_raw("not an id", "c1 AAA buy 4 3")
        exchange.step()
        if rng.random() < 0.8:
            state.step()
        if pauses and rng.random() < 0.2:
            world.advance(rng.choice([10, 20_000, 40_000]))
    world.drain()
    maker.step()


def busy_config() -> Config:
    """Three symbols; both the exposure limit and the position limits are reached."""
    of_symbol = {"skew_ticks": 3, "position_limit_lots": 20}
    return small_config(3, limit=25, keep_fills=30, of_symbol=of_symbol)


@dataclass(frozen=True)
class Recording:
    """The end of a busy run: the instant, the commands that create its keys, and its archive."""

    now_ms: int
    commands: list[list[str | int]]
    archive: Path


def commands_of(world: World) -> list[list[str | int]]:
    """The commands that create the same keys elsewhere."""
    made: list[list[str | int]] = []
    for key, (kind, content, expires_ms) in world.dump().items():
        if kind == "hash":
            words = [text(word) for item in content.items() for word in item]
            made.append(["HSET", key, *words])
        elif kind == "zset":
            for member in execute(world.client, "ZRANGE", key, 0, -1):
                made.append(["ZADD", key, str(world.client.zscore(key, member)), text(member)])
        else:
            entries = StreamReader(world.scripts).entries(key, f"{2**62}-0")
            made += [["XADD", key, text(entry), *map(text, flat)] for entry, flat in entries]
        if expires_ms > 0:
            made.append(["PEXPIREAT", key, expires_ms])
    return made
