"""The nurse of the managed server: restarts, delays and words, with a server that is a stub."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from mm.errors import SystemRefused
from mm.host import DataDir, ManagedServer, ServerNurse
from mm.host.nurse import TURN_S
from mm.host.supervise import LONGEST_DELAY_S

#: What a death and an immediate restart say.
LINES = ("the server died, restarting it", "the server is back after 0.0 s")


class StubServer(ManagedServer):
    """A server that only says whether it runs, and refuses the next ``refusals`` starts."""

    def __init__(self) -> None:
        self.data_dir = DataDir(Path("none"))
        self.alive = True
        self.starts = 0
        self.refusals = 0
        self.words = ""
        self.refusal: Exception = SystemRefused("no room")
        self.load_steps = 0
        self.each_step: Callable[[], None] = lambda: None

    def last_words(self) -> str:
        """The error with which its log ends."""
        return self.words

    @property
    def running(self) -> bool:
        """Whether the stub counts as running."""
        return self.alive

    def start_steps(self) -> Iterator[float]:
        """Run after ``load_steps`` steps, or refuse as a server with a full disk does."""
        self.starts += 1
        for _ in range(self.load_steps):
            self.each_step()
            yield 0
        if self.refusals:
            self.refusals -= 1
            raise self.refusal
        self.alive = True


class Ward:
    """A nurse with its server, its clock and what it has said."""

    def __init__(self) -> None:
        self.now = 0.0
        self.said: list[str] = []
        self.server = StubServer()
        self.nurse = ServerNurse(self.server, self.said.append, lambda: self.now)

    def starts_until(self, end: float) -> list[float]:
        """The instants of the starts while time passes to ``end`` in exact binary steps."""
        found = []
        while self.now < end:
            before = self.server.starts
            self.nurse.tick()
            if self.server.starts > before:
                found.append(self.now)
            self.now += 1 / 64
        return found


def test_a_running_server_is_left_alone() -> None:
    """While the server runs nothing is started and nothing is said."""
    ward = Ward()
    assert ward.starts_until(5) == []
    assert ward.said == []


def test_a_dead_server_is_restarted_at_once() -> None:
    """Each death is answered by one start and one line."""
    ward = Ward()
    for deaths in (1, 2):
        ward.server.alive = False
        ward.nurse.tick()
        assert (ward.server.running, ward.server.starts) == (True, deaths)
        assert ward.said == [*LINES] * deaths


def test_a_death_has_its_reason_and_its_end_a_duration() -> None:
    """The error with which the log ends is said, and later for how long no server ran."""
    ward = Ward()
    ward.server.alive, ward.server.refusals, ward.server.words = False, 2, "No space left"
    ward.starts_until(1)
    assert ward.said[0] == "the server died (No space left), restarting it"
    assert ward.said[-1] == "the server is back after 0.3 s"
    assert len(ward.said) == 4


def test_a_long_start_takes_many_turns() -> None:
    """While the server loads each turn ends soon, so that the caller can do other things."""
    ward = Ward()
    ward.server.alive, ward.server.load_steps = False, 10

    def take_time() -> None:
        ward.now += TURN_S / 2

    ward.server.each_step = take_time
    turns = 0
    while not ward.server.running:
        before = ward.now
        ward.nurse.tick()
        assert ward.now - before <= 2 * TURN_S
        turns += 1
    assert turns > 3
    assert (ward.server.starts, len(ward.said)) == (1, 2)
    assert ward.said[-1] == f"the server is back after {10 * TURN_S / 2:.1f} s"
    ward.nurse.tick()
    assert ward.server.starts == 1


@pytest.mark.parametrize("refusal", [SystemRefused("no room"), OSError(28, "no room")])
def test_failed_starts_are_repeated_for_ever_with_growing_delays(refusal: Exception) -> None:
    """The delay doubles up to the longest one, each failure is said, and success ends it."""
    ward = Ward()
    ward.server.refusal = refusal
    ward.server.alive, ward.server.refusals = False, 9
    starts = ward.starts_until(20)
    delays = [later - earlier for earlier, later in pairwise(starts)]
    assert ward.server.running
    assert delays == sorted(delays)
    assert delays[0] < delays[1]
    assert delays[-1] == delays[-2] == LONGEST_DELAY_S
    assert len(ward.said) == 1 + 9 + 1
    assert all("for ever: " in line and "no room" in line for line in ward.said[1:-1])
    assert ward.said[-1] == f"the server is back after {sum(delays):.1f} s"
    # The next death is answered at once again.
    ward.server.alive = False
    died_at = ward.now
    assert ward.starts_until(died_at + 1) == [died_at]
