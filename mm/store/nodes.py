"""The nodes of a cluster, as one of them sees them."""

from __future__ import annotations

from dataclasses import dataclass

import redis
from redis.crc import key_slot
from redis.exceptions import ResponseError

from mm.store.calls import execute, text
from mm.store.cluster import spreads
from mm.store.keys import Keys
from mm.store.scripts import Scripts


@dataclass(frozen=True)
class Node:
    """One node: where it listens, and what it is.

    ``state`` is ``up``, ``suspected`` when this view alone misses it, or ``failed`` when the
    majority does. ``primary_id`` is that of the node it is a replica of, empty for a primary.
    ``slots`` are the first and last of each range that it owns.
    """

    node_id: str
    host: str
    port: int
    state: str
    primary_id: str
    slots: tuple[tuple[int, int], ...]

    @classmethod
    def parse(cls, line: str) -> Node:
        """A line of the reply to CLUSTER NODES; ValueError when it is none."""
        node_id, address, flags, primary_id, _, _, _, _, *ranges = line.split()
        host, _, port = address.partition("@")[0].rpartition(":")
        words = flags.split(",")
        state = "failed" if "fail" in words else "suspected" if "fail?" in words else "up"
        slots = []
        for one in ranges:
            # In brackets there are slots that are on their way to or from another node.
            if not one.startswith("["):
                first, _, last = one.partition("-")
                slots.append((int(first), int(last or first)))
        primary = "" if primary_id == "-" else primary_id
        return cls(node_id, host, int(port), state, primary, tuple(slots))

    @property
    def address(self) -> str:
        """Where others reach it, as ``HOST:PORT``."""
        return f"{self.host}:{self.port}"

    def has(self, slot: int) -> bool:
        """Whether it owns the slot."""
        return any(first <= slot <= last for first, last in self.slots)


def read_nodes(client: redis.Redis) -> list[Node]:
    """All nodes that the client's node knows; errors of the connection are raised."""
    return [Node.parse(line) for line in text(execute(client, "CLUSTER", "NODES")).splitlines()]


@dataclass(frozen=True)
class Placement:
    """Which server has which partition of a system whose servers fail over.

    ``nodes`` are those of the cluster; none with Sentinels. ``owners`` are by partition, None where
    no node has it. ``followers`` is how many replicas are linked to each partition's server.
    """

    nodes: tuple[Node, ...]
    owners: tuple[Node | None, ...]
    followers: tuple[int, ...]

    def of(self, node: Node) -> list[int]:
        """The partitions that a node has, as a primary or as a replica."""
        ids = {node.node_id, node.primary_id}
        return [number for number, one in enumerate(self.owners) if one and one.node_id in ids]

    def role(self, node: Node) -> str:
        """``primary`` or ``replica`` of partitions, or ``witness``."""
        if not self.of(node):
            return "witness"
        return "replica" if node.primary_id else "primary"


def read_placement(scripts: Scripts, partitions: int) -> Placement | None:
    """Which server has which of so many partitions; None where one server has all, for ever.

    A system without partitions is one of its own. Errors of the connection are raised.
    """
    if not spreads(scripts.client):
        return None
    keys = [scripts.keys]
    if partitions > 1:
        keys = [scripts.keys.partition(number) for number in range(partitions)]
    try:
        nodes = read_nodes(scripts.client)
    except ResponseError:
        # No cluster, but Sentinels; or one whose user may not see its nodes.
        nodes = []
    followers = []
    for one in keys:
        info = scripts.over(one).client.info("replication")
        followers.append(int(info.get("connected_slaves", 0)))
    owners = tuple(_owner(nodes, one) for one in keys)
    return Placement(tuple(nodes), owners, tuple(followers))


def _owner(nodes: list[Node], keys: Keys) -> Node | None:
    slot = key_slot(keys.prefix.encode())
    return next((node for node in nodes if node.has(slot)), None)
