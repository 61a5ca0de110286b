"""Which symbols have a line where there is no room for all of them."""

from __future__ import annotations

import pytest

from mm.store import take_snapshot
from mm.terminal.rows import Rows
from tests.kit import Fake, World, small_config


@pytest.fixture
def world(fake: Fake) -> World:
    """Eight symbols with room for all of their quotes."""
    return World(fake, small_config(8, limit=1_000))


def lines(rows: Rows, world: World, count: int) -> str:
    """The initials of the symbols on the lines."""
    chosen = rows.choose(take_snapshot(world.scripts), count)
    return "".join(state.symbol.name[0] for state in chosen)


def test_all_symbols_in_their_order(world: World) -> None:
    """Where all fit they have the order of the configuration, whether they are quoted or not."""
    world.propose("GGG")
    assert lines(Rows(), world, 8) == lines(Rows(), world, 20) == "ABCDEFGH"


def test_quoted_symbols_come_first_and_stay(world: World) -> None:
    """A quoted symbol takes a line of one that is not, and keeps it while it is quoted."""
    rows = Rows()
    assert lines(rows, world, 3) == "ABC"
    world.propose("FFF")
    assert lines(rows, world, 3) == "FBC"
    world.propose("BBB")
    world.propose("HHH")
    assert lines(rows, world, 3) == "FBH"
    world.propose("AAA")
    assert lines(rows, world, 3) == "FBH"
    world.advance(29_000)
    world.propose("FFF")
    world.propose("AAA")
    world.advance(1_000)
    assert lines(rows, world, 3) == "FAH"


def test_a_halted_symbol_has_a_line(world: World) -> None:
    """A halted symbol has a line though it has no quote."""
    world.client.hset(world.keys.member("position:*", "HHH"), "halted", "a gap")
    assert lines(Rows(), world, 2) == "HA"


def test_a_symbol_with_a_mode_has_a_line(world: World) -> None:
    """A symbol that an operator has halted has a line, also where the snapshot lacks others."""
    world.control("halted", "HHH")
    assert lines(Rows(), world, 2) == "HA"
    world.control("reducing", "GGG")
    assert list(take_snapshot(world.scripts, max_symbols=2).symbols) == ["GGG", "HHH"]
    world.control("active", "GGG", "HHH")
    assert list(take_snapshot(world.scripts, max_symbols=2).symbols) == ["AAA", "BBB"]


def test_another_number_of_lines(world: World) -> None:
    """When the screen becomes lower or higher, the first lines stay."""
    rows = Rows()
    world.propose("EEE")
    assert lines(rows, world, 3) == "EAB"
    assert lines(rows, world, 1) == "E"
    assert lines(rows, world, 4) == "EABC"
