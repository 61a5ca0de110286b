"""What stops a running `mm up`, or keeps one from starting, is said in words on every screen."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis

from mm.host import ManagedServer, ThrowawaySystem
from mm.store import execute, open_client
from tests.kit import SERVERS, binary_or_skip, short_directory, wait_for
from tests.kit.commands import MM, run_mm
from tests.kit.failing import fail_to_save
from tests.kit.running import RunningSystem, publishers

pytestmark = pytest.mark.server

SECRET = "s3cr@t"
IN_A_URL = "s3cr%40t"
#: `mm up` looks at the server once a second, and announces what has lasted a second.
VIEW_S = 4


def status(system: RunningSystem) -> tuple[int, dict[str, Any]]:
    """Exit status and facts of `mm status --json`."""
    done = run_mm("status", "--json", data_dir=system.data_dir)
    assert done.returncode in (0, 1), done.stderr
    return done.returncode, json.loads(done.stdout)


def wait_for_trouble(system: RunningSystem, *words: str) -> dict[str, Any]:
    """Wait until one sentence of `mm status` has all the words; the facts then."""
    facts: dict[str, Any] = {}

    def seen() -> bool:
        nonlocal facts
        code, facts = status(system)
        found = any(all(word in one for word in words) for one in facts["trouble"])
        assert code == 1 or not found
        return found

    wait_for(f"{words} in the status", seen, 60)
    return facts


def wait_for_peace(system: RunningSystem) -> None:
    """Wait until nothing stops trading, and `mm up` has seen that too."""
    wait_for("no trouble", lambda: status(system)[0] == 0, 60)
    system.trades_on()
    threading.Event().wait(VIEW_S)


def change(system: RunningSystem, **settings: str | int) -> None:
    """Change settings of the server."""
    client = open_client(f"unix://{system.data_dir}/redis.sock")
    for name, value in settings.items():
        client.config_set(name.replace("_", "-"), value)
    client.close()


def assert_announced(said: str, words: str) -> None:
    """The output has the beginning and the end of the trouble."""
    lines = said.splitlines()
    assert [line for line in lines if "TROUBLE:" in line and words in line], said
    assert [line for line in lines if "over after " in line and words in line], said


@SERVERS
def test_a_memory_limit_is_said_while_it_lasts(system: RunningSystem, server: str) -> None:
    """At the memory limit status, status lines and JSON say so, and then that it is over."""
    system.start("--server", str(binary_or_skip(server)))
    change(system, maxmemory=1)
    wait_for_trouble(system, "refuses writes", "memory limit")
    shown = run_mm("status", data_dir=system.data_dir)
    assert "TROUBLE: the server refuses writes" in shown.stdout
    assert "memory limit" in run_mm("quotes", data_dir=system.data_dir).stdout
    late = run_mm("order", "AAPL", "buy", "1", "200", "--timeout", "1", data_dir=system.data_dir)
    assert late.returncode == 1
    assert "memory limit" in late.stderr
    threading.Event().wait(VIEW_S)
    change(system, maxmemory=0)
    wait_for_peace(system)
    code, said = system.stop()
    assert code == 0, said
    assert_announced(said, "memory limit")


@SERVERS
def test_a_refusing_disk_is_said_and_nobody_is_accused(system: RunningSystem, server: str) -> None:
    """While heartbeats are refused too, the server's reason is said, and no process is missed."""
    system.start("--server", str(binary_or_skip(server)))
    client = open_client(f"unix://{system.data_dir}/redis.sock")
    fail_to_save(client)
    facts = wait_for_trouble(system, "refuses writes", "snapshot")
    threading.Event().wait(VIEW_S)
    assert status(system)[1]["trouble"] == facts["trouble"]
    assert len(facts["trouble"]) == 1
    client.config_set("save", "")
    wait_for_peace(system)
    code, said = system.stop()
    assert code == 0, said
    assert_announced(said, "snapshot")
    assert " is live: " not in said


@SERVERS
def test_weakened_settings_are_said_and_nothing_is_restarted(
    system: RunningSystem, server: str
) -> None:
    """With appendonly off every screen has the reason, no child ends, and trading goes on later."""
    system.start("--server", str(binary_or_skip(server)))
    change(system, appendonly="no")
    wait_for_trouble(system, "appendonly no", "on disk")
    threading.Event().wait(VIEW_S)
    change(system, appendonly="yes")
    wait_for_peace(system)
    assert {row["restarts"] for row in system.status()["processes"]} == {0}
    code, said = system.stop()
    assert code == 0, said
    assert_announced(said, "appendonly no")
    assert " died " not in said


