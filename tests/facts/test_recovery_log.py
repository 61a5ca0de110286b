"""A process that is back is announced once, with what is known of its absence."""

from __future__ import annotations

from dataclasses import replace

from mm.facts import Lost, RecoveryLog
from mm.facts.recovery_log import PATIENCE_MS
from mm.market import LIVE_MS
from mm.store import take_snapshot
from tests.kit import Fake, World, small_config
from tests.kit.partitioned import Partitioned


class Watched:
    """A world and what the log says of its snapshots."""

    def __init__(self, fake: Fake) -> None:
        self.fake = fake
        self.world = World(fake, small_config())
        self.log = RecoveryLog()
        self.world.admit("publisher-1")

    def look(self, lost: Lost | None = None, name: str = "exchange-1", restarts: int = 0) -> str:
        """The lines of one more snapshot."""
        found = take_snapshot(self.world.scripts, 20)
        lines = self.log.update(found, {name: restarts}, {name: lost} if lost else {})
        return "\n".join(lines)

    def send(self, *numbers: int) -> None:
        """Orders that wait in the inbox."""
        for number in numbers:
            self.world.send_to_inbox("publisher-1", f"o{number}", "publisher-1 AAA sell 1 1")

    def take_orders(self) -> None:
        """The exchange takes and matches what waits."""
        self.world.scripts.collect(100)
        self.world.scripts.match(100)

    def beat(self, pid: int, name: str = "exchange-1") -> None:
        """A heartbeat of the process with this pid."""
        self.world.beat(name, pid=pid, run=f"run-{pid}", first=True)


def test_an_exchange_is_back(fake: Fake) -> None:
    """The line has the time since it was last alive, the orders that waited, and that none is lost.

    It comes once, and only when nothing waits any more.
    """
    watched = Watched(fake)
    watched.beat(11)
    assert watched.look() == ""
    fake.advance(300)
    watched.send(1, 2)
    assert watched.look(Lost("died", 0.05), restarts=1) == ""
    fake.advance(200)
    watched.send(3)
    assert watched.look(Lost("died", 0.25), restarts=1) == ""
    fake.advance(60)
    watched.beat(12)
    fake.advance(40)
    assert watched.look(Lost("died", 0.35), restarts=1) == ""
    watched.take_orders()
    said = watched.look(Lost("died", 0.35), restarts=1)
    assert said == "exchange-1 died → back within 0.31 s, at least 3 orders waited, none lost"
    watched.beat(12)
    assert watched.look(Lost("died", 9.0), restarts=1) == ""


def test_without_a_supervisor_the_heartbeats_count(fake: Fake) -> None:
    """Another terminal knows when the process was last heard, and not how it ended."""
    watched = Watched(fake)
    watched.beat(11)
    watched.look()
    fake.advance(1_234)
    watched.beat(12)
    assert watched.look() == "exchange-1 was gone → back 1.24 s after it was last heard"


def test_what_waits_too_long_is_not_called_safe(fake: Fake) -> None:
    """While orders go on waiting nothing is said of their end."""
    watched = Watched(fake)
    watched.beat(11)
    watched.look()
    watched.send(1)
    fake.advance(500)
    assert watched.look() == ""
    watched.beat(12)
    assert watched.look() == ""
    fake.advance(PATIENCE_MS)
    watched.beat(12)
    said = watched.look()
    assert (
        said == "exchange-1 was gone → back 0.50 s after it was last heard, at least 1 order waited"
    )


def test_fills_wait_for_the_state_service(fake: Fake) -> None:
    """The state service's return names the fills that were not committed."""
    watched = Watched(fake)
    world = watched.world
    watched.beat(11, "state-1")
    watched.look()
    world.propose("AAA")
    world.trade(world.order("sell", 1), world.order("sell", 2))
    fake.advance(400)
    assert watched.look() == ""
    watched.beat(12, "state-1")
    assert watched.look() == ""
    world.scripts.commit(10)
    said = watched.look()
    assert said.endswith("0.40 s after it was last heard, at least 2 fills waited, none lost")


def test_a_living_process_is_not_announced(fake: Fake) -> None:
    """Orders that wait between heartbeats of one process, and its silence, are no return."""
    watched = Watched(fake)
    for _ in range(3):
        watched.beat(11)
        watched.send(1)
        assert watched.look() == ""
        fake.advance(LIVE_MS + 500)
    assert watched.look() == ""
    watched.beat(11)
    assert watched.look() == ""


def test_what_waited_before_a_heartbeat_is_forgotten(fake: Fake) -> None:
    """Orders that waited for a moment while the process lived did not wait for its return."""
    watched = Watched(fake)
    watched.beat(11)
    watched.look()
    watched.send(1, 2)
    assert watched.look() == ""
    watched.take_orders()
    fake.advance(500)
    watched.beat(11)
    assert watched.look() == ""
    fake.advance(500)
    watched.beat(12)
    assert watched.look() == "exchange-1 was gone → back 0.50 s after it was last heard"


def test_a_process_of_an_earlier_run_is_not_back(fake: Fake) -> None:
    """What had ended before the view began says nothing about this run."""
    watched = Watched(fake)
    watched.beat(11)
    fake.advance(60_000)
    assert watched.look() == ""
    watched.beat(12)
    assert watched.look() == ""
    fake.advance(500)
    watched.beat(13)
    assert watched.look() == "exchange-1 was gone → back 0.50 s after it was last heard"


def test_a_publisher_is_back_when_it_sends(fake: Fake) -> None:
    """Orders that the process before had sent are no sign of the next one."""
    watched = Watched(fake)

    def look(restarts: int, ago_s: float) -> str:
        return watched.look(Lost("died", ago_s), "publisher-1", restarts)

    watched.send(1)
    watched.take_orders()
    assert look(0, 0.0) == ""
    watched.send(2)
    assert look(1, 0.1) == ""
    watched.take_orders()
    assert look(1, 0.1) == ""
    fake.advance(500)
    watched.send(3)
    watched.take_orders()
    fake.advance(100)
    assert look(1, 0.7) == "publisher-1 died → sends again within 0.60 s"
    assert look(1, 0.9) == ""


def test_a_partition_counts_its_own_orders(fake: Fake) -> None:
    """The exchange of one partition is not said to have kept the orders of another waiting."""
    made = Partitioned(fake, small_config(4, partitions=2))
    log = RecoveryLog()
    for world in made.worlds:
        world.admit("publisher-0.1")
    made.worlds[1].send_to_inbox("publisher-0.1", "o1", "publisher-0.1 AAA sell 1 1")

    def look() -> list[str]:
        return log.update(take_snapshot(made.root.scripts, 20))

    for pid in (11, 11, 12):
        made.worlds[0].beat("exchange-0.1", pid=pid, run=f"run-{pid}", first=True)
        lines = look()
        fake.advance(500)
    assert lines == ["exchange-0.1 was gone → back 0.50 s after it was last heard"]


def test_a_clock_that_goes_back_says_nothing_negative(fake: Fake) -> None:
    """A time is never below zero."""
    watched = Watched(fake)
    watched.beat(11)
    watched.look()
    found = take_snapshot(watched.world.scripts)
    info = replace(found.processes["exchange-1"], pid=12, steady_ms=found.now_ms - 900)
    lines = watched.log.update(replace(found, processes={"exchange-1": info}))
    assert lines == ["exchange-1 was gone → back 0.00 s after it was last heard"]
