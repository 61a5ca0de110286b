"""A server that the test kills and whose log it cuts, and checks of what it then holds."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from mm.audit import audit
from mm.host import ManagedServer, ThrowawaySystem
from mm.market import Config
from mm.store import open_client
from tests.kit.backends import Backend, binary_or_skip, server_ms
from tests.kit.checks import Dump, dump
from tests.kit.trader import Trader, busy_config
from tests.kit.world import SEEDS, World

#: In memory where there is such a place: a cut is made by the test, no disk takes part in it.
SCRATCH = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


class KillableServer(Backend):
    """A data directory of its own and the managed server on it."""

    def __init__(self, binary: Path, kind: type[ManagedServer] = ManagedServer) -> None:
        self.said: list[str] = []
        self._system = ThrowawaySystem(
            lambda data_dir: kind(data_dir, binary, self.said.append), parent=SCRATCH
        )
        self.directory, self.server = self._system.data_dir, self._system.server
        self.name = self.server.name
        self._clients: list[redis.Redis] = []

    def start(self) -> None:
        """Start the server; returns when it serves."""
        self.server.start()

    def kill(self) -> None:
        """Stop the server hard, as ``kill -9`` does."""
        self._drop_clients()
        self._system.kill_server()
        self.server.process = None

    def close(self) -> None:
        """End the server and remove the directory."""
        self.kill()
        self._system.close()

    def client(self) -> redis.Redis:
        client = open_client(self.directory.url)
        self._clients.append(client)
        return client

    def advance(self, ms: int) -> None:
        raise NotImplementedError("the clock is the machine's")

    @property
    def log(self) -> Path:
        """The file that the server appends to now: the last incremental one."""
        files = self.directory.path.glob("appendonlydir/*.incr.aof")
        return max(files, key=lambda path: int(path.name.split(".")[-3]))

    def copy_log(self, source: Path, cut: int | None = None) -> None:
        """Replace the log by a copy of another one; ``cut`` limits its last file to that size."""
        own = self.directory.path / "appendonlydir"
        shutil.rmtree(own, ignore_errors=True)
        shutil.copytree(source, own)
        (self.directory.path / "stopped-cleanly").unlink(missing_ok=True)
        if cut is not None:
            with self.log.open("r+b") as file:
                file.truncate(cut)

    def world(self, config: Config | None = None, setup: bool = False) -> World:
        """The system on this server; ``setup`` creates its keys."""
        return World(self, config or busy_config(), setup=setup)

    def _drop_clients(self) -> None:
        for client in self._clients:
            client.close()
            client.connection_pool.disconnect()
        self._clients.clear()


@contextmanager
def killable_server(
    binary: Path, kind: type[ManagedServer] = ManagedServer
) -> Iterator[KillableServer]:
    """A killable server; afterwards neither it nor its directory is there."""
    made = KillableServer(binary, kind)
    try:
        yield made
    finally:
        made.close()


def tear(made: KillableServer) -> None:
    """Append what a power cut leaves of a step that was being written: half a transaction.

    It ends inside its second command; its first would show if it were ever executed.
    """
    words = [["MULTI"], ["HSET", "{mm}:exposure", "torn", "1"], ["HSET", "{mm}:exposure", "half"]]
    text = "".join(
        f"*{len(one)}\r\n" + "".join(f"${len(word)}\r\n{word}\r\n" for word in one) for one in words
    )
    with made.log.open("ab") as file:
        file.write(text.encode()[:-4])


@contextmanager
def trading(server: str, **changes: object) -> Iterator[tuple[KillableServer, World, Trader]]:
    """A killable server with a system in it, and a trader that has traded a little."""
    with killable_server(binary_or_skip(server)) as made:
        made.start()
        world = made.world(busy_config(**changes), setup=True)
        trader = Trader(world, SEEDS[0])
        trader.trade(40)
        yield made, world, trader


def live_keys(world: World) -> Dump:
    """Every key that has not expired at the server's present time."""
    return _unexpired(dump(world.client, world.keys), server_ms(world.client))


def _unexpired(found: Dump, now_ms: int) -> Dump:
    # -2 is the expiry of a key that expired while it was read.
    return {name: one for name, one in found.items() if one[2] == -1 or one[2] > now_ms}


def assert_same_keys(world: World, what: str, *allowed: Dump) -> None:
    """The keys are exactly one of the allowed states, without what has expired since."""
    found = dump(world.client, world.keys)
    # Read after the dump, so that what expired while it was taken makes no difference.
    now = server_ms(world.client)
    held = _unexpired(found, now)
    texts = []
    for one in allowed:
        was = _unexpired(one, now)
        differ = sorted(key for key in held.keys() | was.keys() if held.get(key) != was.get(key))
        if not differ:
            return
        shown = {key: (was.get(key), held.get(key)) for key in differ[:2]}
        texts.append(f"{differ} differ: {str(shown)[:600]}")
    pytest.fail(f"{what}: {' | or '.join(texts)}")


def assert_audited(world: World, what: str, quiescent: bool = False) -> None:
    """The shipped audit finds no violation."""
    result = audit(world.scripts, quiescent=quiescent)
    broken = [(check.name, check.violations[:3]) for check in result.checks if not check.ok]
    assert result.ok, f"{what}: {broken}"