def test_no_maker_is_said(system: RunningSystem) -> None:
    """Without a maker the status says what that means, and its exit status is 1."""
    system.process = subprocess.Popen(
        [*MM, "up", "--headless", "--makers", "0", "--data-dir", str(system.data_dir)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"MM_LEASH_FD": str(system.leash), "MM_LEASH_SERVER": ""},
        pass_fds=(system.leash,),
    )
    wait_for("a status", system.status, 60)
    facts = wait_for_trouble(system, "no maker is live")
    wait_for("the others", lambda: len(status(system)[1]["trouble"]) == 1, 60)
    assert facts["quotes_active"] == 0
    _, said = system.stop()
    assert "TROUBLE: no maker is live" in said


@contextmanager
def secured(server: str) -> Iterator[tuple[redis.Redis, Callable[[str], str]]]:
    """A server with a password; a client, and the URL of the server for a password."""
    binary = binary_or_skip(server)
    with ThrowawaySystem(partial(ManagedServer, binary=binary), "mm-test-") as made:
        made.start()
        made.scripts.client.config_set("requirepass", SECRET)
        yield (
            open_client(f"unix://:{IN_A_URL}@{made.data_dir.socket}"),
            lambda password: f"unix://:{password}@{made.data_dir.socket}",
        )


def run_with_url(url: str, directory: Path, *words: str) -> tuple[int, str]:
    """Exit status and all output of a command that gets URL and directory by its environment."""
    environment = os.environ | {"MM_REDIS_URL": url, "MM_DATA_DIR": str(directory)}
    done = run_mm(*words, environment=environment, timeout_s=60)
    return done.returncode, done.stdout + done.stderr


def pids_of(client: redis.Redis) -> list[int]:
    """The pids of the processes that have had a heartbeat."""
    names = execute(client, "ZRANGE", "{mm}:processes", 0, -1)
    return [int(client.hget("{mm}:process:" + name.decode(), "pid") or 0) for name in names]


@SERVERS
def test_no_password_leaves_its_url(server: str) -> None:
    """Neither the command line of a child nor a log, an output or a screen has the password."""
    with short_directory() as directory, secured(server) as (client, url):
        environment = os.environ | {"MM_REDIS_URL": url(IN_A_URL), "MM_DATA_DIR": str(directory)}
        up = subprocess.Popen(
            [*MM, "up", "--headless", "--rate", "50"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            wait_for("fills", lambda: execute(client, "XLEN", "{mm}:fills"), 60)
            wait_for("all processes", lambda: len(pids_of(client)) == 6, 60)
            pids = [*pids_of(client), *publishers(directory).values()]
            assert len(pids) == 7
            lines = [Path(f"/proc/{pid}/cmdline").read_text() for pid in pids]
        finally:
            up.send_signal(signal.SIGINT)
            said, _ = up.communicate(timeout=60)
        assert up.returncode == 0, said
        texts = [path.read_text(errors="replace") for path in directory.rglob("*.[lo]*")]
        assert len(texts) >= 10
        for text in (*lines, said, *texts):
            assert SECRET not in text
            assert IN_A_URL not in text


@SERVERS
@pytest.mark.parametrize("command", ["status", "exchange", "publisher", "up"])
def test_a_wrong_password_is_said_at_once(server: str, command: str) -> None:
    """A wrong password ends each command with status 1 and its words, and is not shown."""
    with short_directory() as directory, secured(server) as (_, url):
        code, said = run_with_url(url("wr0ng"), directory, command)
        assert code == 1, said
        assert "refuses the user name or the password" in said
        assert "wr0ng" not in said
        assert "no server answers" not in said


@SERVERS
def test_a_replica_is_refused_with_a_way(server: str) -> None:
    """`mm up` on a read-only replica says that it is one, and which URL to give."""
    binary = binary_or_skip(server)
    with (
        short_directory() as directory,
        ThrowawaySystem(partial(ManagedServer, binary=binary), "mm-test-") as made,
    ):
        made.start()
        execute(made.scripts.client, "REPLICAOF", "127.0.0.1", "1")
        url = f"unix://{made.data_dir.socket}"
        done = run_mm("up", "--headless", "--redis-url", url, data_dir=directory)
    assert done.returncode == 1
    assert "read-only replica" in done.stderr
    assert "primary with --redis-url" in done.stderr


@pytest.mark.parametrize("kind", ["exchange", "state", "maker", "publisher"])
def test_a_process_without_a_server_says_what_it_waits_for(kind: str) -> None:
    """Started by hand without a server it says so in one line on standard error, and stops."""
    with short_directory() as directory:
        process = subprocess.Popen(
            [*MM, kind, "--data-dir", str(directory)], stderr=subprocess.PIPE, text=True
        )
        assert process.stderr is not None
        line = process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        _, rest = process.communicate(timeout=60)
    assert line.startswith(f"mm: {kind}-1: waiting, for ever: no server answers")
    assert "waiting" not in rest
    assert process.returncode == 0
