"""What tests of an archivist do and look at."""

from __future__ import annotations

from pathlib import Path

from mm.archive import Archive
from mm.archivist import Archivist
from mm.market import Fill, Side
from tests.kit import World, assert_sound

END = (2**62, 0)


def trade(world: World, rounds: int, commit: bool = True) -> None:
    """So many entries of one fill of each symbol; positions stay near flat."""
    for number in range(rounds):
        side: Side = "buy" if number % 2 else "sell"
        for name in world.names:
            if not world.quote_lots(name):
                world.propose(name)
        world.trade(*(world.order(side, 1, symbol=name) for name in world.names))
        if commit:
            world.drain()
            for name in world.names:
                world.propose(name, trigger="position")


def run(archivist: Archivist) -> None:
    """Step until nothing is left to do."""
    while archivist.step():
        pass


def archived(directory: Path) -> list[str]:
    """The ids of the fills in the archive, in its order."""
    with Archive(directory / "archive.db") as archive:
        return [fill.fill_id for fill in archive.fills((0, 0), END)]


def kept(world: World) -> list[str]:
    """The ids of the fills in the ledger's stream."""
    return [name for name, _ in world.records("fills")]


def assert_whole(world: World, fills: list[Fill]) -> None:
    """Ledger and archive together have exactly these fills; everything else holds too."""
    assert world.fills() == fills
    assert_sound(world, quotes=False)


def trouble(archivist: Archivist) -> str:
    """What its heartbeat says."""
    return archivist.beat_fields()["trouble"]
