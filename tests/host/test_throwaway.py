"""A throwaway system: it works, and nothing of it stays, however it ends."""

from __future__ import annotations

import os
import signal
from functools import partial
from pathlib import Path

import pytest

from mm.errors import SystemRefused, UsageError
from mm.host import ChildPlan, Lock, ManagedServer, ThrowawaySystem
from mm.interrupts import SIGNALS, Interrupted, interrupted_by_signals
from mm.store import take_snapshot
from tests.kit import SERVERS, binary_or_skip, small_config
from tests.kit.commands import alive


def make_system(server: str) -> ThrowawaySystem[ManagedServer]:
    """A system on this server, not started."""
    binary = binary_or_skip(server)
    return ThrowawaySystem(partial(ManagedServer, binary=binary))


def start_all(system: ThrowawaySystem[ManagedServer]) -> list[int]:
    """Start the server and the children, and create the keys; the pids."""
    system.start(small_config())
    system.start_children(ChildPlan(makers=1, publishers=0))
    children = [child.process for child in system.supervisor.children.values()]
    assert len(children) == 4
    return [process.pid for process in [*children, system.server.process] if process is not None]


def assert_gone(path: Path, pids: list[int]) -> None:
    """Neither the directory nor one of the processes is left."""
    assert not path.exists()
    assert not [pid for pid in pids if alive(pid)]


@pytest.mark.server
@SERVERS
def test_nothing_stays_at_the_end(server: str) -> None:
    """Inside the block the system has its keys; after it files and processes are gone."""
    with make_system(server) as system:
        pids = start_all(system)
        assert set(take_snapshot(system.scripts).symbols) == {"AAA", "BBB"}
    assert_gone(system.data_dir.path, pids)


@pytest.mark.server
@SERVERS
def test_nothing_stays_after_a_kill_of_the_server(server: str) -> None:
    """A killed server, which can be started again, does not hinder the end."""
    with make_system(server) as system:
        pids = start_all(system)
        system.kill_server()
        assert not system.server.running
        system.server.start()
        assert set(take_snapshot(system.scripts).symbols) == {"AAA", "BBB"}
        system.kill_server()
    assert_gone(system.data_dir.path, pids)


@pytest.mark.server
@pytest.mark.parametrize("number", SIGNALS)
def test_nothing_stays_after_an_interrupt(number: signal.Signals) -> None:
    """A signal inside the block raises Interrupted, and the block cleans up."""
    before = signal.getsignal(number)
    with (
        pytest.raises(Interrupted),
        interrupted_by_signals(),
        make_system("valkey") as system,
    ):
        pids = start_all(system)
        os.kill(os.getpid(), number)
    assert_gone(system.data_dir.path, pids)
    assert signal.getsignal(number) == before


@pytest.mark.server
def test_a_kept_directory_stays(tmp_path: Path) -> None:
    """``close(keep=True)`` ends the processes and leaves the files, unlocked."""
    system = ThrowawaySystem(ManagedServer, parent=str(tmp_path))
    pids = start_all(system)
    with pytest.raises(SystemRefused):
        Lock(system.data_dir)
    system.close(keep=True)
    assert not [pid for pid in pids if alive(pid)]
    assert list(system.data_dir.path.glob("appendonlydir/*.aof"))
    with Lock(system.data_dir):
        pass


def test_a_place_too_deep_for_a_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where temporary files lie too deep the refusal names TMPDIR, and nothing stays."""
    deep = tmp_path / ("d" * 120)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    with pytest.raises(UsageError, match="TMPDIR"):
        ThrowawaySystem(ManagedServer)
    with pytest.raises(UsageError) as refused:
        ThrowawaySystem(ManagedServer, parent=str(deep))
    assert "TMPDIR" not in str(refused.value)
    assert not list(deep.iterdir())


def test_a_system_that_cannot_be_made_leaves_nothing(tmp_path: Path) -> None:
    """When making the server fails, the new directory is removed."""

    def refuse(_: object) -> ManagedServer:
        raise SystemRefused("no")

    with pytest.raises(SystemRefused):
        ThrowawaySystem(refuse, parent=str(tmp_path))
    assert not list(tmp_path.iterdir())
