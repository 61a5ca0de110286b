"""What is wrong with the archives, in plain sentences."""

from __future__ import annotations

from pathlib import Path

from mm.facts import Stoppage, archive_troubles, stoppages_at_rest
from tests.kit import World


def test_the_troubles_of_a_partition() -> None:
    """Each partition has those of its own archivists; what stops trading is none of them."""
    found = [
        Stoppage("trouble of archivist-1.1", "the disk of 1 is full", trades_on=True),
        Stoppage("absent archivist-11.1", "archivist-11.1 is silent", trades_on=True),
        Stoppage("absent archivist-1.2", "archivist-1.2 starts", expected=True, trades_on=True),
        Stoppage("trouble of maker-1.1", "its rule fails"),
    ]
    assert archive_troubles(found, 1) == ["the disk of 1 is full"]
    assert archive_troubles(found, 11) == ["archivist-11.1 is silent"]
    assert archive_troubles(found, 0) == []
    assert len(archive_troubles(found, None)) == 2


def test_an_archive_at_rest(fake_world: World, tmp_path: Path) -> None:
    """A missing one is named beside the stop of the system; a whole one is not."""
    fake_world.propose("AAA", bid=98, ask=101)
    fake_world.trade(fake_world.order("buy", 1, symbol="AAA"))
    fake_world.drain()
    path = fake_world.archive(tmp_path)
    assert [one.cause for one in stoppages_at_rest(fake_world.scripts)] == ["stopped"]
    path.unlink()
    (_, found) = stoppages_at_rest(fake_world.scripts)
    assert found.words == f"{path}: the archive is missing; what is only there cannot be read"
    assert found.trades_on and not found.expected
