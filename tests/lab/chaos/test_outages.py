"""Chaos on a cluster: the plan, the links between nodes, and the judgement of leases."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from mm.errors import SystemRefused, TimedOut
from mm.host import BUS_OFFSET, Shape, source_of
from mm.lab.chaos.leases import LeaseWatch, judge
from mm.lab.chaos.links import LinkControl
from mm.lab.chaos.outages import KINDS, NEED_MOVES, NEED_REPLICAS, kinds_of, plan_outages
from mm.lab.chaos.plan import TTL_MS, FaultEvent
from mm.market import Lease, Treasury

SHAPE = Shape(3, 1)


def plan(seed: int, count: int, server: str = "valkey") -> list[list[FaultEvent]]:
    """The faults of the first rounds."""
    return list(islice(plan_outages(seed, SHAPE, server), count))


def test_a_seed_replays_its_faults() -> None:
    """The same seed plans the same faults, another seed others."""
    assert plan(7, 100) == plan(7, 100)
    assert plan(7, 100) != plan(8, 100)


def test_every_kind_comes_once_before_one_comes_again() -> None:
    """As many rounds as there are kinds hold each kind; a partition moves alone."""
    for seed in range(20):
        rounds = plan(seed, len(KINDS))
        assert sorted(faults[0].kind for faults in rounds) == sorted(
            {one.kind for faults in rounds for one in faults[:1]}
        )
        assert {faults[0].kind for faults in rounds} == set(KINDS)
        assert all(len(faults) == 1 for faults in rounds if faults[0].kind == NEED_MOVES)


def test_faults_make_sense() -> None:
    """A stop of a primary outlives its election, that of a process a quote; targets exist."""
    for fault in (one for faults in plan(3, 2_000) for one in faults):
        if fault.kind in ("stop-primary", "cut-primary"):
            assert fault.hold_ms >= 1_500
        if fault.kind == "stop-process":
            assert fault.hold_ms > TTL_MS
        if fault.target.isdecimal():
            assert int(fault.target) < SHAPE.partitions


def test_only_what_a_cluster_can_have() -> None:
    """Without replicas none is harmed; an engine without one-step moves moves nothing."""
    assert not NEED_REPLICAS & kinds_of(Shape(3, 0), "valkey").keys()
    assert NEED_MOVES not in kinds_of(SHAPE, "redis")
    assert kinds_of(Shape(1, 1), "valkey").keys() == KINDS.keys() - {NEED_MOVES, "kill-primaries"}


class Echo:
    """A server that answers what it gets; its port, and one in front of it."""

    def __init__(self, directory: Path, delay_s: float = 0.0) -> None:
        self.port, own = free_pair(), free_pair()
        self._servers = [socket.create_server(("127.0.0.1", own + n)) for n in (0, BUS_OFFSET)]
        self._near: list[socket.socket] = []
        self.links = LinkControl([self.port], [own], delay_s, directory / "links.out")

    def connect(self, offset: int = 0, source: str = "127.0.0.1") -> socket.socket:
        """A connection through the link, from an address."""
        address = ("127.0.0.1", self.port + offset)
        made = socket.create_connection(address, 5, (source, 0))
        made.settimeout(5)
        return made

    def accept(self, offset: int = 0) -> socket.socket:
        """The other end of it."""
        server = self._servers[offset > 0]
        server.settimeout(5)
        near, _ = server.accept()
        near.settimeout(5)
        self._near.append(near)
        return near

    def close(self) -> None:
        """End all."""
        self.links.close()
        for one in [*self._servers, *self._near]:
            one.close()


def free_pair() -> int:
    """A port that is free now, and so is the one of its bus."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = int(probe.getsockname()[1])
            if port + BUS_OFFSET < 65_536:
                with (
                    contextlib.suppress(OSError),
                    socket.create_server(("127.0.0.1", port + BUS_OFFSET)),
                ):
                    return port


@pytest.fixture
def echo(tmp_path: Path) -> Iterator[Echo]:
    """A link without delay."""
    made = Echo(tmp_path)
    yield made
    made.close()


def test_a_link_carries_both_ways(echo: Echo) -> None:
    """What goes in comes out, in both directions, on the port and on the bus."""
    for offset in (0, BUS_OFFSET):
        with echo.connect(offset) as here, echo.accept(offset) as there:
            here.sendall(b"to")
            assert there.recv(9) == b"to"
            there.sendall(b"back")
            assert here.recv(9) == b"back"


