"""What the tests of the screens share: drawing at a width, and the systems that are drawn."""

from __future__ import annotations

import io
from dataclasses import replace
from decimal import Decimal

from rich.console import Console, RenderableType

from mm.market import MAX_INT, default_config
from mm.store import Snapshot, take_snapshot
from mm.terminal import History, RunStatus, market_screen
from tests.kit import Fake, World, small_config

STATUS = RunStatus("valkey 9.1.2 (managed)")
RELAXED = replace(STATUS, weak=("appendfsync everysec",))
LONG_NAMES = ("ABCDEFGHIJKLMNOP", "QRSTUVWXYZ._-012")


def drawn(thing: RenderableType, width: int = 80) -> list[str]:
    """The lines that a console of this width prints; it would not crop a longer one."""
    console = Console(width=width, file=io.StringIO(), record=True, color_system=None)
    console.print(thing, crop=False)
    return console.export_text().splitlines()


def take(world: World, max_symbols: int = 0) -> Snapshot:
    """A snapshot with what the screen needs."""
    return take_snapshot(world.scripts, recent=20, max_symbols=max_symbols)


def beat(world: World, name: str = "exchange-1", pid: str = "4711") -> None:
    """A heartbeat of a process."""
    world.beat(name, pid=int(pid), fields={"restarts": "0"})


def huge(fake: Fake) -> World:
    """Two symbols with names and numbers as long as they can be, quoted and traded."""
    config = small_config(
        limit=MAX_INT,
        mode="notional",
        of_symbol={
            "reference_ticks": 2**52 - 10,
            "size_lots": 1,
            "position_limit_lots": 1,
            "tick": Decimal("0.00000001"),
        },
    )
    symbols = tuple(
        replace(symbol, name=name) for symbol, name in zip(config.symbols, LONG_NAMES, strict=True)
    )
    world = World(fake, replace(config, symbols=symbols))
    price = 2**52 - 10
    world.propose(LONG_NAMES[0], bid=price, bid_lots=1, ask=price + 1, ask_lots=0)
    world.trade(world.order("sell", 1, symbol=LONG_NAMES[0], client="c" * 64, order_id="o" * 64))
    world.scripts.commit(100)
    return world


def troubled(fake: Fake) -> World:
    """A default system with quotes, fills, a halt, an expired quote and silent processes."""
    world = World(fake, default_config())
    for name in world.names[:-1]:
        world.propose(name, bid=1_000, ask=1_003)
        world.trade(world.order("sell", 3, symbol=name), world.order("buy", 2, symbol=name))
    world.scripts.commit(3)
    beat(world)
    fake.advance(5_000)
    beat(world, "maker-1")
    key = world.keys.member("position:*", "NVDA")
    world.client.hset(key, "halted", "sequence: expected 3 got 5")
    return world


def empty(fake: Fake) -> World:
    """A system of one symbol that nothing has happened in."""
    return World(fake, small_config(1))


def many(fake: Fake) -> World:
    """More symbols than any screen holds."""
    return World(fake, small_config(300, limit=50))


def shown(
    world: World,
    width: int = 80,
    height: int = 24,
    status: RunStatus = STATUS,
    max_symbols: int = 0,
) -> str:
    """The screen's text."""
    found = take(world, max_symbols)
    return "\n".join(drawn(market_screen(found, History(), status, width, height), width))


def row(text: str, symbol: str) -> list[str]:
    """The words of a symbol's line."""
    return next(line.split() for line in text.splitlines() if line.startswith(symbol))
