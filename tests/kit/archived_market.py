"""What tests of the archive share: a market whose old fills are only there."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

from mm.archivist import Archivist
from mm.host import open_system
from tests.kit.backends import short_directory
from tests.kit.crash import KillableServer, trading
from tests.kit.trader import Trader
from tests.kit.world import World


def archive_on(archivist: Archivist) -> None:
    """Archive and trim until there is no more to do; the archive stays open."""
    while archivist.step():
        pass


@contextmanager
def archived(server: str, **changes: object) -> Iterator[tuple[KillableServer, World, Trader]]:
    """What :func:`trading` gives, all committed, with all but the newest fill only archived.

    The archivist is gone, and its last commits are in the file of the archive.
    """
    with trading(server, **({"keep_fills": 1} | changes)) as (made, world, trader):
        open_system(made.directory, world.scripts)
        trader.trade(200)
        trader.settle()
        world.archive(made.directory.path)
        yield made, world, trader


@contextmanager
def moved(made: KillableServer) -> Iterator[Path]:
    """The directory of a server, killed and moved: nothing is where the keys say."""
    made.kill()
    with short_directory() as place:
        path = place / "d"
        shutil.copytree(made.directory.path, path, ignore=shutil.ignore_patterns("*.sock"))
        for one in made.directory.path.glob("archive*"):
            one.unlink()
        yield path


def tiny_config(place: Path) -> Path:
    """A file with the default configuration, of which the server keeps 20 fills."""
    path = place / "tiny.toml"
    text = (files("mm.market") / "default.toml").read_text(encoding="utf-8")
    assert "\nkeep_fills = 100000\n" in text
    path.write_text(text.replace("\nkeep_fills = 100000\n", "\nkeep_fills = 20\n"))
    return path
