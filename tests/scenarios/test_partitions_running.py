"""Partitions in processes of their own: killed, stopped and started again."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace

import pytest

from mm.store import Operator, apply_config, read_identity, require_config
from tests.kit import wait_for
from tests.kit.commands import run_mm
from tests.kit.running import RunningSystem

ANN = Operator("ann")


@pytest.fixture
def running() -> Iterator[RunningSystem]:
    """A data directory, and what runs on it."""
    system = RunningSystem()
    yield system
    system.close()


@pytest.mark.server
@pytest.mark.slow
def test_killed_and_started_again(running: RunningSystem) -> None:
    """Processes of partitions and the balancer die and come back; the system goes on as it was."""
    running.start("--partitions", "2")
    rows = {row["name"]: row for row in running.status()["processes"]}
    for name in ("balancer-1", "exchange-0.1", "state-1.1", "maker-1.2"):
        os.kill(rows[name]["pid"], signal.SIGKILL)
    wait_for("the killed ones", lambda: not (set(rows) - set(live(running))), 30)
    running.trades_on(30)
    code, said = running.stop()
    assert code == 0, said
    assert "audit: ok" in said
    done = run_mm("up", "--headless", "--partitions", "3", data_dir=running.data_dir)
    assert (done.returncode, "partitions stored 2 given 3" in done.stderr) == (1, True)
    # A system that has retired a symbol starts again, with its number of partitions or without.
    running.start("--partitions", "2")
    scripts = running.scripts()
    stored = require_config(scripts)
    kept = replace(stored, symbols=stored.symbols[:-1])
    identity = read_identity(scripts)
    assert identity is not None
    apply_config(scripts, identity.system_id, ANN, "why", kept)
    code, said = running.stop()
    assert code == 0, said
    for words in (("--partitions", "2"), ()):
        running.start(*words)
        by_hand = run_mm("exchange", "--id", "9", data_dir=running.data_dir)
        assert (by_hand.returncode, "has partitions" in by_hand.stderr) == (1, True), by_hand.stderr
        code, said = running.stop()
        assert code == 0, said


def live(system: RunningSystem) -> list[str]:
    """The names of the live processes and of the clients."""
    rows = system.status().get("processes", [])
    return [row["name"] for row in rows if row["state"] in ("live", "idle")]
