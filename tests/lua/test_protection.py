"""Market-maker protection: commit.lua freezes a symbol that trades or loses too much (R24)."""

from __future__ import annotations

from typing import Any

import pytest

from mm.errors import ProposalRefused
from mm.market import MAX_INT, Config
from mm.store import take_snapshot
from tests.kit import Fake, World, assert_sound, small_config

WINDOW_MS, FREEZE_MS = 1_000, 5_000


def protected(backend: Any, freeze_ms: int = FREEZE_MS, **of_symbol: int) -> World:
    """Two quoted symbols with these bounds."""
    world = World(
        backend,
        small_config(
            2,
            limit=100,
            of_symbol={"size_lots": 20, **of_symbol},
            protection_window_ms=WINDOW_MS,
            protection_freeze_ms=freeze_ms,
        ),
    )
    for name in world.names:
        world.propose(name)
    return world


def trade(world: World, side: Any, lots: int, symbol: str = "AAA") -> None:
    """One order, matched and committed."""
    world.trade(world.order(side, lots, symbol=symbol))
    world.drain()


def requote(world: World, bid: int = 99, ask: int = 101) -> None:
    """A new quote of AAA at these prices."""
    world.propose(bid=bid, ask=ask, trigger="position")


def frozen(world: World, symbol: str = "AAA") -> str:
    """Why the symbol is frozen, or empty text."""
    return take_snapshot(world.scripts).symbols[symbol].frozen


class TestLots:
    def test_more_than_its_lots_freezes_it(self, fake: Fake) -> None:
        """The step that commits one lot too many ends the quote and says why; others go on."""
        world = protected(fake, protection_lots=8)
        trade(world, "buy", 5)
        trade(world, "sell", 3)
        assert frozen(world) == ""
        trade(world, "buy", 1)
        why = "traded 9 lots, more than 8 within 1000 ms"
        assert frozen(world) == why
        state = world.hash("position:*", "AAA")
        assert state["frozen_until_ms"] == str(world.now_ms() + FREEZE_MS)
        assert world.quote_lots("AAA") is None
        assert world.reserved() == (20, 20)
        event = world.events("AAA")[-1]
        assert (event["event"], event["cause"]) == ("withdrawn", "protection")
        told = dict(world.stream("operations")[-1][1])
        assert (told["op"], told["symbol"], told["why"]) == ("freeze", "AAA", why)
        assert (told["who"], told["role"], told["before"]) == ("-", "state", "-")
        assert told["after"] == f"frozen_until_ms={state['frozen_until_ms']}"
        assert world.quote_lots("BBB") == (20, 20)
        assert not world.client.exists(world.keys.member("window:*", "AAA"))
        assert_sound(world)

    def test_lots_of_one_step_count_together(self, fake: Fake) -> None:
        """Several fills in one step are one sum, of both sides and of no other symbol."""
        world = protected(fake, protection_lots=8)
        world.trade(
            world.order("buy", 5),
            world.order("sell", 4),
            world.order("buy", 20, symbol="BBB"),
        )
        world.scripts.commit(100)
        assert frozen(world) == "traded 9 lots, more than 8 within 1000 ms"
        assert frozen(world, "BBB") == "traded 20 lots, more than 8 within 1000 ms"

    @pytest.mark.parametrize(("wait_ms", "freezes"), [(WINDOW_MS - 1, True), (WINDOW_MS, False)])
    def test_the_window_slides(self, fake: Fake, wait_ms: int, freezes: bool) -> None:
        """What was committed a whole window ago no longer counts."""
        world = protected(fake, protection_lots=8)
        trade(world, "buy", 5)
        fake.advance(wait_ms)
        trade(world, "buy", 4)
        assert bool(frozen(world)) == freezes
        if not freezes:
            fake.advance(WINDOW_MS - 1)
            trade(world, "sell", 5)
            assert frozen(world) == "traded 9 lots, more than 8 within 1000 ms"

    def test_several_steps_leave_the_window_at_once(self, fake: Fake) -> None:
        """After a pause only what is inside counts, however many steps have left."""
        world = protected(fake, protection_lots=8)
        for lots in (2, 3, 1):
            trade(world, "buy", lots)
            fake.advance(100)
        key = world.keys.member("window:*", "AAA")
        assert world.client.llen(key) == 3
        fake.advance(WINDOW_MS - 150)
        trade(world, "sell", 7)
        assert frozen(world) == ""
        assert world.client.llen(key) == 2
        assert 0 < world.client.pttl(key) <= WINDOW_MS

    def test_a_record_that_is_not_applied(self, fake: Fake) -> None:
        """A fill that halts the symbol is not counted, and freezes nothing."""
        world = protected(fake, protection_lots=8)
        world.client.xadd(world.keys.named("fills"), {"AAA-7": "buy 90 101 c1 o9 AAA-1 1"})
        world.scripts.commit(10)
        assert world.hash("position:*", "AAA")["halted"]
        assert frozen(world) == ""
        assert not world.client.exists(world.keys.member("window:*", "AAA"))

    def test_off_by_default(self, fake: Fake) -> None:
        """Without bounds nothing is noted and nothing freezes."""
        world = protected(fake)
        for _ in range(3):
            trade(world, "buy", 6)
        assert frozen(world) == ""
        assert not world.client.exists(world.keys.member("window:*", "AAA"))


