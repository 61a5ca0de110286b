"""The course of the total profit: its largest drawdown, and its points."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest

from mm.facts import ProfitTrack, SnapshotTracks, totals, tracks_of
from mm.facts.profit import Purse
from mm.facts.profit_track import MAX_POINTS
from mm.store import latest_commits, take_snapshot
from tests.kit import SEEDS, Fake, World, small_config

PURSE = Purse("USD", Decimal("0.01"), {"AAA": 1})


@pytest.mark.parametrize("seed", SEEDS)
def test_largest_drawdown(seed: int) -> None:
    """It is the deepest fall below the highest total before, also between kept points."""
    rng, track, values = random.Random(seed), ProfitTrack(PURSE), list[int]()
    for at in range(5_000):
        values.append(rng.randint(-900, 900) if rng.random() < 0.3 else (values or [0])[-1])
        track.add(at, values[-1])
    highest, expected = values[0], 0
    for value in values:
        highest = max(highest, value)
        expected = max(expected, highest - value)
    assert track.largest == expected > 0
    assert track.drawdown == f"{Decimal(expected) / 100:.2f}"
    points = track.points(40)
    assert len(points) == 40 and len(track.points(10**6)) <= MAX_POINTS
    assert track.points(1) == track.points(0) == [] and len(track.points(2)) == 2
    assert points[0] == values[0] and set(points) <= set(values)


def test_only_rising_has_no_drawdown() -> None:
    """A total that never falls has lost nothing, and a first loss counts from the first total."""
    track = ProfitTrack(PURSE)
    assert (track.largest, track.points(10)) == (0, [])
    for at, value in enumerate((-5, -5, 0, 7)):
        track.add(at, value)
    assert (track.largest, track.points(10)) == (0, [-5, -5, 0, 7])
    track.add(4, 3)
    assert track.largest == 4


def test_tracks_of_committed_updates(fake: Fake) -> None:
    """The updates of several symbols, each at the price of its fill, give one course."""
    world = World(fake, small_config(2, limit=100))
    prices = [("AAA", 100, 104), ("BBB", 90, 94), ("AAA", 80, 84), ("AAA", 99, 103)]
    course, held = [], {"AAA": (0, 0, 0), "BBB": (0, 0, 0)}
    for name, bid, ask in prices:
        world.propose(name, bid=bid, ask=ask)
        world.trade(world.order("sell", 3, bid, symbol=name))
        world.scripts.commit(10)
        net, cash, _ = held[name]
        held[name] = (net + 3, cash - 3 * bid, bid)
        course.append(sum(cash + net * last for net, cash, last in held.values()))
    assert course == [0, 0, -60, 54]
    commits = latest_commits(world.scripts, 100)
    assert [name for name, _ in commits] == [name for name, *_ in prices]
    (track,) = tracks_of(take_snapshot(world.scripts), commits)
    assert track.drawdown == "0.60"
    assert [PURSE.text(one) for one in course] == [track.purse.text(p) for p in track.points(9)]
    # With the newest two only, what went before them is not known.
    newest = latest_commits(world.scripts, 2)
    assert newest == commits[-2:]
    (track,) = tracks_of(take_snapshot(world.scripts), newest)
    assert track.largest == 0
    assert latest_commits(world.scripts, 100, since_ms=world.now_ms() + 1) == []


def test_snapshots_that_follow_each_other(fake: Fake) -> None:
    """A view's tracks follow the totals, and begin anew with other symbols."""
    world, tracks = World(fake, small_config(1)), SnapshotTracks()
    for bid in (100, 80):
        world.propose(bid=bid, ask=bid + 2)
        world.trade(world.order("sell", 1, bid))
        world.scripts.commit(10)
        found = take_snapshot(world.scripts)
        tracks.add(found)
    (track,) = tracks.tracks
    assert track.purse.text(track.points(9)[-1]) == totals(found)[0].total
    assert Decimal(track.drawdown) == Decimal("0.19")
    tracks.add(take_snapshot(World(fake, small_config(2), setup=False).scripts))
    assert len(tracks.tracks) == 1
