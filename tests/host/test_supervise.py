"""The supervisor over children that are small shell scripts, with a clock set by hand."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mm.host import Supervisor, exit_reason
from mm.host.supervise import (
    FIRST_DELAY_S,
    GRACE_S,
    HURRY_S,
    LONGEST_DELAY_S,
    MAX_OUT_BYTES,
    STEADY_S,
)
from tests.kit import wait_for

#: ``sh CHILD exit 3`` ends with that status, ``sh CHILD wait`` ends at SIGTERM, and
#: ``sh CHILD stay`` only at SIGKILL.
CHILD = """\
echo "$@"
trap '' TERM
case "$1" in
  exit) exit "$2" ;;
  wait) trap 'exit 0' TERM ;;
esac
echo ready
while :; do sleep 0.02; done
"""


class Nursery:
    """A supervisor of shell scripts; ``now`` is its clock."""

    def __init__(self, path: Path) -> None:
        script = path / "child.sh"
        script.write_text(CHILD)
        self.now = 100.0
        self.supervisor = Supervisor(
            path, "", ("/bin/sh", str(script)), lambda: self.now, self.sleep
        )

    def sleep(self, seconds: float) -> None:
        """Let ten times as long pass on the clock as in truth, for the children."""
        time.sleep(seconds)
        self.now += 10 * seconds

    def add(self, name: str, *arguments: str) -> None:
        """Start a child; one that runs on is ready for signals when this returns."""
        self.supervisor.add(name, *arguments, finishes=name.startswith("publisher"))
        if arguments[0] != "exit":
            wait_for("the child", lambda: "ready" in self.supervisor.output(name))

    def tick_until_noted(self, count: int) -> None:
        """Tick, with the clock standing still, until so many notes have been made."""

        def noted() -> bool:
            self.supervisor.tick()
            return len(self.supervisor.notes) >= count

        wait_for(f"{count} notes", noted)


@pytest.fixture
def nursery(tmp_path: Path) -> Iterator[Nursery]:
    """A supervisor without children, closed in the end."""
    made = Nursery(tmp_path)
    yield made
    for child in made.supervisor.children.values():
        if child.process is not None:
            child.process.kill()
            child.process.wait()
    made.supervisor.close()


def test_a_child_that_finishes_is_not_restarted(nursery: Nursery) -> None:
    """Exit status 0 ends a child that may finish; its kind has finished when all of them have."""
    nursery.add("publisher-1", "exit", "0")
    nursery.add("publisher-2", "wait")
    nursery.tick_until_noted(1)
    assert nursery.supervisor.notes[0].endswith("publisher-1 finished")
    assert not nursery.supervisor.finished("publisher")
    nursery.now += 100
    nursery.supervisor.tick()
    assert nursery.supervisor.restarts == {"publisher-1": 0, "publisher-2": 0}
    nursery.supervisor.stop("publisher")
    assert nursery.supervisor.finished("publisher")
    assert not nursery.supervisor.finished("maker")


@pytest.mark.parametrize(("name", "status"), [("maker-1", "0"), ("publisher-1", "143")])
def test_whatever_was_not_stopped_from_here_is_restarted(
    nursery: Nursery, name: str, status: str
) -> None:
    """A child that a signal from elsewhere has stopped in order is restarted, and so noted.

    A publisher is not one that the system wants: it ends by itself.
    """
    nursery.add(name, "exit", status)
    nursery.tick_until_noted(1)
    assert f"{name} ended (" in nursery.supervisor.notes[0]
    assert ("by a signal from elsewhere" in nursery.supervisor.notes[0]) is (status == "143")
    assert nursery.supervisor.wanted == ([name] if name == "maker-1" else [])
    nursery.now += LONGEST_DELAY_S
    nursery.supervisor.tick()
    assert nursery.supervisor.restarts == {name: 1}
    nursery.supervisor.stop("")
    assert nursery.supervisor.wanted == []


def test_a_child_that_cannot_live_is_restarted_with_backoff(nursery: Nursery) -> None:
    """No restart before its delay is over; the delays grow to the longest one, for ever."""
    nursery.add("maker-1", "exit", "3")
    delays = []
    for death in range(1, 9):
        nursery.tick_until_noted(death)
        child = nursery.supervisor.children["maker-1"]
        assert "maker-1 died (exit status 3)" in nursery.supervisor.notes[-1]
        assert "for ever" in nursery.supervisor.notes[-1]
        delays.append(child.due_at - nursery.now)
        nursery.now += delays[-1] - 0.01
        nursery.supervisor.tick()
        assert child.restarts == death - 1
        nursery.now += 0.02
        nursery.supervisor.tick()
        assert child.restarts == death
    doubling = [min(FIRST_DELAY_S * 2**number, LONGEST_DELAY_S) for number in range(8)]
    assert delays == pytest.approx(doubling)
    nursery.tick_until_noted(9)
    assert nursery.supervisor.output("maker-1").split("\n") == ["exit 3"] * 9


def test_output_is_that_of_this_run(nursery: Nursery, tmp_path: Path) -> None:
    """What a child of an earlier run has printed is not taken for the output of this run's."""
    (tmp_path / "maker-1.out").write_text("an earlier run\n")
    nursery.add("maker-1", "exit", "0")
    wait_for("its words", lambda: nursery.supervisor.output("maker-1") == "exit 0")


