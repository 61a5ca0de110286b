"""heartbeat.lua and farewell.lua: which processes live, and what is recorded of their lives."""

from __future__ import annotations

import pytest

from mm.store import Beat, execute
from tests.kit import SYSTEM_ID, Fake, MakeWorld, World, assert_only_for_its_system, small_config


def lives(world: World) -> list[tuple[str, ...]]:
    """The lifecycle events so far: event, process, pid, the pid before it."""
    found = [dict(entry) for _, entry in world.stream("lifecycle")]
    return [(one["event"], one["process"], one["pid"], one["before_pid"]) for one in found]


@pytest.fixture
def frozen(fake: Fake) -> World:
    """A small world whose clock only the test moves."""
    return World(fake, small_config())


class TestHeartbeat:
    def test_first(self, world: World) -> None:
        """A process is alive from its first heartbeat, and its hash says what it said."""
        beat = Beat(SYSTEM_ID, "maker-1", "maker", "r", 7, 5, fields={"x": "y"})
        now, live = world.scripts.heartbeat(beat)
        assert live == ["maker-1"]
        assert world.hash("process:*", "maker-1") == {
            "kind": "maker",
            "heartbeat_ms": str(now),
            "count": "5",
            "rate_per_s": "0",
            "pid": "7",
            "run": "r",
            "steady_ms": str(now),
            "lost": "0",
            "x": "y",
        }

    def test_own_kind_only(self, world: World) -> None:
        """It learns of the live ones of its own kind, sorted; a kind's prefix is not the kind."""
        world.beat("maker-2")
        world.beat("exchange-1")
        world.beat("makers-1")
        assert world.beat("maker-1") == ["maker-1", "maker-2"]

    def test_silence(self, make_world: MakeWorld) -> None:
        """A process that was silent for longer than live_ms is dead, and alive again when heard."""
        world = make_world()
        world.beat("maker-1")
        world.advance(101)
        assert world.beat("maker-2", live_ms=100) == ["maker-2"]
        assert world.beat("maker-1", live_ms=100) == ["maker-1", "maker-2"]

    def test_exact_silence(self, frozen: World) -> None:
        """At exactly live_ms it still counts as alive, one millisecond later no more."""
        frozen.beat("maker-1")
        frozen.advance(2000)
        assert frozen.beat("maker-2") == ["maker-1", "maker-2"]
        frozen.advance(1)
        assert frozen.beat("maker-2") == ["maker-2"]

    def test_rate(self, frozen: World) -> None:
        """The rate is what was done since the last heartbeat; a restarted count reads as none."""
        steps = ((0, 100, "0"), (500, 350, "500"), (500, 3, "0"), (3000, 8, "1"))
        for advance, count, rate in steps:
            frozen.advance(advance)
            frozen.beat("maker-1", count)
            assert frozen.hash("process:*", "maker-1")["rate_per_s"] == rate

    def test_forgotten_after_an_hour(self, frozen: World) -> None:
        """A process that is silent for an hour leaves no trace."""
        frozen.beat("maker-1")
        frozen.advance(3_600_001)
        frozen.beat("maker-2")
        assert frozen.ranked("processes").keys() == {"maker-2"}
        assert not frozen.hash("process:*", "maker-1")

    def test_clock_set_back(self, frozen: World) -> None:
        """With the clock set back a process that died before does not live on in the future."""
        frozen.beat("maker-1")
        frozen.beat("maker-2")
        frozen.advance(-300_000)
        assert frozen.beat("maker-2") == ["maker-2"]
        assert frozen.beat("maker-1") == ["maker-1", "maker-2"]

    @pytest.mark.parametrize("gone", [True, False])
    def test_foreign_system(self, world: World, gone: bool) -> None:
        """Where its system is gone, or another has its place, a process records nothing."""
        assert_only_for_its_system(
            world, gone, lambda: world.beat("maker-1", first=True, server_run="r1")
        )


