"""The report over many steps of one millisecond, whose records have no order across streams."""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest

from mm.errors import ProposalRefused
from mm.market import Side
from mm.report import Past
from tests.kit import SEEDS, Fake, World, make_symbol, notional_config, small_config
from tests.report.pages import exposure_now, page_of, past_of

#: Longer than a run, so that all ends come from orders and makers.
LONG_MS = 600_000


def sides_now(world: World) -> dict[str, int]:
    """How many sides of each symbol an order can hit."""
    quotes = {name: world.hash("quote:*", name) for name in world.names}
    return {
        name: sum(int(one.get(side, "0")) > 0 for side in ("bid_lots", "ask_lots"))
        for name, one in quotes.items()
    }


@dataclass(frozen=True)
class End:
    """What the system itself had at the end of a millisecond."""

    exposure: tuple[int, int]
    sides: dict[str, int]


def lived(world: World, rng: random.Random, steps: int) -> dict[int, End]:
    """Let a market trade at its limit, several steps a millisecond; what it had at each end."""
    ends = {}
    for _ in range(steps):
        name = rng.choice(world.names)
        if rng.random() < 0.5:
            try:
                world.propose(name, trigger="position")
            except ProposalRefused:
                world.scripts.commit(100)
        else:
            side: Side = "buy" if rng.random() < 0.5 else "sell"
            world.trade(world.order(side, rng.randint(1, 10), symbol=name))
        ends[world.now_ms()] = End(exposure_now(world), sides_now(world))
        world.advance(rng.choice([0, 0, 0, 0, 0, 1, 3]))
    return ends


def drawn(past: Past, at_ms: int) -> tuple[int, int]:
    """The exposure that the plot shows at an instant."""
    return [one.shows for one in past.quoting.exposure.points() if one.ts_ms <= at_ms][-1]


CONFIGS = [
    small_config(4, limit=15, size=10, quote_ttl_ms=LONG_MS),
    notional_config([make_symbol(name) for name in ("AAA", "BBB", "CCC")], 15 * 99),
]


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("seed", SEEDS)
def test_exposure(fake: Fake, seed: int, config: Any) -> None:
    """It is what was reserved at the end of each millisecond, and so never above the limit."""
    world = World(fake, config)
    ends = lived(world, random.Random(seed), 400)
    past = past_of(world)
    highest = tuple(max(end.exposure[at] for end in ends.values()) for at in (0, 1))
    assert tuple(past.quoting.highest) == highest
    assert max(highest) == config.limit_units
    assert not past.quoting.exposure.thinned
    assert [ms for ms, end in ends.items() if drawn(past, ms) != end.exposure] == []
    long, _ = page_of(world).table("How much of the exposure limit")
    assert long["Highest of the limit"] == "100.00 %"


@pytest.mark.parametrize("seed", SEEDS)
def test_uptime(fake: Fake, seed: int) -> None:
    """How long a symbol had which sides follows from what it had at the end of each millisecond."""
    world = World(fake, small_config(4, limit=25, size=4, quote_ttl_ms=LONG_MS))
    ends = lived(world, random.Random(seed), 400)
    past = past_of(world)
    instants = [*ends, past.end_ms]
    for name in world.names:
        passed = [0, 0, 0]
        for since_ms, until_ms in pairwise(instants):
            passed[ends[since_ms].sides[name]] += until_ms - since_ms
        one = past.quoting.quoted[name]
        assert [one.none_ms, one.one_ms, one.two_ms] == passed
        assert min(passed) > 0, "the market has all three, or the test shows nothing"
        assert past.ledger.accounts[name].now.net_lots == net_of(world, name)


def net_of(world: World, name: str) -> int:
    """What the symbol's fills add up to, committed or not."""
    return sum(fill.signed_lots for fill in world.fills() if fill.symbol == name)


def test_what_stood_when_the_range_begins(fake: Fake) -> None:
    """Exposure of before the range is in it from its first instant, as long as nothing changes."""
    world = World(fake, small_config(1, limit=25, size=10, quote_ttl_ms=LONG_MS))
    world.propose("AAA")
    world.advance(100)
    since_ms = world.now_ms()
    world.advance(50)
    world.trade(world.order("sell", 4))
    past = past_of(world, since_ms=since_ms)
    assert past.quoting.highest == [10, 10]
    points = [(one.ts_ms - since_ms, one.shows) for one in past.quoting.exposure.points()]
    assert points == [(0, (10, 10)), (50, (6, 10)), (51, (6, 10))]


def test_the_cause_of_a_silence(fake: Fake) -> None:
    """It is that of its own beginning: a quote that is used up was withdrawn by nobody."""
    world = World(fake, small_config(1, limit=25, quote_ttl_ms=LONG_MS))
    world.propose("AAA")
    world.control("halted")
    world.advance(2_000)
    world.control("active")
    world.propose("AAA")
    world.trade(world.order("sell", 10), world.order("buy", 10))
    world.advance(3_000)
    world.scripts.commit(10)
    world.propose("AAA")
    silences = [one.text for one in past_of(world).all_incidents if "was quoted" in one.text]
    assert silences == [
        "No symbol was quoted for 2.000 s, after a halt by an operator.",
        "No symbol was quoted for 3.000 s.",
    ]