class TestLoss:
    def test_a_loss_freezes_it(self, fake: Fake) -> None:
        """Bought at 99, sold at 95: four ticks a lot. One tick x lot above the bound is enough."""
        for bound, expected in (
            (40, ""),
            (39, "lost 40 ticks x lots, more than 39 within 1000 ms"),
        ):
            world = protected(fake, protection_loss_ticks=bound)
            trade(world, "sell", 10)
            requote(world, 90, 95)
            trade(world, "buy", 10)
            assert frozen(world) == expected
            assert_sound(world)
            world.client.flushall()

    def test_open_lots_count_at_the_last_price(self, fake: Fake) -> None:
        """A position that a fall has made worth less is a loss before it is closed."""
        world = protected(fake, protection_loss_ticks=50)
        trade(world, "sell", 10)
        requote(world, 94, 96)
        trade(world, "sell", 1)
        assert frozen(world) == ""
        requote(world, 93, 96)
        trade(world, "sell", 1)
        # Ten lots lost 99 - 93 each, one 94 - 93.
        assert frozen(world) == "lost 61 ticks x lots, more than 50 within 1000 ms"

    def test_a_profit_does_not(self, fake: Fake) -> None:
        """Only a loss counts, and a profit of the window is set off against it."""
        world = protected(fake, protection_loss_ticks=10)
        trade(world, "buy", 10)
        requote(world, 80, 90)
        trade(world, "sell", 10)
        assert frozen(world) == ""
        requote(world, 99, 101)
        trade(world, "sell", 10)
        requote(world, 82, 84)
        trade(world, "buy", 10)
        assert world.position()["cash_ticks"] == 60
        assert frozen(world) == ""

    def test_what_was_lost_before_the_window(self, fake: Fake) -> None:
        """The value at the window's beginning is what counts, not that of ever."""
        world = protected(fake, protection_loss_ticks=60)
        trade(world, "sell", 10)
        requote(world, 94, 96)
        trade(world, "sell", 5)
        fake.advance(WINDOW_MS)
        requote(world, 92, 93)
        # Fifteen lots lose one tick each now, and lost fifty before.
        trade(world, "buy", 5)
        assert frozen(world) == ""

    def test_each_bound_alone(self, fake: Fake) -> None:
        """A symbol without a bound on its loss may lose; the least bound is one tick x lot."""
        for bounds, expected in (
            ({"protection_lots": 50}, ""),
            ({"protection_loss_ticks": 1}, "lost 40 ticks x lots, more than 1 within 1000 ms"),
        ):
            world = protected(fake, **bounds)
            trade(world, "sell", 10)
            requote(world, 90, 95)
            trade(world, "buy", 10)
            assert frozen(world) == expected
            world.client.flushall()


