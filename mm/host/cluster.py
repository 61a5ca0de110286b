"""The managed cluster: primaries, replicas and witnesses on this machine, on loopback.

Each node is a managed server in a directory of its own, ``nodes/1`` and so on, with the users and
secrets of the data directory. Programs of this machine reach it by its Unix socket. The nodes reach
each other on a port of 127.0.0.1, and 10,000 above it, which the cluster's own protocol needs. The
commands with which a cluster is made are those of the servers themselves.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import redis
from redis.exceptions import RedisError

from mm.errors import SystemRefused, shown_path
from mm.host.cluster_shape import (
    NodeListening,
    Shape,
    known_shape,
    port_of,
    shape_file,
    slots_of,
    source_of,
)
from mm.host.datadir import DataDir
from mm.host.nurse import ServerNurse
from mm.host.server import ManagedServer
from mm.host.state_file import write_state
from mm.host.users import make_secrets, server_users
from mm.interrupts import Stop
from mm.store import ADMIN, Keys, Node, execute, open_client, read_nodes, read_secret, text

#: Seconds that a replica may take to take over from a dead primary.
TAKEOVER_S = 5.0
#: Seconds that the nodes may take to form a cluster.
FORMING_S = 30.0


class ManagedCluster:
    """The nodes of one data directory, which the caller must have locked.

    ``say`` gets a line for people. ``clients`` are the order clients for which there are users.
    """

    def __init__(
        self,
        data_dir: DataDir,
        shape: Shape,
        binary: Path | None = None,
        say: Callable[[str], None] = lambda text: None,
        stop: Stop | None = None,
        clients: tuple[str, ...] = (),
    ) -> None:
        self.data_dir = data_dir
        self.shape = self._known_shape(shape)
        self._say = say
        self._stop = stop or Stop()
        self._keys = Keys()
        make_secrets(data_dir.secrets, [*server_users(), *clients])
        secret = read_secret(data_dir.secrets / ADMIN)
        self.servers: list[ManagedServer] = []
        taken: set[int] = set()
        for number in range(1, self.shape.nodes + 1):
            place = DataDir(data_dir.nodes / str(number))
            place.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            place.logs.mkdir(exist_ok=True)
            with contextlib.suppress(FileExistsError):
                place.secrets.symlink_to(Path("..") / ".." / "secrets")
            port = port_of(place.path, taken)
            taken.add(port)
            server = ManagedServer(place, binary, self._saying(number), self._stop)
            server.clients = clients
            server.listening = NodeListening(port, secret)
            self.servers.append(server)
        #: When a node was seen to be dead and when to be back, and dead ones not waited for.
        self._died: dict[int, float] = {}
        self._released: set[int] = set()
        self._came: dict[int, float] = {}
        self.nurses = [
            ServerNurse(server, self._saying(number))
            for number, server in enumerate(self.servers, 1)
        ]

    def put_behind(self, own: Sequence[int]) -> None:
        """Before the start: let each node listen on a port of its own.

        The others reach it on the known one, which somebody must forward, and its bus likewise.
        """
        for node, (server, port) in enumerate(zip(self.servers, own, strict=True)):
            assert isinstance(server.listening, NodeListening)
            server.listening = server.listening.behind(port, source_of(node))

    @property
    def server(self) -> ManagedCluster:
        """What is kept running: the cluster itself."""
        return self

    def _known_shape(self, wanted: Shape) -> Shape:
        """The shape that the directory has, or the wanted one for a new directory."""
        found = known_shape(self.data_dir)
        if found is None:
            if self.data_dir.socket.parent.joinpath("made-by").exists():
                raise SystemRefused(
                    f"{self.data_dir}: it has the data of a single server, which --replicas does"
                    " not make a cluster. Use another --data-dir."
                )
            self.data_dir.nodes.mkdir(mode=0o700, exist_ok=True)
            write_state(shape_file(self.data_dir), wanted.text())
            return wanted
        if found != wanted:
            raise SystemRefused(
                f"{self.data_dir}: it has a cluster of {found.partitions} partitions with"
                f" {found.replicas} replicas each, which does not change. Leave --partitions and"
                " --replicas out, or use another --data-dir."
            )
        return found

    def _saying(self, number: int) -> Callable[[str], None]:
        def say(words: str) -> None:
            self._say(f"node {number}: {words}")

        return say

    def start(self) -> None:
        """Start all nodes, and make them a cluster where they are none yet."""
        try:
            for server in self.servers:
                server.start()
            if not self._is_formed():
                self._form()
            self._await_formed()
        except BaseException:
            self.stop()
            raise

    def kill(self) -> None:
        """Kill all nodes as a crash would."""
        for server in self.servers:
            server.kill()

    def stop(self) -> None:
        """Stop all nodes in order; the replicas first, so that none takes over."""
        for server in reversed(self.servers):
            server.stop()

    def tick(self) -> None:
        """Restart the nodes that have died, a primary when its replica has taken over."""
        now = time.monotonic()
        for node, server in enumerate(self.servers):
            if not server.running:
                self._died.setdefault(node, now)
            elif self._died.pop(node, None) is not None:
                self._released.discard(node)
                self._came[node] = now
        for node, nurse in enumerate(self.nurses):
            if not self._is_held(node):
                nurse.tick()

    def _is_held(self, node: int) -> bool:
        """Whether a dead node is still waited for: its replica takes over sooner without it.

        A restarted primary serves nothing for seconds, until it knows that it still is one.
        """
        died = self._died.get(node)
        if died is None or node in self._released:
            return False
        if time.monotonic() < died + TAKEOVER_S and self._has_heir(node, died):
            return True
        self._released.add(node)
        return False

    def _has_heir(self, node: int, died: float) -> bool:
        """Whether another node can take over what the node still owns, which died at that time.

        That is a replica that has followed it up to then, while a majority is there to elect it.
        """
        alive = [
            other
            for other, server in enumerate(self.servers)
            if server.running and self._came.get(other, 0.0) < died
        ]
        ports = {self.port(other) for other in alive}
        for other in alive:
            with contextlib.suppress(RedisError, OSError):
                return _has_heir(self.nodes_seen_by(other), self.port(node), ports)
        return False

    @property
    def unclean(self) -> bool:
        """Whether a node had not been stopped in order; setting it to False says it was audited."""
        return any(server.unclean for server in self.servers)

    @unclean.setter
    def unclean(self, value: bool) -> None:
        for server in self.servers:
            server.unclean = value

    @contextlib.contextmanager
    def _client(self, node: int) -> Iterator[redis.Redis]:
        client = open_client(self.servers[node].url, 2.0)
        try:
            yield client
        finally:
            client.close()

    def _call(self, node: int, *words: str | int) -> Any:
        with self._client(node) as client:
            return execute(client, *words)

    def _is_formed(self) -> bool:
        return len(self.nodes_seen_by(0)) >= self.shape.nodes

    def nodes_seen_by(self, node: int) -> list[Node]:
        """All nodes, as the node with this number, from 0, sees them; its errors are raised."""
        with self._client(node) as client:
            return read_nodes(client)

    def _form(self) -> None:
        """Give the primaries their slots, let all meet, and make the others replicas."""
        shape = self.shape
        with self._forming():
            for node, ranges in enumerate(slots_of(shape, self._keys)):
                self._call(node, "CLUSTER", "ADDSLOTSRANGE", *ranges)
            for node in range(shape.nodes):
                self._call(node, "CLUSTER", "SET-CONFIG-EPOCH", node + 1)
            for node in range(1, shape.nodes):
                self._call(0, "CLUSTER", "MEET", "127.0.0.1", self.port(node))
        ids = [text(self._call(node, "CLUSTER", "MYID")) for node in range(shape.nodes)]
        for node in range(shape.primaries, shape.nodes):
            primary = shape.primary_of(node)
            assert primary is not None
            self._until("a replica knows its primary", partial(self._knows, node, ids[primary]))
            self._call(node, "CLUSTER", "REPLICATE", ids[primary])

    def _knows(self, node: int, other: str) -> bool:
        return any(one.node_id == other for one in self.nodes_seen_by(node))

    @contextlib.contextmanager
    def _forming(self) -> Iterator[None]:
        try:
            yield
        except RedisError as error:
            raise SystemRefused(
                f"{self.data_dir}: its nodes do not form a cluster: {error}. Begin anew with"
                " another --data-dir."
            ) from error

    def port(self, node: int) -> int:
        """The port on which the others reach the node with this number, from 0."""
        listening = self.servers[node].listening
        assert listening is not None
        return listening.port

    def _await_formed(self) -> None:
        def formed() -> bool:
            for node in range(self.shape.nodes):
                found = text(self._call(node, "CLUSTER", "INFO"))
                known = re.search(r"cluster_known_nodes:(\d+)", found)
                if "cluster_state:ok" not in found or known is None:
                    return False
                if int(known[1]) < self.shape.nodes:
                    return False
            return all(self._is_linked(node) for node in range(self.shape.nodes))

        self._until("the nodes form a cluster", formed)

    def _is_linked(self, node: int) -> bool:
        with self._client(node) as client:
            found = client.info("replication")
        return bool(found["role"] != "slave" or found["master_link_status"] == "up")

    def _until(self, what: str, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + FORMING_S
        while True:
            self._stop.check()
            with contextlib.suppress(RedisError):
                if holds():
                    return
            if time.monotonic() > deadline:
                raise SystemRefused(
                    f"{self.data_dir}: waited {FORMING_S:.0f} s in vain until {what}. See"
                    f" {shown_path(self.data_dir.nodes)}"
                )
            time.sleep(0.05)


def _has_heir(nodes: list[Node], port: int, alive: set[int]) -> bool:
    """Whether the node of the port owns slots, and a node of the ``alive`` ports may take over."""
    owners = [one for one in nodes if one.slots]
    if 2 * sum(one.port in alive for one in owners) <= len(owners):
        return False
    gone = {one.node_id for one in owners if one.port == port}
    return any(one.primary_id in gone and one.port in alive for one in nodes)
