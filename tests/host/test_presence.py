"""`mm up` among the processes of its system."""

from __future__ import annotations

from pathlib import Path

import pytest
from redis.exceptions import NoPermissionError

from mm.host import DataDir, UpPresence
from mm.market import LIVE_MS
from mm.store import read_identity
from tests.kit import Fake, World, small_config


class One:
    """One `mm up` in a world, and what it has said."""

    def __init__(self, world: World, directory: Path) -> None:
        identity = read_identity(world.scripts)
        assert identity is not None
        self.said: list[str] = []
        self.up = UpPresence(world.scripts, identity, DataDir(directory), self.said.append)

    def beat(self, *wanted: str) -> None:
        """Send a heartbeat."""
        self.up.beat(wanted)


def test_it_names_what_it_wants(world: World, tmp_path: Path) -> None:
    """Its hash has the processes that it runs, and the directory in which it does."""
    one = One(world, tmp_path)
    one.beat("exchange-1", "maker-1")
    stored = world.hash("process:*", one.up.name)
    assert (stored["kind"], stored["wants"]) == ("up", "exchange-1 maker-1")
    assert stored["place"].startswith(str(tmp_path))
    one.beat()
    assert world.hash("process:*", one.up.name)["wants"] == "-"


def test_two_name_each_other(world: World, tmp_path: Path) -> None:
    """Each of two says once that the other is there, and where, and when it is there no more."""
    here, there = One(world, tmp_path / "here"), One(world, tmp_path / "there")
    for _ in range(2):
        here.beat()
        there.beat()
    here.beat()
    assert [len(here.said), len(there.said)] == [1, 1]
    assert not here.up.alone and not there.up.alone
    assert there.up.name in here.said[0] and str(tmp_path / "there") in here.said[0]
    assert here.up.name in there.said[0] and str(tmp_path / "here") in there.said[0]
    there.up.close()
    here.beat()
    assert here.said[1].startswith(f"the other `mm up` is not heard of any more: {there.up.name}")
    assert world.hash("process:*", there.up.name) == {}
    assert here.up.alone


def test_it_withdraws_what_nobody_would_replace(world: World, tmp_path: Path) -> None:
    """Quotes end when no maker is left, and stay for a live one; both are said."""
    one = One(world, tmp_path)
    world.propose()
    world.beat("maker-7")
    assert one.up.withdraw_quotes() == (
        "the quotes stay until they expire, for a maker is live: maker-7"
    )
    assert world.reserved() == (10, 10)
    world.farewell("maker-7")
    assert one.up.withdraw_quotes() == "1 quote withdrawn, exposure released"
    assert world.reserved() == (0, 0)


def test_it_withdraws_any_number(fake: Fake, tmp_path: Path) -> None:
    """More quotes than one call ends are ended by several."""
    world = World(fake, small_config(300, limit=6_000))
    for symbol in world.config.symbols:
        world.propose(symbol.name)
    one = One(world, tmp_path)
    assert one.up.withdraw_quotes().startswith("300 quotes withdrawn")
    assert world.ranked("expiry") == {}


def test_quotes_stay_where_nobody_answers(world: World, tmp_path: Path) -> None:
    """Without an answer, or in another system, the end of `mm up` goes on, and says why."""
    one = One(world, tmp_path)
    world.propose()
    world.client.hset(world.keys.named("config"), "system_id", "00000000000000bb")
    assert "but the server holds system 00000000000000bb" in one.up.withdraw_quotes()
    assert world.reserved() == (10, 10)


def test_a_killed_one_is_missed(world: World, tmp_path: Path) -> None:
    """One that says no farewell is missed when it has been silent for long enough."""
    here, there = One(world, tmp_path), One(world, tmp_path)
    there.beat()
    here.beat()
    world.advance(LIVE_MS + 1)
    here.beat()
    assert "is not heard of any more" in here.said[-1]


def test_a_lacking_right_is_said_once(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user who may read and not beat learns it, once."""
    one = One(world, tmp_path)

    def refuse(*words: object) -> None:
        raise NoPermissionError("NOPERM User u has no permissions to run the 'evalsha' command")

    monkeypatch.setattr(world.scripts, "heartbeat", refuse)
    one.beat()
    one.beat()
    assert len(one.said) == 1
    assert "cannot announce itself" in one.said[0] and "evalsha" in one.said[0]
