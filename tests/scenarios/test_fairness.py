"""Waiting symbols are served in the order in which they began to wait, and none starves (R11).

The symbols ask for twice the limit. Time is simulated on fakeredis, with the real makers, exchange
and state service. Each placement is judged by itself: a symbol that gains exposure must leave
enough for all that have waited longer.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from mm.errors import ProposalRefused
from mm.maker import Maker
from mm.market import Config, Placement, Proposal
from mm.store import Scripts
from tests.kit import (
    SEEDS,
    Fake,
    World,
    assert_sound,
    effects,
    make_symbol,
    notional_config,
    small_config,
    symbol_names,
)

SIDES: tuple[Literal["bid", "ask"], ...] = ("bid", "ask")
STEP_MS = 1000
Mode = Literal["lots", "notional"]


@dataclass
class Judge:
    """Looks at the queues before and after every single placement."""

    world: World
    gains: int = 0

    def claim(self, symbol: str, side: str, now: int) -> int:
        """What the waiting symbol asked for less what it holds in a live quote, in units."""
        held = self.world.hash("reservation:*", symbol)
        live = int(held["expires_ms"]) > now and held["state"] == "active"
        holds = int(held[f"{side}_units"]) if live else 0
        wanted = int(held[f"{side}_wanted_lots"]) * int(held[f"{side}_lot_units"])
        return max(0, wanted - holds)

    def units(self, symbol: str, side: str, now: int) -> int:
        """What the symbol's live quote has reserved."""
        held = self.world.hash("reservation:*", symbol)
        return int(held[f"{side}_units"]) if int(held["expires_ms"]) > now else 0

    def place(self, scripts: Scripts, proposal: Proposal) -> Placement | ProposalRefused:
        """Place one proposal and check that nobody who waited longer was passed."""
        now, symbol = self.world.now_ms(), proposal.symbol
        earlier = {}
        for side in SIDES:
            queue = list(self.world.ranked(f"waiting:{side}"))
            at = queue.index(symbol) if symbol in queue else len(queue)
            earlier[side] = queue[:at]
        before = {side: self.units(symbol, side, now) for side in SIDES}
        (result,) = Scripts.place_many(scripts, [proposal])
        reserved = dict(zip(SIDES, self.world.reserved(), strict=True))
        for side in SIDES:
            if self.units(symbol, side, now) > before[side]:
                self.gains += 1
                free = self.world.config.limit_units - reserved[side]
                owed = sum(self.claim(other, side, now) for other in earlier[side])
                assert free >= owed, f"{symbol} passed {earlier[side]} on the {side} side"
        return result


class JudgedScripts(Scripts):
    """Scripts that place one proposal at a time, each under the judge's eyes."""

    judge: Judge

    def place_many(self, proposals: Sequence[Proposal]) -> list[Placement | ProposalRefused]:
        """Place each proposal in turn."""
        return [self.judge.place(self, one) for one in proposals]


@dataclass
class Market:
    """A world under simulation, and how long each symbol has gone without a quote."""

    world: World
    makers: list[Maker]
    unquoted_ms: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    longest_ms: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    quoted_ms: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def settle(self, max_rounds: int = 30) -> int:
        """Let the makers act until they change nothing; how many rounds that took."""
        for rounds in range(max_rounds):
            before = effects(self.world)
            for maker in self.makers:
                maker.step()
            if effects(self.world) == before:
                return rounds
        pytest.fail(f"the makers still change quotes after {max_rounds} rounds without any event")

    def watch(self, ms: int) -> None:
        """Note who is quoted now."""
        for name in self.world.names:
            if self.world.quote_lots(name):
                self.quoted_ms[name] += ms
                self.unquoted_ms[name] = 0
            else:
                self.unquoted_ms[name] += ms
            self.longest_ms[name] = max(self.longest_ms[name], self.unquoted_ms[name])


def market(fake: Fake, config: Config, makers: int = 1) -> Market:
    """A market whose makers are judged."""
    world = World(fake, config)
    judge = Judge(world)
    found = []
    for number in range(makers):
        maker = world.maker(str(number + 1))
        scripts = JudgedScripts(fake.client(), world.keys, shebang=False)
        scripts.judge = judge
        maker.attach(scripts)
        found.append(maker)
    for _ in range(2):
        for maker in found:
            maker.beat()
    return Market(world, found)