class TestLifecycle:
    def test_started_once(self, frozen: World) -> None:
        """A start is recorded once, although its first heartbeat came twice."""
        frozen.beat("maker-1", first=True)
        frozen.beat("maker-1", first=True)
        frozen.beat("maker-1")
        assert lives(frozen) == [("started", "maker-1", "7", "-")]

    def test_started_after_a_kill(self, frozen: World) -> None:
        """A start names the process of its name that had not stopped, and when it was heard."""
        frozen.beat("maker-1", run="a", pid=1, first=True)
        heard = frozen.now_ms()
        frozen.advance(700)
        frozen.beat("maker-1", run="b", pid=2, first=True)
        assert lives(frozen)[1:] == [("started", "maker-1", "2", "1")]
        event = dict(frozen.stream("lifecycle")[-1][1])
        assert (event["kind"], event["heard_ms"]) == ("maker", str(heard))
        assert event["ts_ms"] == str(frozen.now_ms())

    def test_two_of_one_name(self, frozen: World) -> None:
        """Two living processes of one name are no deaths: nothing more is recorded of them."""
        for _ in range(8):
            for run in ("a", "b"):
                frozen.beat("maker-1", run=run, first=not frozen.stream("lifecycle"))
                frozen.advance(400)
        assert [event for event, *_ in lives(frozen)] == ["started"]

    def test_lost_and_returned(self, frozen: World) -> None:
        """A silent process is recorded as lost once, and as returned when it is heard again."""
        frozen.beat("maker-2", pid=2, first=True)
        heard = frozen.now_ms()
        for _ in range(12):
            frozen.beat("maker-1")
            frozen.advance(400)
        assert lives(frozen)[1:] == [("lost", "maker-2", "2", "-")]
        assert dict(frozen.stream("lifecycle")[-1][1])["heard_ms"] == str(heard)
        frozen.beat("maker-2", pid=2)
        frozen.beat("maker-2", pid=2)
        assert lives(frozen)[2:] == [("returned", "maker-2", "2", "-")]
        assert frozen.hash("process:*", "maker-2")["lost"] == "0"

    @pytest.mark.parametrize(("pause_ms", "steady"), [(0, True), (1, True), (-1, False)])
    def test_steady_to_the_millisecond(self, frozen: World, pause_ms: int, steady: bool) -> None:
        """Two beats in one millisecond leave no gap; a clock that is set back does."""
        frozen.beat("maker-1", count=1)
        since_ms = frozen.now_ms()
        frozen.advance(500)
        frozen.beat("maker-1", count=2)
        frozen.advance(pause_ms)
        frozen.beat("maker-1", count=3)
        stored = frozen.hash("process:*", "maker-1")
        assert stored["steady_ms"] == str(since_ms if steady else frozen.now_ms())
        assert stored["rate_per_s"] == ("1000" if pause_ms == 1 else "0")

    def test_many_are_lost_at_once(self, frozen: World) -> None:
        """One heartbeat records 256 losses at most, and the next one those that are left."""
        frozen.beat("maker-1")
        for number in range(257):
            frozen.beat(f"maker-{number + 2}")
        for _ in range(5):
            frozen.advance(400)
            frozen.beat("maker-1")
        frozen.advance(1)
        frozen.beat("maker-1")
        assert len(lives(frozen)) == 256

    @pytest.mark.parametrize(("live_ms", "lost"), [(2000, 0), (1999, 1)])
    def test_exactly_lost(self, frozen: World, live_ms: int, lost: int) -> None:
        """At exactly live_ms of silence nothing is lost, one millisecond later it is."""
        frozen.beat("maker-1")
        frozen.advance(500)
        frozen.beat("maker-2")
        for _ in range(2):
            frozen.advance(1000)
            frozen.beat("maker-1", live_ms=live_ms)
        assert len(lives(frozen)) == lost

    def test_after_a_pause_nobody_is_lost(self, frozen: World) -> None:
        """When all were silent, because the server was, the first one heard finds nobody lost."""
        frozen.beat("maker-1")
        frozen.beat("maker-2")
        frozen.advance(10_000)
        frozen.beat("maker-1")
        frozen.advance(2_000)
        frozen.beat("maker-1")
        assert lives(frozen) == []
        frozen.advance(1)
        frozen.beat("maker-1")
        assert [event for event, *_ in lives(frozen)] == ["lost"]

    def test_server_started(self, frozen: World) -> None:
        """Another run id of the server is recorded once, and an unknown one never."""
        for run in ("r1", "r1", "-", "r2", "r2"):
            frozen.beat("maker-1", server_run=run)
        assert lives(frozen) == [("server_started", "-", "-", "-")] * 2
        heard = [dict(fields)["heard_ms"] for _, fields in frozen.stream("lifecycle")]
        assert heard == ["-", str(frozen.now_ms())]
        assert frozen.hash("server") == {"run": "r2", "since_ms": str(frozen.now_ms())}


class TestFarewell:
    def test_gone_at_once(self, world: World) -> None:
        """A process that says farewell is dead for the others at once, and recorded as stopped."""
        world.beat("maker-1")
        world.beat("maker-2")
        world.farewell("maker-1")
        assert world.beat("maker-2") == ["maker-2"]
        assert not world.hash("process:*", "maker-1")
        assert lives(world) == [("stopped", "maker-1", "7", "-")]
        assert dict(world.stream("lifecycle")[0][1])["kind"] == "maker"

    def test_another_of_its_name(self, world: World) -> None:
        """The farewell of one of two processes of a name leaves the other one alive."""
        world.beat("maker-1", run="a", pid=1)
        world.beat("maker-1", run="b", pid=2)
        world.farewell("maker-1", run="a", pid=1)
        assert lives(world) == [("stopped", "maker-1", "1", "-")]
        assert world.beat("maker-2") == ["maker-1", "maker-2"]

    def test_unknown(self, world: World) -> None:
        """The farewell of an unknown process changes no key."""
        before = world.dump()
        world.farewell("maker-9")
        assert world.dump() == before

    @pytest.mark.parametrize("command", ["DEL", "HDEL"])
    def test_foreign_system(self, world: World, command: str) -> None:
        """Where its system is gone, a farewell changes no key."""
        world.beat("maker-1")
        key = world.keys.named("config")
        execute(world.client, command, key, *(["system_id"] if command == "HDEL" else []))
        before = world.dump()
        world.farewell("maker-1")
        assert world.dump() == before