class TestFrozen:
    def test_no_quote_until_its_end(self, fake: Fake) -> None:
        """A proposal is refused and makers wait; at the instant it is quoted again, by itself."""
        world = protected(fake, protection_lots=8)
        trade(world, "buy", 9)
        maker = world.maker()
        with pytest.raises(ProposalRefused) as caught:
            world.propose(trigger="expired")
        assert (caught.value.code, "by its protection" in caught.value.detail) == ("HALTED", True)
        assert world.scripts.survey(["AAA"]).rows["AAA"].halted
        assert world.trade(world.order("sell", 1))[0].reason == "no_quote"
        fake.advance(FREEZE_MS - 1)
        maker.step()
        assert world.quote_lots("AAA") is None
        fake.advance(1)
        maker.step()
        assert world.quote_lots("AAA") is not None
        assert frozen(world) == ""
        assert_sound(world)

    def test_it_begins_to_count_anew(self, fake: Fake) -> None:
        """What had frozen it does not freeze it again; fills committed meanwhile do not count."""
        world = protected(fake, protection_lots=8)
        world.trade(world.order("buy", 9), world.order("buy", 2))
        world.scripts.commit(1)
        assert frozen(world)
        before = world.hash("position:*", "AAA")["frozen_until_ms"]
        world.drain()
        assert world.hash("position:*", "AAA")["frozen_until_ms"] == before
        world.control("active", "AAA")
        world.propose(trigger="expired")
        trade(world, "sell", 8)
        assert frozen(world) == ""

    def test_until_an_operator_resumes(self, fake: Fake) -> None:
        """A freeze of 0 ms has no end but that; a mode is another thing."""
        world = protected(fake, freeze_ms=0, protection_lots=8)
        trade(world, "buy", 9)
        assert world.hash("position:*", "AAA")["frozen_until_ms"] == str(MAX_INT)
        for mode in ("reducing", "halted"):
            assert world.control(mode, "AAA").changes[0].thawed == ""
        assert world.control("active").changes[0].thawed == ""
        done = world.control("active", "AAA", why="all is well")
        why = "traded 9 lots, more than 8 within 1000 ms"
        assert done.changes[0].thawed == why
        assert "frozen_until_ms" not in world.hash("position:*", "AAA")
        told = dict(world.stream("operations")[-2][1])
        assert (told["op"], told["before"], told["after"]) == ("end_freeze", why, "-")
        assert (told["who"], told["why"]) == ("ann", "all is well")
        assert world.control("active", "AAA").changes[0].thawed == ""
        assert world.propose(trigger="expired").outcome == "granted"
        assert_sound(world)

    def test_one_that_has_ended_is_not_ended_again(self, fake: Fake) -> None:
        """Resuming after its end changes nothing."""
        world = protected(fake, protection_lots=8)
        trade(world, "buy", 9)
        fake.advance(FREEZE_MS)
        before = world.dump()
        assert world.control("active", "AAA").changes[0].thawed == ""
        assert world.dump() == before

    def test_waits_for_nothing(self, fake: Fake) -> None:
        """A frozen symbol keeps no place in the queues for exposure."""
        world = protected(fake, protection_lots=8)
        world.configure(limit_units=25)
        fake.advance(WINDOW_MS)
        world.propose("AAA", trigger="refresh")
        world.propose("BBB", trigger="refresh")
        world.propose("AAA", trigger="refresh")
        assert world.scripts.snapshot()["waiting_bid"]
        world.trade(world.order("buy", 9), world.order("buy", 1, symbol="BBB"))
        world.scripts.commit(100)
        names = [one[0] for one in world.ranked("waiting:bid").items()]
        assert "AAA" not in names

    def test_live_configuration(self, fake: Fake) -> None:
        """The bounds and the times are changed while the system runs, as all else."""
        world = protected(fake)
        first, second = world.config.symbols
        bounded = (first.__class__(**{**vars(first), "protection_lots": 2}), second)
        world.configure(symbols=bounded, protection_freeze_ms=0)
        world.propose(trigger="expired")
        trade(world, "buy", 3)
        assert frozen(world)
        assert world.hash("position:*", "AAA")["frozen_until_ms"] == str(MAX_INT)

    def test_a_system_from_before(self, fake: Fake) -> None:
        """Keys without the new fields have no bounds, and the times of the defaults."""
        world = protected(fake)
        world.client.hdel(
            world.keys.named("config"), "protection_window_ms", "protection_freeze_ms"
        )
        key = world.keys.member("terms:*", "AAA")
        world.client.hdel(key, "protection_lots", "protection_loss_ticks")
        trade(world, "buy", 20)
        assert frozen(world) == ""
        assert_sound(world)
        world.client.hset(key, "protection_lots", "1")
        world.propose(trigger="position")
        trade(world, "buy", 2)
        window_ms = Config.protection_window_ms
        assert frozen(world) == f"traded 2 lots, more than 1 within {window_ms} ms"
        until_ms = int(world.hash("position:*", "AAA")["frozen_until_ms"])
        assert until_ms - world.now_ms() == Config.protection_freeze_ms
