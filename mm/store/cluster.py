"""Connections that find their server again: the owner of a slot, or the primary of a service.

A cluster (Valkey Cluster, Redis Cluster) spreads 16,384 slots over its nodes. All keys of one hash
tag lie in one slot. A connection is for one tag. It asks any node for the owner of the slot when it
connects, and is lost when the node says that the slot is elsewhere now (``MOVED``). So the process
that uses it tries again as after any lost connection, and comes to the new owner. With Sentinels it
asks one of them for the primary, and is lost when the server says that it is none (``READONLY``).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

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

T = TypeVar("T")
#: Where a node listens: the settings of a connection to it.
Place = dict[str, Any]


class Nodes(Protocol):
    """What knows the nodes. ``clients`` are those that follow each hash tag with its help."""

    clients: dict[str, redis.Redis]

    def owner(self, slot: int) -> Place:
        """Where the owner of the slot is now; ConnectionError when nobody says."""


class LocalNodes:
    """The nodes of a cluster on this machine: a directory for each, with its socket and its port.

    ``settings`` are those with which to log in.
    """

    def __init__(self, directory: Path, settings: dict[str, Any]) -> None:
        self.clients: dict[str, redis.Redis] = {}
        self.directory = directory
        self._settings = settings
        self._turn = Turn()

    def owner(self, slot: int) -> Place:
        """The socket of the node that owns the slot."""
        paths = self._paths()
        for path in self._turn.of(list(paths.values())):
            asked: Any = redis.UnixDomainSocketConnection
            look = {"path": str(path), **self._settings}
            for _, port in owners_of(slot, asked, look):
                if port in paths:
                    return {"path": str(paths[port])}
        raise nobody(f"no node of the cluster has the slot {slot} now")

    def _paths(self) -> dict[int, Path]:
        """The socket of each node by its port."""
        found = {}
        for place in sorted(self.directory.iterdir()):
            with contextlib.suppress(OSError, ValueError):
                found[int((place / PORT_NAME).read_text())] = place / SOCKET_NAME
        return found


class RemoteNodes:
    """The nodes of a cluster that are reached by their addresses.

    ``seeds`` are the ones to ask first, as host and port. ``connection_class`` is that of the
    connections and ``settings`` are theirs: those with which to log in, and for TLS.
    """

    def __init__(
        self, seeds: Sequence[tuple[str, int]], connection_class: Any, settings: dict[str, Any]
    ) -> None:
        self.clients: dict[str, redis.Redis] = {}
        self._known = list(dict.fromkeys(seeds))
        self._class = connection_class
        self._settings = settings
        self._turn = Turn()

    def owner(self, slot: int) -> Place:
        """The address of the node that owns the slot."""
        for host, port in self._turn.of(self._known):
            look = {"host": host, "port": port, **self._settings}
            for name, number in owners_of(slot, self._class, look):
                # A node that does not know its own address leaves it out.
                found = (name or host, number)
                if found not in self._known:
                    self._known.append(found)
                return {"host": found[0], "port": found[1]}
        raise nobody(f"no node of the cluster has the slot {slot} now")


class Sentinels:
    """The Sentinels that watch over one primary and its replicas, named ``service``.

    The other arguments are those of :class:`RemoteNodes`; ``settings`` are those of the Sentinels.
    """

    def __init__(
        self,
        seeds: Sequence[tuple[str, int]],
        service: str,
        connection_class: Any,
        settings: dict[str, Any],
    ) -> None:
        self.clients: dict[str, redis.Redis] = {}
        self._seeds = list(seeds)
        self._service = service
        self._class = connection_class
        self._settings = settings
        self._turn = Turn()

    def owner(self, slot: int) -> Place:
        """The address of the primary, whatever the slot."""
        words = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._service)
        for host, port in self._turn.of(self._seeds):
            look = {"host": host, "port": port, **self._settings}
            with contextlib.suppress(RedisError, OSError):
                if found := ask(self._class, look, *words):
                    return {"host": found[0].decode(), "port": int(found[1])}
        raise nobody(f"no Sentinel knows a primary of {self._service} now")


class Turn:
    """Whom to ask first: another one at each look, for the last one may be cut off."""

    def __init__(self) -> None:
        self._first = 0

    def of(self, every: Sequence[T]) -> list[T]:
        """All of them, beginning with the one whose turn it is."""
        self._first += 1
        turn = self._first % max(len(every), 1)
        return [*every[turn:], *every[:turn]]


def nobody(words: str) -> redis.exceptions.ConnectionError:
    """The error for a place that nobody names."""
    return redis.exceptions.ConnectionError(words)


def ask(connection_class: Any, settings: dict[str, Any], *words: str) -> Any:
    """The reply to one command over a connection of its own; its errors are raised."""
    connection = connection_class(
        socket_timeout=LOOK_S, socket_connect_timeout=LOOK_S, protocol=2, **settings
    )
    try:
        connection.send_command(*words)
        return connection.read_response()
    finally:
        connection.disconnect()


def owners_of(
    slot: int, connection_class: Any, settings: dict[str, Any]
) -> Iterator[tuple[str, int]]:
    """Host and port of the slot's owner, as one node says; nothing when it does not."""
    with contextlib.suppress(RedisError, OSError):
        for first, last, owner, *_ in ask(connection_class, settings, "CLUSTER", "SLOTS"):
            if first <= slot <= last:
                yield (owner[0] or b"").decode(), int(owner[1])


class Following:
    """A connection to whichever server has the slot of a hash tag now."""

    def __init__(self, nodes: Nodes, tag: str, **settings: Any) -> None:
        super().__init__(**settings)
        self._nodes = nodes
        self._slot = key_slot(tag.encode())

    def _connect(self) -> Any:
        for name, value in self._nodes.owner(self._slot).items():
            setattr(self, name, value)
        return super()._connect()  # type: ignore[misc]  # of the connection that this is mixed into

    def read_response(self, *words: Any, **options: Any) -> Any:
        """The next reply; the connection is lost when the slot is elsewhere."""
        try:
            return super().read_response(*words, **options)  # type: ignore[misc]  # as above
        except _ELSEWHERE as error:
            self.disconnect()  # type: ignore[attr-defined]  # as above
            raise redis.exceptions.ConnectionError(f"the slot has moved: {error}") from error


class LocalConnection(Following, redis.UnixDomainSocketConnection):
    """Over a Unix socket."""


class RemoteConnection(Following, redis.Connection):
    """Over TCP."""


class SecureConnection(Following, redis.SSLConnection):
    """Over TLS."""


def following_client(
    connection_class: type[Following], nodes: Nodes, tag: str, settings: dict[str, Any]
) -> redis.Redis:
    """A client that follows the keys of one hash tag; ``settings`` are those of a connection."""
    if tag not in nodes.clients:
        pool = redis.ConnectionPool(
            connection_class=connection_class, nodes=nodes, tag=tag, **settings
        )
        nodes.clients[tag] = redis.Redis(connection_pool=pool)
    return nodes.clients[tag]


def over_tag(client: redis.Redis, tag: str) -> redis.Redis:
    """A client for the keys of another hash tag: another one on a cluster, else the same."""
    pool = client.connection_pool
    if not issubclass(pool.connection_class, Following):
        return client
    settings = dict(pool.connection_kwargs)
    if settings.pop("tag") == tag:
        return client
    return following_client(pool.connection_class, settings.pop("nodes"), tag, settings)


def spreads(client: redis.Redis) -> bool:
    """Whether the keys of two hash tags may be on two servers."""
    return issubclass(client.connection_pool.connection_class, Following)
