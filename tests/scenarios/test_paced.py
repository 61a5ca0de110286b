"""A paced replay gives the same trades, whatever is killed meanwhile."""

from __future__ import annotations

import os
import signal
from functools import partial
from pathlib import Path

import pytest

from mm.host import DataDir, ManagedServer
from mm.market import Fill
from mm.orders import PublisherOptions, Tape, config_of_tape, read_tape
from mm.publisher import Publisher
from mm.store import Keys, execute, open_client, text
from tests.kit import SERVERS, Fake, World, binary_or_skip, wait_for
from tests.kit.running import RunningSystem
from tests.kit.tapes import REAL


def traded(fills: list[Fill]) -> bytes:
    """The trades of a ledger in their order, without times and without the run's name."""
    lines = [
        f"{fill.symbol} {fill.side} {fill.qty_lots} {fill.price_ticks}"
        f" {fill.order_id.rpartition('-')[2]}"
        for fill in fills
    ]
    return "\n".join(lines).encode()


def in_process(fake: Fake, tape: Tape) -> bytes:
    """The trades of a replay in this process, over fakeredis, each process stepped in turn."""
    world = World(fake, config_of_tape(tape))
    options = PublisherOptions(tape=tape, speed=0, paced=True, quotes_wait_s=1e6)
    publisher = Publisher(fake.client, world.keys, durability="relaxed", options=options)
    publisher.attach(world.make_scripts())
    others = [world.maker(), world.exchange(), world.state()]
    while not publisher.over.is_set():
        publisher.step()
        for process in others:
            process.step()
    return traded(world.fills())


def stored(data_dir: Path, binary: Path) -> bytes:
    """The trades that a stopped data directory holds."""
    server = ManagedServer(DataDir(data_dir), binary)
    server.start()
    try:
        client = open_client(server.url)
        entries = execute(client, "XRANGE", Keys().named("fills"), "-", "+")
        records = [record for _, fields in entries for record in fields.items()]
        client.close()
    finally:
        server.stop()
    return traded([Fill.parse(text(name), text(line)) for name, line in records])


def committed(system: RunningSystem) -> int:
    """The number of fills that were committed so far."""
    return int(system.status().get("fills_committed", 0))


def pid_of(system: RunningSystem, name: str) -> int:
    """The pid of a process, or 0 while there is none."""
    return system.pids().get(name, 0)


def harm(system: RunningSystem) -> None:
    """Kill one process of each kind with -9, each time after further trading."""
    for name in ("maker-1", "exchange-1", "publisher-1", "state-1"):
        target = committed(system) + 4
        wait_for("further trading", lambda target=target: committed(system) >= target, 30)  # type: ignore[misc]  # bound at once
        os.kill(wait_for(name, partial(pid_of, system, name), 30), signal.SIGKILL)


@pytest.mark.server
@pytest.mark.slow
@SERVERS
def test_the_same_trades(server: str, fake: Fake) -> None:
    """Two runs of `mm up`, and one over fakeredis: the same trades, byte for byte.

    The second run is slower, and a process of each kind is killed in it.
    """
    binary, tape = binary_or_skip(server), read_tape(REAL)
    expected = in_process(fake, tape)
    assert len(expected.splitlines()) > 100
    for speed in ("0", "2"):
        system = RunningSystem()
        try:
            words = ("--tape", str(tape.path), "--speed", speed, "--paced", "--server", str(binary))
            system.start(*words, trading=False)
            if speed == "2":
                harm(system)
            code, said = system.wait()
            assert code == 0, said
            assert "paced: every trade was sent after the quotes had answered" in said, said
            assert stored(system.data_dir, binary) == expected
        finally:
            system.close()
