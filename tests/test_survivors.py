"""What a mutation run found that no other test told apart; see ``scripts/mutate``."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import MakeWorld
from kit import Fake, World, assert_sound, small_config

from mm.errors import ProposalRefused
from mm.model import MAX_INT
from mm.scripts import execute

#: A divisor of 2^53 - 1.
DIVISOR = 6361


class TestMatch:
    @pytest.mark.parametrize("side", ["buy", "sell"])
    def test_remaining_over_batches(self, world: World, side: Any) -> None:
        """A later batch finds what earlier ones left of a side, and then nothing."""
        world.propose()
        (first,) = world.trade(world.order(side, 7))
        (second,) = world.trade(world.order(side, 7))
        (third,) = world.trade(world.order(side, 1))
        assert (first.status, first.cum_lots) == ("filled", 7)
        assert (second.status, second.cum_lots) == ("partially_filled", 3)
        assert (third.status, third.reason) == ("canceled", "exhausted")
        assert_sound(world)


    def test_nobody_named_is_nobody_answered(self, world: World) -> None:
        """A line that begins with a blank names no sender: no report, and nothing remembered."""
        world.send_raw("o1", " c1 AAA buy 1 101")
        assert world.scripts.match(10).rejected == 1
        assert not [key for key in world.dump() if ":reports:" in key or ":seen:" in key]

    def test_longest_symbol(self, world: World) -> None:
        """A symbol of 16 characters of the whole alphabet is well formed, if unknown."""
        (report,) = world.trade(world.order(symbol="A9._-" * 3 + "Z"))
        assert report.reason == "unknown_symbol"


class TestPlace:
    def test_largest_product(self, make_world: MakeWorld) -> None:
        """A price whose product with the position limit is 2^53 - 1 itself is still exact."""
        world = make_world(of_symbol={"position_limit_lots": DIVISOR})
        top = MAX_INT // DIVISOR
        assert top * DIVISOR == MAX_INT
        with pytest.raises(ProposalRefused, match="BAD_PROPOSAL"):
            world.propose(ask=top + 1)
        assert world.propose(ask=top).outcome == "granted"

    def test_longest_maker_id(self, world: World) -> None:
        """A maker's name of 64 characters of the whole alphabet is accepted."""
        name = "M-._" * 16
        world.propose(maker=name)
        assert world.hash("quote:*", "AAA")["maker_id"] == name

    def test_places_are_numbered(self, make_world: MakeWorld) -> None:
        """Each beginning of a wait takes the next number, kept beside the totals."""
        world = make_world(symbols=3)
        world.propose("AAA", bid_lots=20, ask_lots=20)
        world.propose("BBB", ask_lots=0)
        world.propose("CCC", bid_lots=0)
        assert world.ranked("waiting:bid") == {"BBB": 1}
        assert world.ranked("waiting:ask") == {"CCC": 2}
        assert world.hash("exposure")["wait_seq"] == "2"
