"""Data that is lost is never taken for a first start: flushed, emptied and exchanged servers."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from mm.host import DataDir, ManagedServer, known_system_id
from mm.store import Keys, Operator, Scripts, create_system, execute, open_client
from tests.kit import Real, binary_or_skip, small_config, wait_for
from tests.kit.commands import MM, run_mm
from tests.kit.running import RunningSystem

pytestmark = pytest.mark.server


@pytest.fixture(params=["valkey", "redis"])
def server(request: pytest.FixtureRequest) -> list[str]:
    """The options of `mm up` that choose each server in turn."""
    binary = binary_or_skip(request.param)
    return [] if request.param == "valkey" else ["--server", str(binary)]


def keys_of(system: RunningSystem, server: list[str]) -> set[str]:
    """The keys that the stopped system's data holds."""
    managed = ManagedServer(DataDir(system.data_dir), Path(server[1]) if server else None)
    managed.start()
    client = open_client(managed.url)
    found = {key.decode() for key in execute(client, "KEYS", "*")}
    client.close()
    managed.stop()
    return found


def test_flushed_while_trading(system: RunningSystem, server: list[str]) -> None:
    """After FLUSHALL `mm up` stops everything, says what is lost, and sets nothing up anew."""
    system.start(*server)
    known = known_system_id(DataDir(system.data_dir), Keys())
    client = open_client(DataDir(system.data_dir).url)
    client.flushall()
    code, said = system.wait()
    client.close()
    assert code == 1, said
    assert f"system {known} is gone from the server" in said
    assert "It was last seen at" in said and "All processes were stopped" in said
    assert "Nothing was set up anew" in said
    assert "audit: ok" not in said and "Traceback" not in said
    again = run_mm("up", "--headless", *server, "--duration", "1", data_dir=system.data_dir)
    assert again.returncode == 1
    assert f"belongs to system {known}, but the server holds no system" in again.stderr
    sent = {"{mm}:orders", "{mm}:inbox:publisher-1"}
    assert keys_of(system, server) <= sent, "something was set up"


def test_an_emptied_server_is_not_set_up_anew(system: RunningSystem, server: list[str]) -> None:
    """A data directory whose log is gone is refused: its system is not begun again."""
    system.start(*server)
    system.stop()
    shutil.rmtree(system.data_dir / "appendonlydir")
    done = run_mm("up", "--headless", *server, "--duration", "1", data_dir=system.data_dir)
    assert done.returncode == 1
    assert "Nothing was set up anew" in done.stderr
    assert "Traceback" not in done.stderr
    assert not keys_of(system, server)


def test_two_up_on_one_server(system: RunningSystem, server: list[str], tmp_path: Path) -> None:
    """Two `mm up` of one system from two directories both say so on their screens."""
    system.start(*server)
    where = ["--redis-url", DataDir(system.data_dir).url, "--data-dir", str(tmp_path / "other")]
    other = run_mm("up", "--headless", "--duration", "3", *where)
    code, said = system.stop()
    assert (code, other.returncode) == (0, 0), said + other.stdout
    words = "another `mm up` supervises this system too: up-"
    assert f"{tmp_path / 'other'} on " in said.partition(words)[2]
    assert f"{system.data_dir} on " in other.stdout.partition(words)[2]
    assert "the other `mm up` is not heard of any more" in said


@pytest.mark.parametrize("kind", ["exchange", "state", "maker", "publisher"])
def test_processes_only_join(real_backend: Real, tmp_path: Path, kind: str) -> None:
    """A process waits for a system and says so, joins it, and ends when another has its place."""
    (tmp_path / "logs").mkdir()
    where = ["--redis-url", real_backend.server.url, "--data-dir", str(tmp_path)]
    scripts = Scripts(real_backend.client(), Keys())
    beats, inbox = scripts.keys.named("processes"), scripts.keys.member("inbox:*", "publisher-1")
    # A publisher has no heartbeat.
    sign = inbox if kind == "publisher" else beats
    with subprocess.Popen([*MM, kind, *where], stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            assert "no system under {mm} yet: `mm up` creates one" in process.stderr.readline()
            assert execute(scripts.client, "DBSIZE") == 0
            first = create_system(scripts, small_config()).identity.system_id
            if kind == "publisher":
                words = "the client publisher-1 has no inbox: `mm acl publisher-1 --add` gives it"
                while words not in process.stderr.readline():
                    assert process.poll() is None
                scripts.admit(first, Operator("ann"), "a test", ["publisher-1"])
            wait_for("a sign of life", lambda: execute(scripts.client, "EXISTS", sign), 20)
            scripts.client.flushall()
            second = create_system(scripts, small_config()).identity.system_id
            said = process.communicate(timeout=20)[1]
        finally:
            process.kill()
    assert process.returncode == 1
    assert f"{first}, but the server holds system {second}" in said
    assert "Traceback" not in said
    assert not execute(scripts.client, "EXISTS", beats, scripts.keys.named("lifecycle"))