def contested(mode: Mode, count: int = 6) -> Config:
    """Equal symbols, or symbols of different prices, that together want twice the limit."""
    changes: dict[str, Any] = {"quote_ttl_ms": 10_000, "refresh_ms": 2_000}
    if mode == "lots":
        return small_config(count, limit=count * 4 // 2, size=4, of_symbol=LEANING, **changes)
    symbols = tuple(
        make_symbol(name, size_lots=6, reference_ticks=100 + 37 * i, **LEANING)
        for i, name in enumerate(symbol_names(count))
    )
    limit = sum(6 * one.reference_ticks for one in symbols) // 2
    return notional_config(symbols, limit, **changes)


LEANING = {"skew_ticks": 5, "position_limit_lots": 30}


def simulate(found: Market, seconds: int, flow: random.Random | None) -> None:
    """Run the market; with ``flow`` random marketable orders come in on both sides."""
    world = found.world
    exchange, state = world.exchange(), world.state()
    found.settle()
    for _ in range(seconds * 1000 // STEP_MS):
        world.advance(STEP_MS)
        if flow is not None:
            for _ in range(flow.randint(0, 2)):
                side: Literal["buy", "sell"] = flow.choice(("buy", "sell"))
                symbol = flow.choice(world.names)
                world.send(world.order(side, flow.randint(1, 5), symbol=symbol))
        exchange.step()
        state.step()
        found.settle()
        found.watch(STEP_MS)
    assert_sound(world)


@pytest.mark.parametrize("mode", ["lots", "notional"])
class TestTwiceTheLimit:
    def test_quiet(self, fake: Fake, mode: Mode) -> None:
        """Without orders every symbol gets its turn for as long as every other."""
        found = market(fake, contested(mode))
        simulate(found, 60, None)
        ttl = found.world.config.quote_ttl_ms
        assert set(found.quoted_ms) == set(found.world.names), "some symbol was never quoted"
        assert max(found.longest_ms.values()) <= 2 * ttl
        shares = [quoted / 60_000 for quoted in found.quoted_ms.values()]
        assert min(shares) > 0.3

    @pytest.mark.parametrize("seed", SEEDS)
    def test_with_orders(self, fake: Fake, mode: Mode, seed: int) -> None:
        """With random orders on all symbols none goes unquoted for longer than two lifetimes."""
        found = market(fake, contested(mode), makers=2)
        simulate(found, 30, random.Random(seed))
        assert set(found.quoted_ms) == set(found.world.names), "some symbol was never quoted"
        assert max(found.longest_ms.values()) <= 2 * found.world.config.quote_ttl_ms
        assert len(found.world.fills()) > 15

    def test_top_ups_end(self, fake: Fake, mode: Mode) -> None:
        """After any event the makers come to rest: capacity is not passed round for ever."""
        found = market(fake, contested(mode))
        world, rng = found.world, random.Random(5)
        rounds = [found.settle()]
        for _ in range(15):
            symbol = rng.choice(world.names)
            world.trade(world.order(rng.choice(("buy", "sell")), rng.randint(1, 4), symbol=symbol))
            world.drain()
            rounds.append(found.settle())
        assert max(rounds) <= 2 * len(world.names)
        assert_sound(world)


class TestTurns:
    def test_served_in_order_of_waiting(self, fake: Fake) -> None:
        """Waiting symbols are served exactly in the order in which they began to wait."""
        found = market(fake, contested("lots"))
        world = found.world
        found.settle()
        waiting = list(world.ranked("waiting:bid"))
        assert len(waiting) == 3
        holder = next(name for name in world.names if world.quote_lots(name))
        served: list[str] = []
        for _ in range(3):
            # A fill of the whole bid frees four lots: one waiting symbol's worth.
            world.trade(world.order("sell", 4, symbol=holder))
            found.settle()
            world.drain()
            found.settle()
            queue = list(world.ranked("waiting:bid"))
            served.append(next(name for name in waiting if name not in queue + served))
            holder = next(name for name in world.names if (world.quote_lots(name) or (0, 0))[0])
        assert served == waiting

    def test_one_greedy_symbol(self, fake: Fake) -> None:
        """A symbol that wants the whole limit and is traded all the time starves nobody."""
        greedy = make_symbol("AAA", size_lots=20, position_limit_lots=1000)
        others = [make_symbol(name, size_lots=4) for name in ("BBB", "CCC")]
        config = Config(
            symbols=(greedy, *others), limit_units=20, quote_ttl_ms=10_000, refresh_ms=2_000
        )
        found = market(fake, config)
        exchange, state = found.world.exchange(), found.world.state()
        for number in range(20):
            found.world.advance(STEP_MS)
            found.world.send(found.world.order("buy" if number % 2 else "sell", 1))
            exchange.step()
            state.step()
            found.settle()
            found.watch(STEP_MS)
        assert max(found.longest_ms.values()) <= STEP_MS * 4
        assert_sound(found.world)

    def test_dead_maker_holds_up_nobody_for_long(self, fake: Fake) -> None:
        """When the maker of the first waiting symbol dies, the other takes its turn over."""
        found = market(fake, contested("lots"), makers=2)
        found.settle()
        world, survivor = found.world, found.makers[0]
        found.makers = [survivor]
        exchange, state = world.exchange(), world.state()
        for _ in range(30):
            world.advance(STEP_MS)
            survivor.beat()
            exchange.step()
            state.step()
            found.settle()
            found.watch(STEP_MS)
        assert set(found.quoted_ms) == set(world.names)
        assert max(found.longest_ms.values()) <= 2 * world.config.quote_ttl_ms
