"""The nodes of a cluster, as one of them sees them."""

from __future__ import annotations

from dataclasses import dataclass

import redis

from mm.store.calls import execute, text


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

    def has(self, slot: int) -> bool:
        """Whether it owns the slot."""
        return any(first <= slot <= last for first, last in self.slots)


def read_nodes(client: redis.Redis) -> list[Node]:
    """All nodes that the client's node knows; errors of the connection are raised."""
    return [Node.parse(line) for line in text(execute(client, "CLUSTER", "NODES")).splitlines()]
