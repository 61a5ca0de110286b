"""`mm chaos` as a command: short runs find nothing, and a broken run is found."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import pytest

from mm.host import Shape
from mm.lab.chaos.outages import NEED_MOVES, plan_outages
from mm.lab.chaos.plan import KINDS, FaultEvent, plan_rounds
from tests.kit import binary_or_skip, wait_for
from tests.kit.commands import MM

#: Seeds whose first rounds hold every kind of fault between them.
ROUNDS, SEEDS = 6, {"valkey": 2770, "redis": 4460}
SHAPE = Shape(3, 1)
CLUSTER = ("--partitions", "3", "--replicas", "1")


def processes_with(word: str) -> list[str]:
    """The command lines of living processes that name it."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if word in line:
            found.append(line)
    return found


class Run:
    """A `mm chaos` under way; ended, and its directories removed, at the end of the test."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[str] | None = None
        self.printed = ""

    def start(self, *arguments: str, command: Sequence[str] = (*MM, "chaos")) -> None:
        """Start the command."""
        self.process = subprocess.Popen(
            [*command, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1", "COLUMNS": "120"},
        )

    def read_until(self, word: str) -> str:
        """Read until a line has the word; that line."""
        assert self.process is not None and self.process.stdout is not None
        for line in self.process.stdout:
            self.printed += line
            if word in line:
                return line
        pytest.fail(f"it ended without saying {word!r}:\n{self.printed}")

    def end(self, timeout_s: float = 180) -> int:
        """Read to the end; the exit status."""
        assert self.process is not None
        self.printed += self.process.communicate(timeout=timeout_s)[0]
        return self.process.returncode

    @property
    def directories(self) -> list[Path]:
        """The data directories that it has named."""
        return [Path(path) for path in re.findall(r"data in (\S+)", self.printed)]

    def close(self) -> None:
        """End it if it still runs."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.end()
        for path in self.directories:
            shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def run() -> Iterator[Run]:
    """A run that leaves nothing behind."""
    made = Run()
    yield made
    made.close()


def planned(seed: int, rounds: int) -> list[list[FaultEvent]]:
    """The faults of the first rounds of a run with this seed."""
    return list(islice(plan_rounds(seed), rounds))


def assert_no_process(directory: Path) -> None:
    """No process of a system in this directory is left."""
    wait_for(f"the end of all on {directory}", lambda: not processes_with(directory.name))


def assert_nothing_left(run: Run) -> None:
    """No directory and no process of the run is left."""
    assert run.directories
    for path in run.directories:
        assert not path.exists()
        assert_no_process(path)


def test_the_short_runs_hold_every_kind_of_fault() -> None:
    """Between them the two short runs apply every kind at least once."""
    faults = [one for seed in SEEDS.values() for both in planned(seed, ROUNDS) for one in both]
    assert {one.kind for one in faults} == set(KINDS)


@pytest.mark.server
@pytest.mark.slow
@pytest.mark.parametrize("name", SEEDS)
def test_a_short_run_finds_nothing(run: Run, name: str) -> None:
    """Every round converges, every audit and every comparison is clean, and nothing is left."""
    seed = SEEDS[name]
    run.start("--rounds", str(ROUNDS), "--seed", str(seed), "--server", str(binary_or_skip(name)))
    assert run.end() == 0, run.printed
    for number, faults in enumerate(planned(seed, ROUNDS), 1):
        assert f"round {number}: {faults[0].text()}" in run.printed
    assert f"{ROUNDS} of {ROUNDS} rounds" in run.printed
    assert f"no violation; seed {seed}" in run.printed
    orders = re.search(r"(\d+) orders, (\d+) fills, (\d+) acknowledged", run.printed)
    assert orders is not None and min(map(int, orders.groups())) > 0
    assert_nothing_left(run)


@pytest.mark.server
@pytest.mark.slow
def test_a_tampered_journal_ends_the_run_and_keeps_the_data(run: Run) -> None:
    """An acknowledged outcome that the ledger does not have: exit status 1, everything kept."""
    run.start("--rounds", "500", "--seed", "3")
    run.read_until("system 1")
    directory = run.directories[0]
    path = directory / "publisher-1.journal"
    wait_for("a journal", lambda: path.exists() and path.stat().st_size > 0, 30)
    with path.open("ab") as file:
        file.write(b"forged-1 publisher-1 AAPL buy 1 99999 filled - 1 99999 AAPL-9 AAPL-1 0 1\n")
    assert run.end() == 1, run.printed
    assert "VIOLATION: journal: order publisher-1/forged-1" in run.printed
    assert f"data and logs kept in {directory}" in run.printed
    assert (directory / "logs" / "server.log").exists()
    assert list(directory.glob("appendonlydir/*.aof"))
    assert_no_process(directory)


