"""heartbeat.lua and farewell.lua: who lives."""

from __future__ import annotations

from tests.kit import Fake, MakeWorld, World, small_config


def beat(world: World, name: str, kind: str, count: int = 0, live_ms: int = 2000) -> list[str]:
    """A heartbeat; the live names of the kind."""
    return world.scripts.heartbeat(name, kind, live_ms, count, {"pid": "7"})[1]


class TestHeartbeat:
    def test_first(self, world: World) -> None:
        """A process is alive from its first heartbeat, and its hash says what it said."""
        now, live = world.scripts.heartbeat("maker-1", "maker", 2000, 5, {"pid": "7", "x": "y"})
        assert live == ["maker-1"]
        assert world.hash("process:*", "maker-1") == {
            "kind": "maker",
            "heartbeat_ms": str(now),
            "count": "5",
            "rate_per_s": "0",
            "pid": "7",
            "x": "y",
        }

    def test_own_kind_only(self, world: World) -> None:
        """It learns of the live ones of its own kind, sorted; a kind's prefix is not the kind."""
        beat(world, "maker-2", "maker")
        beat(world, "exchange-1", "exchange")
        beat(world, "makers-1", "makers")
        assert beat(world, "maker-1", "maker") == ["maker-1", "maker-2"]

    def test_silence(self, make_world: MakeWorld) -> None:
        """A process that was silent for longer than live_ms is dead, and alive again when heard."""
        world = make_world()
        beat(world, "maker-1", "maker")
        world.advance(101)
        assert beat(world, "maker-2", "maker", live_ms=100) == ["maker-2"]
        assert beat(world, "maker-1", "maker", live_ms=100) == ["maker-1", "maker-2"]

    def test_exact_silence(self, fake: Fake) -> None:
        """At exactly live_ms it still counts as alive, one millisecond later no more."""
        world = World(fake, small_config())
        beat(world, "maker-1", "maker")
        fake.advance(2000)
        assert beat(world, "maker-2", "maker") == ["maker-1", "maker-2"]
        fake.advance(1)
        assert beat(world, "maker-2", "maker") == ["maker-2"]

    def test_rate(self, fake: Fake) -> None:
        """The rate is what was done since the last heartbeat; a restarted count reads as none."""
        world = World(fake, small_config())
        beat(world, "maker-1", "maker", 100)
        fake.advance(500)
        beat(world, "maker-1", "maker", 350)
        assert world.hash("process:*", "maker-1")["rate_per_s"] == "500"
        fake.advance(500)
        beat(world, "maker-1", "maker", 3)
        assert world.hash("process:*", "maker-1")["rate_per_s"] == "0"
        fake.advance(3_000)
        beat(world, "maker-1", "maker", 8)
        assert world.hash("process:*", "maker-1")["rate_per_s"] == "1"

    def test_forgotten_after_an_hour(self, fake: Fake) -> None:
        """A process that is silent for an hour leaves no trace."""
        world = World(fake, small_config())
        beat(world, "maker-1", "maker")
        fake.advance(3_600_001)
        beat(world, "maker-2", "maker")
        assert world.ranked("processes").keys() == {"maker-2"}
        assert not world.hash("process:*", "maker-1")

    def test_clock_set_back(self, fake: Fake) -> None:
        """With the clock set back a process that died before does not live on in the future."""
        world = World(fake, small_config())
        beat(world, "maker-1", "maker")
        beat(world, "maker-2", "maker")
        fake.advance(-300_000)
        assert beat(world, "maker-2", "maker") == ["maker-2"]
        assert beat(world, "maker-1", "maker") == ["maker-1", "maker-2"]


class TestFarewell:
    def test_gone_at_once(self, world: World) -> None:
        """A process that says farewell is dead for the others at once."""
        beat(world, "maker-1", "maker")
        beat(world, "maker-2", "maker")
        world.scripts.farewell("maker-1")
        assert beat(world, "maker-2", "maker") == ["maker-2"]
        assert not world.hash("process:*", "maker-1")

    def test_unknown(self, world: World) -> None:
        """The farewell of an unknown process changes no key."""
        before = world.dump()
        world.scripts.farewell("maker-9")
        assert world.dump() == before
