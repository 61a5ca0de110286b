"""What the crash tests share: a data directory whose server can be killed, cut and started again.

A :class:`Box` is one data directory with its managed server. A :class:`Market` trades in it by
single script calls, each of which is one acknowledged step, drawn from a seed.
"""

from __future__ import annotations

import os
import random
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest
import redis

from mm.audit import audit
from mm.errors import ProposalRefused, SystemRefused
from mm.exchange import BATCH as EXCHANGE_BATCH
from mm.exchange import Exchange
from mm.host import DataDir, ManagedServer
from mm.maker import Maker
from mm.market import Config
from mm.process import Process
from mm.state import StateService
from mm.store import Keys, execute, open_client, text
from tests.kit import Backend, Dump, World, dump, server_binary, server_ms, small_config

#: Quotes live this long here, so that a second of trading sees many expire.
TTL_MS = 300
CLIENTS = ("c1", "c2")
#: In memory where there is such a place: a cut is made by the test, no disk takes part in it.
SCRATCH = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def busy_config(**changes: Any) -> Config:
    """Three symbols of 10 lots, 20 units for them: a limit that binds, quotes that expire."""
    settings: dict[str, Any] = {"quote_ttl_ms": TTL_MS, "refresh_ms": TTL_MS // 3}
    return small_config(3, **(settings | changes))


class Box(Backend):
    """A data directory and the managed server on it."""

    def __init__(self, binary: Path, kind: type[ManagedServer] = ManagedServer) -> None:
        self.directory = DataDir(Path(tempfile.mkdtemp(prefix="mm-", dir=SCRATCH)))
        self.directory.prepare()
        self.said: list[str] = []
        self.server = kind(self.directory, binary, self.said.append)
        self.name = self.server.name
        self._clients: list[redis.Redis] = []

    def start(self) -> None:
        """Start the server; returns when it serves."""
        self.server.start()

    def kill(self) -> None:
        """Stop the server hard, as ``kill -9`` does."""
        self._drop_clients()
        process = self.server.process
        if process is not None:
            process.kill()
            process.wait()
            self.server.process = None

    def close(self) -> None:
        """End the server and remove the directory."""
        self.kill()
        shutil.rmtree(self.directory.path, ignore_errors=True)

    def client(self) -> redis.Redis:
        client = open_client(self.directory.url)
        self._clients.append(client)
        return client

    def advance(self, ms: int) -> None:
        raise NotImplementedError("a box's clock is the machine's")

    @property
    def log(self) -> Path:
        """The file that the server appends to now: the last incremental one."""
        files = self.directory.path.glob("appendonlydir/*.incr.aof")
        return max(files, key=lambda path: int(path.name.split(".")[-3]))

    def copy_log(self, source: Path, cut: int | None = None) -> None:
        """Take over a copy of a log's directory, its last file cut to ``cut`` bytes."""
        own = self.directory.path / "appendonlydir"
        shutil.rmtree(own, ignore_errors=True)
        shutil.copytree(source, own)
        (self.directory.path / "stopped-cleanly").unlink(missing_ok=True)
        if cut is not None:
            with self.log.open("r+b") as file:
                file.truncate(cut)

    def world(self, config: Config | None = None, setup: bool = False) -> World:
        """The system in it; ``setup`` creates its keys."""
        return World(self, config or busy_config(), setup=setup)

    def _drop_clients(self) -> None:
        for client in self._clients:
            client.close()
            client.connection_pool.disconnect()
        self._clients.clear()


@contextmanager
def box(binary: Path, kind: type[ManagedServer] = ManagedServer) -> Iterator[Box]:
    """A box that is gone afterwards, its server included."""
    made = Box(binary, kind)
    try:
        yield made
    finally:
        made.close()


class Market:
    """Trades in a world by single steps; the same seed takes the same decisions."""

    def __init__(self, world: World, seed: int, ident: str = "m") -> None:
        self.world = world
        self.random = random.Random(seed)
        self.ident = ident
        self.sent = 0
        self.exchange, self.state = world.exchange(), world.state()
        self.makers = [world.maker("1"), world.maker("2")]

    def send(self) -> None:
        """One order, now and then malformed, now and then one that was sent before."""
        dice = self.random
        again = self.sent > 0 and dice.random() < 0.1
        number = dice.randint(1, self.sent) if again else self.sent + 1
        self.sent = max(self.sent, number)
        side = dice.choice(["buy", "sell"])
        limit = dice.choice([1, 98, 100, 102, 10_000])
        lots = dice.choice([0, 1, 1, 2, 3, 5])
        symbol = dice.choice(
            [*self.world.names, "NONE"] if dice.random() < 0.1 else self.world.names
        )
        client = CLIENTS[number % len(CLIENTS)]
        self.world.send_raw(f"{self.ident}{number}", f"{client} {symbol} {side} {lots} {limit}")

    def match(self) -> None:
        """One matching step, without the sweep with which the exchange may follow it."""
        self.exchange.scripts.match(EXCHANGE_BATCH)

    def commit(self) -> None:
        """One committing step."""
        self.state.step()

    def expire(self) -> None:
        """One sweep of what has expired."""
        self.exchange.scripts.expire()

    def place(self) -> None:
        """One proposal of one maker, when it sees a reason for one."""
        maker = self.random.choice(self.makers)
        found = maker.proposals(maker.scripts.survey(self.world.names))
        if found:
            try:
                maker.scripts.place(self.random.choice(found))
            except ProposalRefused:
                return

    def beat(self) -> None:
        """A heartbeat of one process."""
        process = self.random.choice([self.exchange, self.state, *self.makers])
        process.scripts.heartbeat(process.name, process.kind, 2_000, process.count, {"pid": "1"})

    def step(self) -> None:
        """One random step."""
        steps: list[Callable[[], None]] = [
            self.send,
            self.match,
            self.commit,
            self.place,
            self.expire,
            self.beat,
        ]
        self.random.choices(steps, weights=[6, 4, 4, 6, 1, 1])[0]()

    def trade(self, steps: int) -> None:
        """Some random steps."""
        for _ in range(steps):
            self.step()

    def settle(self) -> None:
        """Process all that waits, and quote what can be quoted."""
        self.world.drain()
        for _ in range(3):
            for maker in self.makers:
                maker.step()


def facts(world: World) -> Dump:
    """Every key, of those that have not expired at the server's present time."""
    return _unexpired(dump(world.client, world.keys), server_ms(world.client))


def _unexpired(found: Dump, now_ms: int) -> Dump:
    # -2 is that of a key which expired while it was read.
    return {name: one for name, one in found.items() if one[2] == -1 or one[2] > now_ms}


def assert_same_facts(world: World, what: str, *allowed: Dump) -> None:
    """The world holds exactly one of the states allowed, keys that have expired since aside."""
    found = dump(world.client, world.keys)
    # Read after the dump: what expired while it was taken is no difference either.
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


def bulk_orders(world: World, count: int, seed: int, chunk: int = 5_000) -> None:
    """Append orders, one an entry, in pipelines: marketable ones on all symbols."""
    dice = random.Random(seed)
    client, orders = world.client, world.keys.named("orders")
    for start in range(0, count, chunk):
        pipeline = client.pipeline(transaction=False)
        for number in range(start, min(start + chunk, count)):
            side = dice.choice(["buy", "sell"])
            limit = 1_000_000 if side == "buy" else 1
            line = f"c{number % 50} {dice.choice(world.names)} {side} {dice.randint(1, 4)} {limit}"
            execute(pipeline, "XADD", orders, "*", f"b{number}", line)
        pipeline.execute()


class Running:
    """Processes running in threads, as they run alone; what they log and how they end is kept.

    ``ended`` has the SystemRefused with which a process gave up, by process name.
    """

    def __init__(self, *processes: Process) -> None:
        self.processes = processes
        self.ended: dict[str, SystemRefused] = {}
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(one,), name=one.name) for one in processes
        ]

    def _run(self, process: Process) -> None:
        try:
            process.run(self._stop)
        except SystemRefused as error:
            self.ended[process.name] = error

    def __enter__(self) -> Running:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(15)
            assert not thread.is_alive(), f"{thread.name} did not stop"
        for process in self.processes:
            process.close()


def all_processes(made: Box, **settings: Any) -> list[Process]:
    """An exchange, a state service and two makers, not yet running."""
    makers = [Maker(made.client, Keys(), ident, **settings) for ident in ("1", "2")]
    found: list[Process] = [
        Exchange(made.client, Keys(), **settings),
        StateService(made.client, Keys(), **settings),
        *makers,
    ]
    return found


def binary_or_skip(name: str) -> Path:
    """The server's path; a missing one skips, and fails where CI is set."""
    found = server_binary("redis" if name == "redis" else "valkey")
    if found is None:
        text = f"no {name} server on this machine"
        if os.environ.get("CI"):
            pytest.fail(text + ", and CI must have one")
        pytest.skip(text)
    return Path(found)


def answered(world: World) -> bool:
    """Whether nothing waits: every order is matched and every fill committed."""

    def last(stream: str) -> str | None:
        key = world.keys.named(stream)
        entry = execute(world.client, "XREVRANGE", key, "+", "-", "COUNT", 1)
        return text(entry[0][0]) if entry else None

    orders, fills = last("orders"), last("fills")
    return (orders is None or world.cursor("exchange") == orders) and (
        fills is None or world.cursor("state") == fills
    )