#: Runs the command with the repair of a torn log left out, and a seed that tears it at once.
UNREPAIRED = """
from mm.host import ManagedServer
from mm.cli import main
ManagedServer._repair = lambda self: iter(())
main()
"""
TEARS_FIRST = 21


@pytest.mark.server
@pytest.mark.slow
def test_a_run_finds_what_redis_does_to_a_torn_log(run: Run) -> None:
    """Without the repair Redis brings a step to life that was never acknowledged: it is found."""
    assert [one.kind for one in planned(TEARS_FIRST, 1)[0]] == ["tear-log"]
    command = [sys.executable, "-c", UNREPAIRED, "chaos"]
    run.start(
        "--rounds",
        "3",
        "--seed",
        str(TEARS_FIRST),
        "--server",
        str(binary_or_skip("redis")),
        command=command,
    )
    assert run.end() == 1, run.printed
    assert "VIOLATION: ledger-dense" in run.printed
    assert "nobody sends the order of" in run.printed


@pytest.mark.server
@pytest.mark.slow
def test_ctrl_c_ends_a_run_and_leaves_nothing(run: Run) -> None:
    """Stopped in the middle it says how far it came, and no process and no file stays."""
    run.start("--rounds", "500", "--seed", "4")
    run.read_until("round 1")
    assert run.process is not None
    run.process.send_signal(signal.SIGINT)
    assert run.end() == 0, run.printed
    assert "no violation (stopped early by SIGINT, after" in run.printed
    assert_nothing_left(run)


#: Seeds whose first rounds on a cluster hold these, and a move where the engine has it.
OUTAGES, OUTAGE_SEEDS = 5, {"valkey": 33, "redis": 172}
HELD = {"cut-primary", "kill-primary", "stop-primary", "kill-pair", "fill-disk"}


@pytest.mark.server
@pytest.mark.slow
@pytest.mark.parametrize("name", OUTAGE_SEEDS)
def test_a_short_run_on_a_cluster_finds_nothing(run: Run, name: str) -> None:
    """Each final outcome survives, and the leases stay within the limit at every reading."""
    seed, server = OUTAGE_SEEDS[name], str(binary_or_skip(name))
    outages = list(islice(plan_outages(seed, SHAPE, name), OUTAGES))
    kinds = {one.kind for faults in outages for one in faults}
    assert kinds >= (HELD | {NEED_MOVES} if name == "valkey" else HELD)
    run.start(*CLUSTER, "--rounds", str(OUTAGES), "--seed", str(seed), "--server", server)
    assert run.end(300) == 0, run.printed
    for number, faults in enumerate(outages, 1):
        assert f"round {number}: {faults[0].text()}" in run.printed
    read = re.search(r"leases read (\d+) times, (\d+) of them exactly", run.printed)
    assert read is not None and min(map(int, read.groups())) > 0
    assert f"no violation; seed {seed}" in run.printed
    assert_nothing_left(run)


#: Runs the command with a connection that is lost once, in the middle of a judgement.
LOST = """
from redis.exceptions import ConnectionError
from mm.cli import main
from mm.lab.chaos import run
audit = run.audit
def lost(scripts, quiescent):
    run.audit = audit
    raise ConnectionError("the slot has moved")
run.audit = lost
main()
"""


@pytest.mark.server
@pytest.mark.slow
@pytest.mark.parametrize(("shape", "status"), [((), 1), (CLUSTER, 0)])
def test_only_nodes_may_be_lost_unharmed(run: Run, shape: tuple[str, ...], status: int) -> None:
    """A node that takes over late has the round judged anew; a single server has no such excuse."""
    command = [sys.executable, "-c", LOST, "chaos"]
    run.start(*shape, "--rounds", "1", "--seed", "1", command=command)
    assert run.end() == status, run.printed
    assert ("VIOLATION: ConnectionError: the slot has moved" in run.printed) == bool(status)


@pytest.mark.server
@pytest.mark.slow
def test_a_run_finds_what_goes_wrong_without_finality(run: Run) -> None:
    """Outcomes taken for final before a replica has them are gone after a failover."""
    run.start(*CLUSTER, "--no-finality", "--rounds", "20", "--seed", "1")
    assert run.end(300) == 1, run.printed
    assert re.search(r"VIOLATION: journal: order \S+ .* but no report of it is left", run.printed)
