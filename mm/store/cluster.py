"""Connections to a cluster: each finds the node that has the slot of its keys now.

A cluster (Valkey Cluster, Redis Cluster) spreads 16,384 slots over its nodes. All keys of one hash
tag lie in one slot. A connection is for one tag. It asks any node for the owner of the slot when it
connects, and is lost when the node says that the slot is elsewhere now (``MOVED``). So the process
that uses it tries again as after any lost connection, and comes to the new owner.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import redis
from redis.crc import key_slot
from redis.exceptions import (
    AskError,
    ClusterDownError,
    MasterDownError,
    MovedError,
    ReadOnlyError,
    RedisError,
)

#: The scheme of the URL of a local cluster: what follows is the directory of its nodes.
CLUSTER_SCHEME = "cluster"
SOCKET_NAME, PORT_NAME = "redis.sock", "port"
#: Seconds that a look at a node may take.
LOOK_S = 0.5
#: What a node says that does not serve the slot, now or at all.
_ELSEWHERE = (MovedError, AskError, ClusterDownError, MasterDownError, ReadOnlyError)


class LocalNodes:
    """The nodes of a cluster on this machine: a directory for each, with its socket and its port.

    ``settings`` are those with which to log in.
    """

    def __init__(self, directory: Path, settings: dict[str, Any]) -> None:
        self.directory = directory
        self._settings = settings
        self._first = 0

    def paths(self) -> dict[int, Path]:
        """The socket of each node by its port."""
        found = {}
        for place in sorted(self.directory.iterdir()):
            with contextlib.suppress(OSError, ValueError):
                found[int((place / PORT_NAME).read_text())] = place / SOCKET_NAME
        return found

    def owner(self, slot: int) -> Path:
        """The socket of the node that owns the slot; ConnectionError when no node says."""
        paths = self.paths()
        every = list(paths.values())
        # The next look begins at another node: this one may be the one that is cut off.
        self._first += 1
        turn = self._first % max(len(every), 1)
        for path in every[turn:] + every[:turn]:
            with contextlib.suppress(RedisError, OSError):
                for first, last, owner, *_ in self._slots(path):
                    if first <= slot <= last and int(owner[1]) in paths:
                        return paths[int(owner[1])]
        raise redis.exceptions.ConnectionError(f"no node of the cluster has the slot {slot} now")

    def _slots(self, path: Path) -> Iterator[Any]:
        connect: Any = redis.UnixDomainSocketConnection
        connection = connect(
            path=str(path),
            socket_timeout=LOOK_S,
            socket_connect_timeout=LOOK_S,
            protocol=2,
            **self._settings,
        )
        try:
            connection.send_command("CLUSTER", "SLOTS")
            yield from connection.read_response()
        finally:
            connection.disconnect()


class NodeConnection(redis.UnixDomainSocketConnection):
    """A connection to whichever local node owns the slot of a hash tag."""

    def __init__(self, nodes: LocalNodes, tag: str, **settings: Any) -> None:
        super().__init__(path="", **settings)  # type: ignore[no-untyped-call]  # redis-py
        self._nodes = nodes
        self._slot = key_slot(tag.encode())

    def _connect(self) -> Any:
        self.path = str(self._nodes.owner(self._slot))
        return super()._connect()  # type: ignore[no-untyped-call]  # redis-py

    def read_response(self, *words: Any, **options: Any) -> Any:
        """The next reply; the connection is lost when the slot is elsewhere."""
        try:
            return super().read_response(*words, **options)
        except _ELSEWHERE as error:
            self.disconnect()  # type: ignore[no-untyped-call]  # redis-py
            raise redis.exceptions.ConnectionError(f"the slot has moved: {error}") from error


def cluster_client(directory: Path, tag: str, settings: dict[str, Any]) -> redis.Redis:
    """A client of the local cluster in a directory for the keys of one hash tag.

    ``settings`` are those of each connection; replies stay bytes.
    """
    names = {"username", "password"} & settings.keys()
    login: dict[str, Any] = {name: settings[name] for name in names}
    pool = redis.ConnectionPool(
        connection_class=NodeConnection,
        nodes=LocalNodes(directory, login),
        tag=tag,
        **settings,
    )
    return redis.Redis(connection_pool=pool)


def over_tag(client: redis.Redis, tag: str) -> redis.Redis:
    """A client for the keys of another hash tag: another one on a cluster, else the same."""
    pool = client.connection_pool
    if not issubclass(pool.connection_class, NodeConnection):
        return client
    if pool.connection_kwargs["tag"] == tag:
        return client
    settings = pool.connection_kwargs | {"tag": tag}
    made = redis.ConnectionPool(connection_class=NodeConnection, **settings)
    return redis.Redis(connection_pool=made)
