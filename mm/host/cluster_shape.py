"""The shape of a managed cluster: its nodes, their slots, and how each one listens."""

from __future__ import annotations

import os
import socket
import zlib
from dataclasses import dataclass
from pathlib import Path

from redis.crc import key_slot

from mm.errors import SystemRefused
from mm.host.datadir import DataDir
from mm.host.state_file import read_state, write_state
from mm.store import ADMIN, Keys

SLOTS = 16_384
#: The cluster's own protocol has the port of a node and so many more.
BUS_OFFSET = 10_000
#: Nodes listen on so many ports at most, from this one on: below those that the system gives out.
FIRST_PORT, PORTS = 11_000, 11_000
#: A node counts as failing when it has been silent for so many milliseconds.
NODE_TIMEOUT_MS = 750
#: Without so many primaries the end of one would leave no majority.
LEAST_PRIMARIES = 3


@dataclass(frozen=True)
class Shape:
    """A cluster for ``partitions``, each with so many ``replicas``."""

    partitions: int
    replicas: int

    @property
    def primaries(self) -> int:
        """One for each partition, and witnesses so that there are three: they hold no partition."""
        return max(self.partitions, LEAST_PRIMARIES)

    @property
    def nodes(self) -> int:
        """All nodes: the primaries come first, then the replicas of the first one, and so on."""
        return self.primaries + self.partitions * self.replicas

    def primary_of(self, node: int) -> int | None:
        """The primary, from 0, that a node begins as the replica of; None for a primary."""
        return None if node < self.primaries else (node - self.primaries) // self.replicas

    def text(self) -> str:
        """The shape as its file has it."""
        return f"{self.partitions} {self.replicas}\n"


class NodeListening:
    """How a node of a cluster listens: see :class:`mm.host.listening.Listening`.

    It listens itself on ``own_port`` when others reach it through something that forwards ``port``
    to it, and the port of its bus likewise. It connects to others from the address ``source``.
    """

    certificates: Path | None = None

    def __init__(
        self, port: int, secret: str, own_port: int | None = None, source: str = "127.0.0.1"
    ) -> None:
        self.port = port
        self._secret = secret
        self._own_port = own_port or port
        self._source = source

    def behind(self, own_port: int, source: str) -> NodeListening:
        """The same, behind something that forwards."""
        return NodeListening(self.port, self._secret, own_port, source)

    def settings(self) -> list[tuple[str, str | Path]]:
        """The settings of the server, each with its value."""
        return [
            ("bind", "127.0.0.1"),
            ("port", str(self._own_port)),
            ("cluster-port", str(self._own_port + BUS_OFFSET)),
            ("cluster-announce-port", str(self.port)),
            ("cluster-announce-bus-port", str(self.port + BUS_OFFSET)),
            ("bind-source-addr", self._source),
            ("cluster-enabled", "yes"),
            ("cluster-config-file", "nodes.conf"),
            ("cluster-node-timeout", str(NODE_TIMEOUT_MS)),
            ("cluster-announce-ip", "127.0.0.1"),
            ("cluster-require-full-coverage", "no"),
            ("cluster-allow-replica-migration", "no"),
            ("cluster-replica-validity-factor", "10"),
            ("masteruser", ADMIN),
            ("masterauth", self._secret),
            ("repl-backlog-size", "64mb"),
            # Until a node that comes back has all data nothing is final: no wait for more of them.
            ("repl-diskless-sync-delay", "0"),
        ]


def source_of(node: int) -> str:
    """The address of loopback from which a node behind a forwarded port connects to others."""
    return f"127.0.1.{node + 1}"


def shape_file(data_dir: DataDir) -> Path:
    """The file of a data directory that has the shape of its cluster."""
    return data_dir.path / "cluster"


def known_shape(data_dir: DataDir) -> Shape | None:
    """The shape of the cluster in a data directory, None when it has none.

    SystemRefused when its file cannot be read.
    """
    path = shape_file(data_dir)
    stored = read_state(path, r"[0-9]{1,4} [0-9]{1,2}\n", "the numbers of a cluster")
    return None if stored is None else Shape(*map(int, stored.split()))


def slots_of(shape: Shape, keys: Keys) -> list[list[int]]:
    """For each primary the first and last slots of its ranges, one after the other.

    Each partition's slot is at a primary of its own. The root's is at that of partition 0.
    """
    homes = {key_slot(keys.prefix.encode()): 0}
    for number in range(shape.partitions):
        homes[key_slot(keys.partition(number).prefix.encode())] = number
    owners = [homes.get(slot, slot * shape.primaries // SLOTS) for slot in range(SLOTS)]
    found: list[list[int]] = [[] for _ in range(shape.primaries)]
    first = 0
    for slot in range(1, SLOTS + 1):
        if slot == SLOTS or owners[slot] != owners[first]:
            found[owners[first]] += [first, slot - 1]
            first = slot
    return found


def port_of(place: Path, taken: set[int]) -> int:
    """The port of a node, chosen once: one that is free now, with the one of its bus.

    ``taken`` are ports of other nodes, which have a bus each. The first that is tried goes by the
    path, so that two systems that start at once do not choose the same.
    """
    path = place / "port"
    stored = read_state(path, r"[0-9]{4,5}\n", "the port of a node")
    if stored is not None:
        return int(stored)
    first = zlib.crc32(os.fsencode(place))
    for turn in range(PORTS):
        port = FIRST_PORT + (first + turn) % PORTS
        near = {port - BUS_OFFSET, port, port + BUS_OFFSET}
        if near.isdisjoint(taken) and _is_free(port) and _is_free(port + BUS_OFFSET):
            write_state(path, f"{port}\n")
            return port
    last = FIRST_PORT + PORTS - 1
    raise SystemRefused(f"no port from {FIRST_PORT} to {last} is free on 127.0.0.1 for a node")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