def test_a_child_that_was_steady_is_restarted_at_once(nursery: Nursery) -> None:
    """A child that lived long enough comes back in the next turn."""
    nursery.add("state-1", "stay")
    nursery.now += STEADY_S
    child = nursery.supervisor.children["state-1"]
    assert child.process is not None
    first = child.process
    first.kill()
    nursery.tick_until_noted(1)
    assert (
        "state-1 died (signal 9), saying 'ready': restart 1 at once" in nursery.supervisor.notes[0]
    )
    nursery.supervisor.tick()
    assert child.restarts == 1
    assert child.process is not None
    assert child.process.pid != first.pid


@pytest.mark.parametrize(
    ("hurry_after_s", "within_s"), [(-1, HURRY_S), (HURRY_S + 0.5, HURRY_S), (math.inf, GRACE_S)]
)
def test_stop_ends_one_kind_in_order_and_kills_what_stays(
    nursery: Nursery, hurry_after_s: float, within_s: float
) -> None:
    """Only the named kind is stopped, by SIGTERM first and by SIGKILL after the grace.

    A hurry shortens the grace also while it runs.
    """
    for name, action in (("maker-1", "wait"), ("maker-2", "stay"), ("state-1", "wait")):
        nursery.add(name, action)
    processes = {
        name: child.process
        for name, child in nursery.supervisor.children.items()
        if child.process is not None
    }
    began, expected_s = nursery.now, min(max(within_s, hurry_after_s), GRACE_S)
    nursery.supervisor.stop("maker", lambda: nursery.now - began > hurry_after_s)
    assert processes["maker-1"].returncode == 0
    assert processes["maker-2"].returncode == -signal.SIGKILL
    assert processes["state-1"].poll() is None
    assert [note.split(" ", 1)[1] for note in nursery.supervisor.notes] == [
        f"maker-2 did not stop within {within_s:.0f} s: killed"
    ]
    assert nursery.now - began == pytest.approx(expected_s, abs=0.5)
    nursery.supervisor.tick()
    assert nursery.supervisor.restarts["maker-1"] == 0


def test_the_last_line_of_a_dead_child_is_noted(nursery: Nursery) -> None:
    """The note has the last line of this life only, short and without control characters."""
    nursery.add("maker-1", "exit", "1", "\033[31mno\ttabs", "x" * 500)
    nursery.add("maker-2", "exit", "1", "first\n\nlast of it\n  ")
    nursery.tick_until_noted(2)
    notes = {note.split()[1]: note for note in nursery.supervisor.notes}
    assert "saying 'exit 1 ?[31mno?tabs xxx" in notes["maker-1"]
    assert f"{'x' * 50}...': restart 1" in notes["maker-1"]
    assert len(notes["maker-1"]) < 350
    assert "died (exit status 1), saying 'last of it': restart 1" in notes["maker-2"]
    child = nursery.supervisor.children["maker-2"]
    child.command = ["/bin/sh", "-c", "exit 4"]
    nursery.now = max(one.due_at for one in nursery.supervisor.children.values())
    nursery.tick_until_noted(4)
    notes = {note.split()[1]: note for note in list(nursery.supervisor.notes)[2:]}
    assert "maker-2 died (exit status 4): restart 2" in notes["maker-2"]


def test_each_run_has_a_fresh_output(nursery: Nursery, tmp_path: Path) -> None:
    """What a child prints is that of this run; the run before is kept once, under its own name."""
    out, before = tmp_path / "maker-1.out", tmp_path / "maker-1.out.1"
    before.write_text("long ago")
    out.write_text("the run before")
    assert nursery.supervisor.output("maker-2") == ""
    nursery.add("maker-1", "exit", "3")
    nursery.tick_until_noted(1)
    assert nursery.supervisor.output("maker-1") == "exit 3"
    assert before.read_text() == "the run before"


def test_a_crash_loop_does_not_fill_the_disk(nursery: Nursery, tmp_path: Path) -> None:
    """A large output is set aside at the next restart, and the one before is dropped."""
    out, before = tmp_path / "maker-1.out", tmp_path / "maker-1.out.1"
    nursery.add("maker-1", "exit", "3")
    nursery.tick_until_noted(1)
    with out.open("ab") as file:
        file.truncate(MAX_OUT_BYTES + 1)
    nursery.now += LONGEST_DELAY_S
    nursery.tick_until_noted(2)
    assert nursery.supervisor.output("maker-1") == "exit 3"
    assert before.stat().st_size == MAX_OUT_BYTES + 1
    assert ", saying 'exit 3'" in nursery.supervisor.notes[-1]


def test_a_start_that_fails_is_tried_again_for_ever(nursery: Nursery) -> None:
    """When the system cannot start a process it is said, with its reason, and tried again."""
    supervisor = nursery.supervisor
    right, supervisor.program = supervisor.program, ["/nowhere/mm"]
    supervisor.add("maker-1", "wait")
    supervisor.program = right
    nursery.add("maker-2", "wait")
    delays = []
    for count in range(1, 8):
        assert len(supervisor.notes) == count
        assert "maker-1 could not be started (No such file" in supervisor.notes[-1]
        assert "for ever" in supervisor.notes[-1]
        child = supervisor.children["maker-1"]
        delays.append(child.due_at - nursery.now)
        nursery.now += delays[-1]
        supervisor.tick()
    assert delays[0] == pytest.approx(FIRST_DELAY_S)
    assert delays[-1] == pytest.approx(LONGEST_DELAY_S)
    child.command = [*right, "wait"]
    nursery.now += LONGEST_DELAY_S
    supervisor.tick()
    wait_for("the child", lambda: "ready" in supervisor.output("maker-1"))
    supervisor.stop("maker")
    assert all(child.done for child in supervisor.children.values())


def test_exit_reasons() -> None:
    """A signal is named by its number, and so is an exit status."""
    assert (exit_reason(-9), exit_reason(4)) == ("signal 9", "exit status 4")
