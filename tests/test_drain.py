"""The end of a run: it waits until every order and fill is processed."""

from __future__ import annotations

from collections.abc import Callable

from mm.drain import drain, is_drained
from mm.store import Keys, Snapshot, take_snapshot
from mm.terminal import SnapshotSource
from tests.kit import World


class WorldSource(SnapshotSource):
    """Snapshots of a small world; the first one fails."""

    def __init__(self, world: World) -> None:
        super().__init__("unix:///nowhere/redis.sock", Keys())
        self._world = world
        self.taken = 0

    def snapshot(self, recent: int = 0, max_symbols: int = 0) -> Snapshot | None:
        """The world now."""
        self.taken += 1
        return None if self.taken == 1 else take_snapshot(self._world.scripts)


def test_what_waits_since_this_millisecond_is_not_drained(fake_world: World) -> None:
    """An order, and then its fill, wait even while their lag is still 0 ms."""
    world = fake_world
    assert is_drained(take_snapshot(world.scripts))
    world.propose("AAA")
    world.send(world.order())
    for process in (world.exchange(), world.state()):
        found = take_snapshot(world.scripts)
        assert set(found.lag_ms.values()) == {0}
        assert not is_drained(found)
        process.step()
    assert is_drained(take_snapshot(world.scripts))


def test_drain_ticks_until_all_is_processed(fake_world: World) -> None:
    """Between two looks the caller works on; a failed look is no end."""
    world, done = fake_world, list[str]()
    world.propose("AAA")
    world.send(world.order())
    steps: list[Callable[[], object]] = [world.state().step, world.exchange().step, lambda: None]

    def tick() -> None:
        done.append("tick")
        steps.pop()()

    source = WorldSource(world)
    assert drain(source, tick)
    assert (source.taken, len(done)) == (4, 3)


def test_drain_ends_without_success(fake_world: World) -> None:
    """When nobody processes the order the wait ends, and says so."""
    fake_world.send(fake_world.order())
    assert not drain(WorldSource(fake_world), lambda: None, longest_s=0.2)
