"""The nurse of the managed server: restarts, delays and words, with a server that is a stub."""

from __future__ import annotations

from itertools import pairwise

from mm.errors import SystemRefused
from mm.host import ManagedServer, ServerNurse
from mm.host.supervise import LONGEST_DELAY_S

#: What a death and an immediate restart say.
LINES = ("the server died, restarting it", "the server is back after 0.0 s")


class StubServer(ManagedServer):
    """A server that only says whether it runs, and refuses the next ``refusals`` starts."""

    def __init__(self) -> None:
        self.alive = True
        self.starts = 0
        self.refusals = 0
        self.words = ""

    def last_words(self) -> str:
        """The error with which its log ends."""
        return self.words

    @property
    def running(self) -> bool:
        """Whether the stub counts as running."""
        return self.alive

    def start(self) -> None:
        """Run, or refuse as a server with a full disk does."""
        self.starts += 1
        if self.refusals:
            self.refusals -= 1
            raise SystemRefused("no room")
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


def test_failed_starts_are_repeated_for_ever_with_growing_delays() -> None:
    """The delay doubles up to the longest one, each failure is said, and success ends it."""
    ward = Ward()
    ward.server.alive, ward.server.refusals = False, 9
    starts = ward.starts_until(20)
    delays = [later - earlier for earlier, later in pairwise(starts)]
    assert ward.server.running
    assert delays == sorted(delays)
    assert delays[0] < delays[1]
    assert delays[-1] == delays[-2] == LONGEST_DELAY_S
    assert len(ward.said) == 1 + 9 + 1
    assert all("for ever: no room" in line for line in ward.said[1:-1])
    # The next death is answered at once again.
    ward.server.alive = False
    died_at = ward.now
    assert ward.starts_until(died_at + 1) == [died_at]
