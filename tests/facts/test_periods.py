"""Profit over time: each period at the marks of its end, and their sum to the tick (R29)."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import combinations
from typing import TypeAlias

import pytest

from mm.errors import SystemRefused
from mm.facts import BY, Earned, profit_by, totals
from mm.instant import day, hour
from mm.market import Config, Fill, Symbol
from mm.records import Range, Rows, ledger, sources_of
from mm.store import Snapshot, take_snapshot
from tests.kit import SEEDS, Fake, World, make_symbol, small_config

NOON = 1_769_860_800_000
DAY_MS, HOUR_MS = 86_400_000, 3_600_000
FOREVER = 10**15
SYMBOLS = (
    make_symbol("AAA", tick=Decimal("0.01"), currency="USD"),
    make_symbol("BBB", tick=Decimal("0.00005"), lot=Decimal(1000), currency="JPY"),
    make_symbol("CCC", tick=Decimal("0.25"), multiplier=50, currency="USD"),
)
CURRENCIES = {"USD": (SYMBOLS[0], SYMBOLS[2]), "JPY": (SYMBOLS[1],)}
NAMES = {name: {one.name for one in symbols} for name, symbols in CURRENCIES.items()}
#: Profit, spread and volume.
Amounts: TypeAlias = tuple[Decimal, Decimal, Decimal]


@pytest.fixture
def snapshot(fake: Fake) -> Snapshot:
    """A system of three symbols in two currencies."""
    return take_snapshot(World(fake, Config(symbols=SYMBOLS, limit_units=100)).scripts)


def random_fills(rng: random.Random, count: int) -> list[Fill]:
    """A ledger of several days; some records are of an earlier version, without a spread."""
    found, seqs, ts_ms = [], Counter[str](), NOON
    for _ in range(count):
        ts_ms += rng.choice([0, 1, 60_000, HOUR_MS, 7 * HOUR_MS])
        name = rng.choice(SYMBOLS).name
        seqs[name] += 1
        found.append(
            Fill(
                f"{name}-{seqs[name]}",
                name,
                seqs[name],
                rng.choice(["buy", "sell"]),
                rng.randint(1, 9),
                rng.randint(90, 110),
                *("c", "o", f"{name}-1"),
                ts_ms,
                rng.choice([None, 1, 2, 3]),
            )
        )
    return found


def unit(symbol: Symbol) -> Decimal:
    """The money of one tick x lot."""
    return symbol.tick * symbol.lot * symbol.multiplier


def expected(fills: Sequence[Fill], symbol: Symbol, since_ms: int, until_ms: int) -> Amounts:
    """Profit, spread and volume of a time, from the values at its two ends alone."""
    begin, end = (worth(fills, symbol, ts_ms) for ts_ms in (since_ms, until_ms))
    return end[0] - begin[0], end[1] - begin[1], end[2] - begin[2]


def worth(fills: Sequence[Fill], symbol: Symbol, ts_ms: int) -> Amounts:
    """The same since the beginning of the ledger."""
    mine = [one for one in fills if one.symbol == symbol.name and one.ts_ms < ts_ms]
    last = mine[-1].price_ticks if mine else 0
    profit = sum(one.signed_lots * (last - one.price_ticks) for one in mine)
    twice_spread = sum(one.qty_lots * (one.spread_ticks or 0) for one in mine)
    volume = sum(one.qty_lots * one.price_ticks for one in mine)
    return profit * unit(symbol), twice_spread * unit(symbol) / 2, volume * unit(symbol)


def added(found: Iterable[Amounts]) -> Amounts:
    """The sums of many amounts."""
    profits, spreads, volumes = zip(*found, strict=True)
    return Decimal(sum(profits)), Decimal(sum(spreads)), Decimal(sum(volumes))


def amounts(one: Earned) -> Amounts:
    """Profit, spread and volume; the inventory part is what is left."""
    profit, spread, volume = map(Decimal, (one.profit, one.spread, one.volume))
    assert Decimal(one.inventory) == profit - spread
    return profit, spread, volume


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("word", ["day", "hour"])
def test_each_period(snapshot: Snapshot, seed: int, word: str) -> None:
    """A period has what its end is worth more than its begin, each at the last fill's price."""
    fills = random_fills(random.Random(seed), 300)
    length, label = (DAY_MS, day) if word == "day" else (HOUR_MS, hour)
    found = profit_by(fills, snapshot, [word, "symbol"], 0, FOREVER).groups
    named = {(getattr(one, word), one.symbol): one for one in found}
    seen = 0
    for begin in range(fills[0].ts_ms // length * length, fills[-1].ts_ms + 1, length):
        for symbol in SYMBOLS:
            group = named.get((label(begin), symbol.name))
            wanted = expected(fills, symbol, begin, begin + length)
            mine = [
                one
                for one in fills
                if one.symbol == symbol.name and begin <= one.ts_ms < begin + length
            ]
            assert (group is not None) == bool(mine)
            if group is None:
                assert not any(wanted)
                continue
            seen += 1
            assert amounts(group) == wanted
            assert (group.fills, group.currency) == (len(mine), symbol.currency)
            assert group.mark == symbol.price(mine[-1].price_ticks)
            assert group.quantity == symbol.quantity(sum(one.qty_lots for one in mine))
            held = sum(one.signed_lots for one in fills[: fills.index(mine[-1]) + 1]
                       if one.symbol == symbol.name)  # fmt: skip
            assert group.net_quantity == symbol.quantity(held)
    assert seen == len(found) > 10


@pytest.mark.parametrize("seed", SEEDS)
def test_the_groups_sum_to_the_total(snapshot: Snapshot, seed: int) -> None:
    """By whatever, and from any instant to another: exactly, and for each currency alone."""
    rng = random.Random(seed)
    fills = random_fills(rng, 300)
    ends = sorted(rng.choice(fills).ts_ms for _ in range(2))
    for since_ms, until_ms in ((0, FOREVER), (0, ends[0]), (ends[0], ends[1]), (ends[1], FOREVER)):
        wanted = {
            currency: added(expected(fills, one, since_ms, until_ms) for one in symbols)
            for currency, symbols in CURRENCIES.items()
            if any(since_ms <= one.ts_ms < until_ms and one.symbol in NAMES[currency]
                   for one in fills)
        }  # fmt: skip
        for size in range(1, len(BY) + 1):
            for by in combinations(BY, size):
                found = profit_by(fills, snapshot, by, since_ms, until_ms)
                sums = {one.currency: amounts(one) for one in found.totals}
                assert sums == wanted
                for currency, total in sums.items():
                    parts = [amounts(one) for one in found.groups if one.currency == currency]
                    assert added(parts) == total
                counts = sum(one.fills for one in found.groups)
                assert counts == sum(since_ms <= one.ts_ms < until_ms for one in fills)


def test_order_and_labels(snapshot: Snapshot) -> None:
    """Periods by time, then symbols as configured; what is not asked for is empty."""
    fills = random_fills(random.Random(7), 200)
    found = profit_by(fills, snapshot, ["day", "symbol"], 0, FOREVER).groups
    names = [one.name for one in SYMBOLS]
    places = [(one.day, names.index(one.symbol)) for one in found]
    assert places == sorted(places)
    assert {one.hour for one in found} == {""}
    both = profit_by(fills, snapshot, ["currency"], 0, FOREVER).groups
    assert [(one.currency, one.symbol, one.mark, one.net_quantity) for one in both] == [
        ("USD", "", None, None),
        ("JPY", "", None, None),
    ]


def test_a_gap(snapshot: Snapshot) -> None:
    """A fill that does not follow the one before it is named: nothing is made up."""
    fills = [one for one in random_fills(random.Random(1), 50) if one.fill_id != "BBB-3"]
    with pytest.raises(SystemRefused, match="fill BBB-4 follows fill 2 of BBB"):
        profit_by(fills, snapshot, ["day"], 0, FOREVER)
    again = [fills[0], replace(fills[0])]
    with pytest.raises(SystemRefused, match="follows fill 1"):
        profit_by(again, snapshot, ["day"], FOREVER - 1, FOREVER)


@pytest.mark.parametrize("seed", SEEDS)
def test_it_is_the_profit_of_the_positions(fake: Fake, seed: int) -> None:
    """Without a quote the mark is the last price too: all periods sum to what positions show."""
    rng, world = random.Random(seed), World(fake, small_config(2, limit=100))
    for _ in range(60):
        world.advance(rng.choice([1, HOUR_MS]))
        name, bid = rng.choice(["AAA", "BBB"]), rng.randint(80, 120)
        world.propose(name, bid=bid, ask=bid + rng.randint(1, 5), trigger="position")
        world.trade(world.order(rng.choice(["buy", "sell"]), rng.randint(1, 9), symbol=name))
        world.scripts.commit(10)
    world.control("halted")
    snapshot = take_snapshot(world.scripts)
    symbols = {name: state.symbol for name, state in snapshot.symbols.items()}
    fills = ledger(sources_of(world.scripts, snapshot), Range(), symbols, Rows(()))
    (found,) = profit_by(fills, snapshot, ["currency"], 0, FOREVER).groups
    (total,) = totals(snapshot)
    assert (found.profit, found.spread, found.inventory) == (
        total.total,
        total.spread,
        total.inventory,
    )
    assert found.fills > 20
