"""A chaos run's system on a cluster: nodes behind lossy links, and the processes of each partition.

Every program reaches the nodes by their Unix sockets, which nothing delays or cuts. What the nodes
write to each other goes over the links.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import redis
from redis.crc import key_slot
from redis.exceptions import RedisError

from mm.archive import archive_name
from mm.host import DataDir, ManagedCluster, Shape, System, port_of
from mm.interrupts import Stop
from mm.lab.chaos.check import Sender
from mm.lab.chaos.harmed import HarmedSystem, chaos_config
from mm.lab.chaos.leases import LeaseWatch
from mm.lab.chaos.links import LinkControl
from mm.market import parts
from mm.store import Node, Scripts, execute, open_client, partitions_of, text

#: Orders a second of each publisher; there is one in each partition.
RATE = 40
#: Seconds from one node to another, and as long back.
DELAY_S = 0.01
#: What runs in each partition, and once for all.
OF_PARTITION = ("exchange", "state", "maker", "archivist", "publisher")
OF_ALL = ("balancer-1", "balancer-2")
#: Quotes of all partitions want more than this at once.
UNITS_OF_PARTITION = 20


class NodesSystem(HarmedSystem[ManagedCluster]):
    """Partitions on a cluster of this ``shape``.

    Without ``finality`` the programs take what one node says for final: nothing waits for replicas.
    """

    fails_over = True

    def __init__(
        self,
        binary: Path,
        shape: Shape,
        finality: bool,
        seed: int,
        pulse: Callable[[], None],
        stop: Stop,
    ) -> None:
        self.shape = shape
        self._seed = seed
        self._links: LinkControl | None = None
        self._watch: LeaseWatch | None = None
        self._ports: list[int] = []
        self._own: list[int] = []
        #: The nodes that no other hears now.
        self._mute: set[int] = set()

        def make(data_dir: DataDir) -> ManagedCluster:
            clients = tuple(f"publisher-{number}.1" for number in range(shape.partitions))
            cluster = ManagedCluster(data_dir, shape, binary, self.notes.append, stop, clients)
            self._ports = [cluster.port(node) for node in range(shape.nodes)]
            for node in range(shape.nodes):
                place = data_dir.nodes / str(node + 1) / "own"
                place.mkdir()
                self._own.append(port_of(place, {*self._ports, *self._own}))
            cluster.put_behind(self._own)
            return cluster

        super().__init__(make, pulse, stop)
        self.config = replace(
            chaos_config(),
            limit_units=UNITS_OF_PARTITION * shape.partitions,
            partitions=shape.partitions,
            replicas=shape.replicas if finality else 0,
        )

    def open(self) -> None:
        """Start everything; returns when the processes are started."""
        log = self.data_dir.logs / "links.out"
        self._links = LinkControl(self._ports, self._own, DELAY_S, log)
        self.start(self.config)
        if self.shape.replicas:
            self._watch = LeaseWatch(self.data_dir.url, self.shape.replicas)
            self._watch.start()
        system = System(self.data_dir, None, self.keys, None)
        for name in OF_ALL:
            self.add_process(name, system.options(), (), 0, 0)
        for number, part in enumerate(parts(self.config)):
            options = replace(system, keys=self.keys.partition(number)).options()
            for kind in OF_PARTITION:
                seed = self._seed + number
                self.add_process(f"{kind}-{number}.1", options, part.symbols, RATE, seed)

    def tend(self) -> None:
        """Restart the nodes that have died."""
        self.server.tick()

    @property
    def books(self) -> Sequence[tuple[Scripts, Mapping[str, Sender]]]:
        """Each partition with its publishers."""
        found = []
        for number, scripts in enumerate(partitions_of(self.scripts)):
            begin = f"publisher-{number}."
            own = {name: one for name, one in self.senders.items() if name.startswith(begin)}
            found.append((scripts, own))
        return found

    @property
    def archives(self) -> Mapping[str, tuple[Path, Scripts]]:
        """Each partition's, of its one archivist."""
        return {
            f"archivist-{number}.1": (
                self.data_dir.path / archive_name(number),
                self.scripts.over(self.keys.partition(number)),
            )
            for number in range(self.shape.partitions)
        }

    @property
    def server_starts(self) -> int:
        """Starts of nodes so far."""
        return self.shape.nodes + sum(nurse.restarts for nurse in self.server.nurses)

    @property
    def killed_starting(self) -> int:
        """None is killed while it starts."""
        return 0

    def why_not_whole(self) -> str:
        """A replica that does not follow, or units on their way; empty when all is in place."""
        nodes = self.nodes()
        for number in range(self.shape.partitions):
            owner, followers = self.roles(number, nodes)
            if owner is None or len(followers) < self.shape.replicas:
                return f"partition {number} has {len(followers)} replicas"
            with self.client_of(owner) as client:
                info = client.info("replication")
            linked = [info.get(f"slave{follower}", {}) for follower in range(self.shape.nodes)]
            if sum(one.get("state") == "online" for one in linked) < self.shape.replicas:
                return f"a replica of partition {number} does not follow"
        return self._watch.why_not_settled() if self._watch is not None else ""

    def violations(self) -> list[str]:
        """What the watch over the leases has found since the last call."""
        return self._watch.take_violations() if self._watch is not None else []

    @property
    def readings(self) -> tuple[int, int]:
        """How often the leases were read, and how many of these were exact."""
        return (self._watch.readings, self._watch.exact) if self._watch is not None else (0, 0)

    # nodes

    def nodes(self) -> list[Node]:
        """All nodes as one sees them that runs and has a majority; none when no node answers."""
        for node, server in enumerate(self.server.servers):
            if server.running and node not in self._mute:
                with contextlib.suppress(RedisError, OSError):
                    return self.server.nodes_seen_by(node)
        return []

    def roles(self, partition: int, nodes: Sequence[Node]) -> tuple[int | None, list[int]]:
        """The number of the node that owns the partition, and those of its replicas."""
        slot = key_slot(self.keys.partition(partition).prefix.encode())
        owners = [one for one in nodes if one.has(slot)]
        if not owners:
            return None, []
        followers = [one for one in nodes if one.primary_id == owners[0].node_id]
        alive = [self._ports.index(one.port) for one in followers if one.state == "up"]
        return self._ports.index(owners[0].port), alive

    @contextlib.contextmanager
    def client_of(self, node: int) -> Iterator[redis.Redis]:
        """A client of one node."""
        client = open_client(self.server.servers[node].url, 2.0)
        try:
            yield client
        finally:
            client.close()

    def pid_of(self, node: int) -> int | None:
        """The pid of a node's server, None when it does not run."""
        process = self.server.servers[node].process
        return process.pid if process is not None and process.poll() is None else None

    def kill_node(self, node: int) -> None:
        """Kill a node, and lose what it has written to others that is still under way."""
        assert self._links is not None
        self._links.lose(node)
        self.server.servers[node].kill()

    def lose(self, node: int) -> None:
        """Cut the connections of a node with what is under way; they may connect again."""
        assert self._links is not None
        self._links.lose(node)

    def isolate(self, node: int) -> None:
        """Cut a node off from all others until it is rejoined."""
        assert self._links is not None
        self._mute.add(node)
        self._links.isolate(node)

    def rejoin(self, node: int) -> None:
        """Let a node and the others connect again."""
        assert self._links is not None
        self._links.rejoin(node)
        self._mute.discard(node)

    def stop_node(self, node: int) -> None:
        """Stop a node with SIGSTOP."""
        if (pid := self.pid_of(node)) is not None:
            self._mute.add(node)
            self.freeze([pid])

    def wake_node(self, node: int) -> None:
        """Let a node go on with SIGCONT."""
        if (pid := self.pid_of(node)) is not None:
            self.thaw([pid])
        self._mute.discard(node)

    def move(self, partition: int, source: int, target: int) -> None:
        """Have the engine move the partition's slot to another node; errors are raised."""
        slot = key_slot(self.keys.partition(partition).prefix.encode())
        with self.client_of(target) as client:
            node_id = text(execute(client, "CLUSTER", "MYID"))
        with self.client_of(source) as client:
            execute(client, "CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", node_id)

    def freeze(self, pids: Iterable[int]) -> None:
        """Stop them with SIGSTOP."""
        # The links must know of them first: this program may be killed in between.
        if self._links is not None:
            self._links.stopped(sorted({*self._stopped, *pids}))
        super().freeze(pids)

    def thaw(self, pids: Iterable[int]) -> None:
        """Let them go on with SIGCONT."""
        super().thaw(pids)
        if self._links is not None:
            self._links.stopped(sorted(self._stopped))

    def close(self, keep: bool = False) -> None:
        """Kill every process at once and remove the directory, unless ``keep`` is set."""
        if self._watch is not None:
            self._watch.stop()
        self.kill_server()
        if self._links is not None:
            self._links.close()
        super().close(keep)
