"""An operator's commands beside a running market, also when its server refuses writes (R22)."""

from __future__ import annotations

import subprocess

import pytest

from mm.store import open_client, take_snapshot
from tests.kit import SERVERS, binary_or_skip, wait_for
from tests.kit.commands import run_mm
from tests.kit.failing import fail_to_save
from tests.kit.running import RunningSystem

pytestmark = pytest.mark.server


def mm(system: RunningSystem, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command on the system."""
    done: subprocess.CompletedProcess[str] = run_mm(*words, data_dir=system.data_dir)
    return done


def quoted(system: RunningSystem, name: str) -> bool:
    """Whether a symbol has an active quote."""
    return take_snapshot(system.scripts()).symbols[name].quote is not None


@SERVERS
def test_halt_and_resume_beside_a_running_market(system: RunningSystem, server: str) -> None:
    """A halted symbol stays without a quote, a resumed one is quoted, and the end says modes."""
    system.start("--server", str(binary_or_skip(server)))
    wait_for("quotes", lambda: quoted(system, "AAPL") and quoted(system, "MSFT"), 60)
    for name in ("AAPL", "MSFT"):
        assert mm(system, "halt", name, "--why", "news", "--who", "ann").returncode == 0
    assert mm(system, "resume", "MSFT").returncode == 0
    system.trades_on()
    wait_for("a quote", lambda: quoted(system, "MSFT"), 60)
    assert not quoted(system, "AAPL")
    answer = mm(system, "order", "AAPL", "buy", "1", "200")
    assert answer.returncode == 3
    assert "why: the symbol is halted, by an operator" in answer.stdout
    assert mm(system, "status").returncode == 0
    code, said = system.stop()
    assert code == 0, said
    account = said.partition("\nPositions")[2]
    assert "AAPL is halted, by ann since " in account, said
    assert "MSFT is halted" not in account


@SERVERS
def test_a_halt_works_at_the_memory_limit(system: RunningSystem, server: str) -> None:
    """An emergency stop needs no memory; where the disk refuses writes it says so, and does not."""
    system.start("--server", str(binary_or_skip(server)))
    wait_for("a quote", lambda: quoted(system, "AAPL"), 60)
    client = open_client(f"unix://{system.data_dir}/redis.sock")
    client.config_set("maxmemory", 1)
    done = mm(system, "halt", "--all", "--why", "memory")
    assert done.returncode == 0, done.stderr
    assert "all symbols: active -> halted" in done.stdout
    found = take_snapshot(system.scripts())
    assert not found.expiry
    assert (found.exposure.bid_units, found.exposure.ask_units) == (0, 0)
    client.config_set("maxmemory", 0)
    fail_to_save(client)
    refused = mm(system, "resume", "--all")
    assert refused.returncode == 1
    assert "refuses writes" in refused.stderr
    client.config_set("save", "")
    assert mm(system, "resume", "--all").returncode == 0
    system.trades_on()
    code, said = system.stop()
    assert code == 0, said
