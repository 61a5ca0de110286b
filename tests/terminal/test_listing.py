"""The order of the symbols, and which of them stand on the lines of the screen."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mm.store import Snapshot
from mm.terminal.keys import Sort, ViewState
from mm.terminal.listing import ACTIVITY_MS, COUNTED_MS, SORTED_MS, Listing
from tests.kit import Fake, World, small_config
from tests.terminal.drawing import take


@pytest.fixture
def world(fake: Fake) -> World:
    """Eight quoted symbols of which three have traded."""
    world = World(fake, small_config(8, limit=1_000))
    for name in world.names:
        world.propose(name)
    world.trade(*(world.order("sell", 3, symbol="CCC") for _ in range(2)))
    world.trade(world.order("buy", 7, symbol="BBB"))
    world.trade(*(world.order("sell", 1, symbol="HHH") for _ in range(3)))
    world.scripts.commit(100)
    return world


def lines(listing: Listing, found: Snapshot, count: int, view: ViewState) -> str:
    """The initials of the symbols on the lines."""
    return "".join(state.symbol.name[0] for state in listing.choose(found, count, view))


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("configured", "ABCDEFGH"),
        ("activity", "HCBADEFG"),
        ("net", "BCHADEFG"),
        ("profit", "BCHADEFG"),
        ("name", "ABCDEFGH"),
    ],
)
def test_orders(world: World, sort: Sort, order: str) -> None:
    """Each order has the largest first, and equal ones by name."""
    assert lines(Listing(), take(world), 8, ViewState(sort=sort)) == order


def test_activity_is_of_the_last_minute(world: World, fake: Fake) -> None:
    """Of two symbols the one that trades now is before the one that has traded more before."""
    listing, view = Listing(), ViewState(sort="activity")
    for _ in range(0, ACTIVITY_MS + COUNTED_MS, COUNTED_MS):
        listing.activity.add(take(world))
        fake.advance(COUNTED_MS)
    world.propose("EEE")
    world.trade(world.order("sell", 1, symbol="EEE"))
    found = take(world)
    listing.activity.add(found)
    assert lines(listing, found, 3, view) == "EAB"
    assert len(listing.activity._counts) <= ACTIVITY_MS // COUNTED_MS + 1


def test_an_order_by_numbers_holds_for_a_while(world: World, fake: Fake) -> None:
    """Lines do not jump at every snapshot; another order is at once."""
    listing, view = Listing(), ViewState(sort="net")
    assert lines(listing, take(world), 8, view) == "BCHADEFG"
    world.trade(world.order("sell", 9, symbol="DDD"))
    world.scripts.commit(100)
    assert lines(listing, take(world), 8, view) == "BCHADEFG"
    assert lines(listing, take(world), 8, replace(view, sort="name")) == "ABCDEFGH"
    fake.advance(SORTED_MS)
    assert lines(listing, take(world), 8, view) == "DBCHAEFG"


def test_the_chosen_symbol_has_a_line(world: World) -> None:
    """The lines scroll as far as the chosen symbol needs, and no further."""
    listing, found = Listing(), take(world)
    walked = {"A": "ABC", "C": "ABC", "D": "BCD", "H": "FGH", "G": "FGH", "E": "EFG", "B": "BCD"}
    for letter, shown in walked.items():
        assert lines(listing, found, 3, ViewState(symbol=letter * 3)) == shown, letter
    assert lines(listing, found, 3, ViewState()) == "ABC"
    assert listing.names == world.names


def test_a_screen_that_grows_has_no_empty_lines(world: World) -> None:
    """At the end of the list a higher screen shows more above."""
    listing, found = Listing(), take(world)
    assert lines(listing, found, 2, ViewState(symbol="HHH")) == "GH"
    assert lines(listing, found, 4, ViewState(symbol="HHH")) == "EFGH"


def test_a_filter_leaves_names(world: World) -> None:
    """A filter is part of a name, in any case; the chosen symbol may be another."""
    listing, found = Listing(), take(world)
    assert lines(listing, found, 3, ViewState(filter="bb", symbol="CCC")) == "B"
    assert lines(listing, found, 3, ViewState(filter="zz")) == ""
    assert listing.names == []
