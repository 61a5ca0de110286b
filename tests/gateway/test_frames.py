"""What a frame says, of systems that the fake server has."""

from __future__ import annotations

from decimal import Decimal

from mm.gateway.frames import market_frame, own_stoppages, symbol_frame
from mm.store import take_snapshot
from mm.terminal import SymbolPast
from tests.kit import Fake, World, small_config
from tests.kit.world import symbol_names


def test_who_waits_for_exposure(fake: Fake) -> None:
    """The market names the first that wait for each budget, and a symbol has its place."""
    world = World(fake, small_config(8, limit=15))
    for name in world.names:
        world.propose(name, ask_lots=1)
    found = take_snapshot(world.scripts)
    assert market_frame(found)["waiting"] == [
        {"budget": "long", "count": 7, "first": tuple(world.names[1:5])},
        {"budget": "short", "count": 0, "first": ()},
    ]
    assert symbol_frame(found, SymbolPast(world.names[3]))["waiting"] == [
        {"budget": "long", "place": 3, "count": 7},
        {"budget": "short", "place": None, "count": 0},
    ]


def test_a_symbol_has_its_own_words(fake: Fake) -> None:
    """What stops a symbol is said on its page, however many others are stopped, and only that."""
    world = World(fake, small_config(9, limit=100))
    for name in world.names[:-1]:
        world.control("reducing", name, why=f"the news of {name}")
    found = take_snapshot(world.scripts)
    for name in world.names[:-1]:
        (own,) = own_stoppages(found, name)
        assert own.expected and f"{name} is quoted only to shrink its position" in own.words
        assert own.words.endswith(f"the news of {name}")
    assert own_stoppages(found, world.names[-1]) == []


def test_a_limit_in_the_unit_of_the_position(fake: Fake) -> None:
    """Position and limit of a symbol are both quantities, with the decimals of its lot."""
    config = small_config(
        1, limit=100, of_symbol={"lot": Decimal("0.001"), "position_limit_lots": 100}
    )
    world = World(fake, config)
    world.propose(ask_lots=7)
    world.trade(world.order("buy", 7))
    world.scripts.commit(100)
    frame = symbol_frame(take_snapshot(world.scripts), SymbolPast(symbol_names(1)[0]))
    position = frame["position"]
    assert isinstance(position, dict)
    assert (position["net_quantity"], position["limit"]) == ("-0.007", "0.100")
