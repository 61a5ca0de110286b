"""headroom.lua: a side of a quote is no larger than what can always be committed."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest
from redis.exceptions import ResponseError

from mm.errors import ProposalRefused
from mm.market import MAX_INT, Config
from mm.store import execute
from tests.kit import SEEDS, Fake, MakeWorld, World, make_symbol


def hold(world: World, symbol: str = "AAA", **fields: int) -> None:
    """Set fields of the symbol's committed position."""
    words = [str(word) for item in fields.items() for word in item]
    execute(world.client, "HSET", world.keys.member("position:*", symbol), *words)


@pytest.mark.parametrize(
    ("cash", "expected"),
    [
        (0, (10, 10)),
        # 3 lots at 99 and at 101 are exact, and not one more.
        (3 * 99 - MAX_INT, (3, 10)),
        (3 * 99 - MAX_INT + 98, (3, 10)),
        (3 * 99 - MAX_INT - 1, (2, 10)),
        (MAX_INT - 3 * 101, (10, 3)),
        (MAX_INT - 3 * 101 - 100, (10, 3)),
        (MAX_INT - 3 * 101 + 1, (10, 2)),
        (-MAX_INT, (0, 10)),
        (MAX_INT, (10, 0)),
    ],
)
def test_cash(make_world: MakeWorld, cash: int, expected: tuple[int, int]) -> None:
    """Cash leaves room to pay the whole bid, or to earn the whole ask; the other side is free."""
    world = make_world()
    hold(world, cash_ticks=cash)
    placed = world.propose()
    assert (placed.bid_lots, placed.ask_lots) == expected
    assert placed.outcome == ("granted" if expected == (10, 10) else "reduced")
    # More exposure would not help: nothing is waited for.
    assert (world.ranked("waiting:bid"), world.ranked("waiting:ask")) == ({}, {})


def test_cash_of_one_fill(make_world: MakeWorld) -> None:
    """From short to long in one fill: its own cash must be exact, whatever cash there was."""
    limit = 10**13
    symbol = {"position_limit_lots": limit, "reference_ticks": 400, "size_lots": limit}
    world = make_world(1, limit=MAX_INT, of_symbol=symbol)
    hold(world, net_lots=-limit, cash_ticks=899 * limit, cost_ticks=-899 * limit)
    placed = world.propose(bid=899, bid_lots=2 * limit, ask=900)
    assert placed.bid_lots == MAX_INT // 899 < 2 * limit
    world.trade(world.order("sell", MAX_INT))
    assert world.scripts.commit(10).halts == {}
    assert world.position()["net_lots"] == placed.bid_lots - limit


def test_numbers_of_fills(make_world: MakeWorld) -> None:
    """Every lot of both sides may become a fill of its own: there are numbers for all of them."""
    world = make_world()
    execute(world.client, "HSET", world.keys.member("symbol:*", "AAA"), "fill_seq", MAX_INT - 7)
    hold(world, position_version=MAX_INT - 7)
    placed = world.propose()
    assert (placed.bid_lots, placed.ask_lots) == (3, 3)
    for _ in range(5):
        world.send(world.order("buy", 1), world.order("sell", 1))
    assert world.scripts.match(100).fills == 6
    assert world.scripts.commit(100).halts == {}
    assert world.position()["position_version"] == MAX_INT - 1
    assert world.propose().outcome == "omitted"


def test_last_quote_version(make_world: MakeWorld) -> None:
    """After the last exact quote version there is no further one."""
    world = make_world()
    key = world.keys.member("symbol:*", "AAA")
    execute(world.client, "HSET", key, "quote_version", MAX_INT - 1)
    assert world.propose().quote_id == f"AAA-{MAX_INT}"
    with pytest.raises(ProposalRefused, match="BAD_PROPOSAL AAA the symbol has used all"):
        world.propose()


@pytest.mark.parametrize("field", ["net_lots", "cash_ticks"])
def test_position_without_a_field(make_world: MakeWorld, field: str) -> None:
    """A position that lacks a number is damage: nothing is placed."""
    world = make_world()
    key = world.keys.member("position:*", "AAA")
    world.client.hdel(key, field)
    with pytest.raises(ResponseError, match=f"DAMAGED {key}"):
        world.propose()


def edge_config(rng: random.Random) -> Config:
    """A symbol whose full position at its highest price is near the largest exact number."""
    price = rng.choice([3, 1_000, 10**6, 10**9])
    limit = MAX_INT // (2 * price + 4)
    symbol = make_symbol(
        reference_ticks=price, size_lots=limit, position_limit_lots=limit, lot=Decimal(1)
    )
    return Config(symbols=(symbol,), limit_units=MAX_INT)


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_is_quoted_can_be_committed(fake: Fake, seed: int) -> None:
    """From random positions at the edge, random quotes and fills: no commit ever overflows."""
    rng = random.Random(seed)
    reduced = 0
    for _ in range(60):
        world = World(fake, edge_config(rng))
        limit = world.config.symbols[0].position_limit_lots
        top = MAX_INT // limit
        net = rng.choice([-limit, 0, limit, rng.randint(-limit, limit)])
        cash = rng.choice([-MAX_INT, MAX_INT, 0, rng.randint(-MAX_INT, MAX_INT)])
        hold(world, net_lots=net, cash_ticks=cash, cost_ticks=net * rng.randint(1, top))
        ask = rng.choice([top, rng.randint(2, top)])
        bid = rng.choice([ask - 1, rng.randint(1, ask - 1)])
        placed = world.propose(bid=bid, bid_lots=2 * limit, ask=ask, ask_lots=2 * limit)
        reduced += placed.outcome != "granted"
        for _ in range(rng.randint(1, 6)):
            size = rng.choice([1, limit, 2 * limit, rng.randint(1, limit)])
            buys = rng.random() < 0.5
            world.send(world.order("buy" if buys else "sell", size, MAX_INT if buys else 1))
        world.scripts.match(100)
        done = world.scripts.commit(100)
        assert done.halts == {}, (seed, net, cash, bid, ask)
        world.client.flushall()
    assert reduced > 30