def test_what_is_under_way_is_lost(tmp_path: Path) -> None:
    """A slow link that is cut delivers nothing more; the next connection is whole."""
    slow = Echo(tmp_path, 30.0)
    try:
        with slow.connect() as here, slow.accept() as there:
            here.sendall(b"never")
            slow.links.lose(0)
            with contextlib.suppress(ConnectionResetError):
                assert there.recv(9) == b""
        with slow.connect(BUS_OFFSET) as here, slow.accept(BUS_OFFSET) as there:
            here.sendall(b"again")
            assert there.recv(9) == b"again"
    finally:
        slow.close()


def test_the_order_of_bytes_stays(tmp_path: Path) -> None:
    """Many writes through a slow link arrive in their order."""
    slow = Echo(tmp_path, 0.05)
    try:
        with slow.connect() as here, slow.accept() as there:
            sent = b"".join(b"%d," % number for number in range(20_000))
            for start in range(0, len(sent), 1_000):
                here.sendall(sent[start : start + 1_000])
            got = b""
            while len(got) < len(sent):
                got += there.recv(65_536)
            assert got == sent
    finally:
        slow.close()


def test_an_isolated_node_neither_hears_nor_speaks(echo: Echo) -> None:
    """Nobody reaches it, and what comes from its own address reaches nobody, until it rejoins."""
    for node_is in ("127.0.0.1", source_of(0)):
        with echo.connect(source=node_is) as before, echo.accept() as there:
            echo.links.isolate(0)
            assert ended(before) and ended(there)
            with echo.connect(source=node_is) as during:
                assert ended(during)
            echo.links.rejoin(0)
        with echo.connect(source=node_is) as here, echo.accept() as there:
            here.sendall(b"x")
            assert there.recv(9) == b"x"


def ended(connection: socket.socket) -> bool:
    """Whether the other end has closed it."""
    try:
        return connection.recv(9) == b""
    except ConnectionResetError:
        return True


def test_a_companion_that_died_is_named(echo: Echo) -> None:
    """A demand that nobody answers ends in an error that names the log."""
    echo.links._companion._process.kill()
    echo.links._companion._process.wait()
    with pytest.raises((SystemRefused, BrokenPipeError, TimedOut), match="links"):
        echo.links._companion.lines()


def lease(accepted: int, returned: int, reserved: int = 0) -> Lease:
    """A lease; what is claimed does not matter."""
    return Lease(accepted, returned, 0, reserved, 0, 0)


FINE = (lease(10, 2, 8), lease(5, 0, 1))
TREASURY = Treasury(20, 7, (10, 5), (2, 0))


def test_a_sound_reading_is_sound() -> None:
    """What was granted later, and what was returned later, is no violation."""
    assert judge(FINE, TREASURY, FINE) == []
    assert judge((lease(8, 2), lease(5, 0)), TREASURY, (lease(10, 9), lease(9, 4))) == []


WRONG = [
    (((lease(11, 2), FINE[1]), TREASURY, FINE), "has accepted 11 units of 10"),
    ((FINE, Treasury(20, 5, (10, 5), (3, 0)), FINE), "has returned 2, not 3 units"),
    ((FINE, TREASURY, (lease(10, 2, 9), FINE[1])), "has reserved 9 of 8 units"),
    ((FINE, Treasury(20, 8, (10, 5), (2, 0)), FINE), "leases are 13 units, of which 12"),
]


@pytest.mark.parametrize(("reading", "words"), WRONG)
def test_the_judgement_of_leases_bites(
    reading: tuple[tuple[Lease, ...], Treasury, tuple[Lease, ...]], words: str
) -> None:
    """Each way in which leases and treasury can disagree is named."""
    assert any(words in one for one in judge(*reading))


def test_more_is_never_granted_beyond_a_limit() -> None:
    """What is out when the limit is lowered may stay for a while; it does not grow."""
    watch = LeaseWatch("unix:///nowhere", 1)
    lowered = Treasury(10, -3, (10, 5), (2, 0))
    watch.take_up(FINE, TREASURY, FINE)
    watch.take_up(FINE, lowered, FINE)
    assert watch.take_violations() == []
    watch.take_up(FINE, Treasury(10, -4, (11, 5), (2, 0)), FINE)
    assert watch.take_violations() == ["leases: 14 units are granted, of a limit of 10"]
    assert (watch.readings, watch.exact) == (3, 3)


def test_settled_is_what_was_seen_to_be() -> None:
    """Only an exact reading without a unit under way says that all is in place."""
    watch = LeaseWatch("unix:///nowhere", 1)
    assert "on their way" in watch.why_not_settled()
    watch.take_up(FINE, Treasury(20, 6, (11, 5), (2, 0)), FINE)
    assert "on their way" in watch.why_not_settled()
    watch.take_up((lease(9, 2), FINE[1]), TREASURY, FINE)
    assert "on their way" in watch.why_not_settled()
    watch.take_up(FINE, TREASURY, FINE)
    assert watch.why_not_settled() == ""
