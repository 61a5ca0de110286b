"""Servers that somebody else runs: a cluster, and a primary that Sentinels watch over."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import RedisError

from mm.errors import SystemRefused
from mm.host import DataDir, ManagedCluster, ManagedServer, Shape
from mm.market import Order
from mm.orders import OrderClient
from mm.store import (
    ADMIN,
    Keys,
    Scripts,
    create_system,
    execute,
    open_client,
    read_secret,
    take_snapshot,
)
from tests.kit import SERVERS, binary_or_skip, free_port, short_directory, small_config, wait_for
from tests.kit.commands import run_mm
from tests.kit.running import RunningSystem

pytestmark = [pytest.mark.server, pytest.mark.slow]


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningSystem]:
    """The `mm up` that uses the servers; the URL is in its environment."""
    system = RunningSystem()
    yield system
    system.close()


def status(*words: str) -> dict[str, Any]:
    """What `mm status` says of the system that MM_REDIS_URL names; empty when it can't."""
    done = run_mm("status", "--json", *words)
    found: dict[str, Any] = json.loads(done.stdout) if done.returncode == 0 else {}
    return found


def trades_on() -> None:
    """Wait until more fills are committed than now."""
    before = wait_for("an answer", lambda: status().get("fills_committed"), 40)
    wait_for("more fills", lambda: status().get("fills_committed", 0) > before, 40)


class Cluster:
    """A cluster of somebody else, reached over TCP."""

    def __init__(self, directory: Path, server: str, shape: Shape) -> None:
        data_dir = DataDir(directory)
        data_dir.prepare()
        self.nodes = ManagedCluster(data_dir, shape, binary_or_skip(server))
        self.nodes.start()
        secret = read_secret(data_dir.secrets / ADMIN)
        hosts = ",".join(f"127.0.0.1:{self.nodes.port(node)}" for node in range(2))
        self.url = f"redis+cluster://{ADMIN}:{secret}@{hosts}"


@pytest.fixture
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """Two partitions can be on it, each with a replica."""
    with short_directory() as directory:
        made = Cluster(directory / "d", request.param, Shape(2, 1))
        yield made
        made.nodes.stop()


@pytest.mark.parametrize("cluster", ["valkey", "redis"], indirect=True)
def test_a_cluster_of_somebody_else(
    running: RunningSystem, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every command works over it, a primary may die, and what is final survives."""
    monkeypatch.setenv("MM_REDIS_URL", cluster.url)
    running.start(
        *("--redis-url", cluster.url, "--partitions", "2", "--replicas", "1"), trading=False
    )
    trades_on()
    client = OrderClient(open_client(cluster.url), Keys(), "by-hand")
    for name in ("AAPL", "MSFT"):
        report = client.submit(Order("by-hand", f"o-{name}", name, "buy", 1, 100), 20)
        assert report.status == "canceled"
    client.close()
    for words in (("audit",), ("positions",), ("explain", "MSFT"), ("halt", "AAPL", "--why", "x")):
        assert run_mm(*words).returncode == 0, words
    assert run_mm("resume", "AAPL").returncode == 0
    cluster.nodes.servers[0].kill()
    wait_for("a new primary", lambda: promoted(cluster.nodes), 20)
    trades_on()
    code, said = running.stop()
    assert (code, "audit: ok" in said, "unanswered 0" in said) == (0, True, True), said
    again = run_mm("up", "--headless", "--replicas", "0", "--duration", "1")
    assert (again.returncode, "replicas stored 1 given 0" in again.stderr) == (1, True), again


def promoted(nodes: ManagedCluster) -> bool:
    """Whether the replica of the dead node has taken over; the node comes back then."""
    nodes.tick()
    found = nodes.nodes_seen_by(1)
    (dead,) = (one for one in found if one.port == nodes.port(0))
    return not dead.slots and nodes.servers[0].running and bool(dead.primary_id)


@pytest.mark.parametrize("cluster", ["valkey"], indirect=True)
def test_more_replicas_than_there_are(cluster: Cluster) -> None:
    """A system whose reports could never be final is not made."""
    scripts = Scripts(open_client(cluster.url), Keys())
    with pytest.raises(SystemRefused, match="replicas 2: the valkey there has 1 now"):
        create_system(scripts, small_config(4, partitions=2, replicas=2))
    for number in range(3):
        node = open_client(cluster.nodes.servers[number].url)
        assert node.dbsize() == 0


@pytest.mark.parametrize("cluster", ["valkey"], indirect=True)
def test_a_plain_url_of_a_node_of_a_cluster(cluster: Cluster) -> None:
    """It is refused, and the right form is named, for the node has some of the keys at most."""
    secret = cluster.url.partition(":")[2].partition("@")[0].rpartition(":")[2]
    for node in range(2):
        url = f"redis://{ADMIN}:{secret}@127.0.0.1:{cluster.nodes.port(node)}"
        done = run_mm(
            "up", "--headless", "--duration", "1", "--redis-url", url, "--partitions", "2"
        )
        assert (done.returncode, "redis+cluster://" in done.stderr) == (1, True), done.stderr
        assert secret not in done.stderr


class Watched:
    """A primary and a replica that a Sentinel watches over."""

    def __init__(self, directory: Path, binary: Path) -> None:
        self._binary = binary
        self._directory = directory
        self.ports = [free_port() for _ in range(3)]
        self.servers: dict[int, subprocess.Popen[bytes]] = {}
        for number in range(2):
            self.start(number)
        primary, replica, sentinel = self.ports
        wait_for("the servers", lambda: all(map(self.answers, self.ports[:2])), 20)
        execute(self.client(replica), "REPLICAOF", "127.0.0.1", primary)
        conf = directory / "sentinel.conf"
        conf.write_text(
            f"port {sentinel}\nbind 127.0.0.1\ndir {directory}\n"
            f"sentinel monitor main 127.0.0.1 {primary} 1\n"
            "sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 2000\n"
        )
        self.servers[2] = self._run(conf, "--sentinel")
        self.url = f"redis+sentinel://127.0.0.1:{sentinel}/main"
        wait_for("the Sentinel", lambda: self.answers(sentinel), 20)
        wait_for("the replica", lambda: self.known_replicas(sentinel) == 1, 30)

    def start(self, number: int) -> None:
        """Start a server, as a primary."""
        place = self._directory / str(number)
        place.mkdir(exist_ok=True)
        conf = place / "server.conf"
        conf.write_text(
            f'port {self.ports[number]}\nbind 127.0.0.1\ndir {place}\nappendonly yes\nsave ""\n'
            "appendfsync always\nrepl-diskless-sync-delay 0\n"
        )
        self.servers[number] = self._run(conf)

    def _run(self, *words: Any) -> subprocess.Popen[bytes]:
        with (self._directory / "out").open("ab") as out:
            return subprocess.Popen([self._binary, *words], stdout=out, stderr=out)

    def client(self, port: int) -> Any:
        """A client of one of them."""
        return open_client(f"redis://127.0.0.1:{port}", 2.0)

    def answers(self, port: int) -> bool:
        """Whether a server answers there."""
        try:
            return bool(execute(self.client(port), "INFO"))
        except (RedisError, OSError):
            return False

    def known_replicas(self, sentinel: int) -> int:
        """How many replicas the Sentinel knows that follow."""
        found = execute(self.client(sentinel), "SENTINEL", "REPLICAS", "main")
        return sum(b"master-link-status" in one and b"ok" in one for one in found)

    def close(self) -> None:
        """End all."""
        for process in self.servers.values():
            process.kill()
            process.wait()


@SERVERS
def test_sentinels_name_the_primary(
    running: RunningSystem, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The primary dies, the Sentinel promotes the replica, all follow; nothing final is lost."""
    with short_directory() as directory:
        watched = Watched(directory, binary_or_skip(server))
        try:
            monkeypatch.setenv("MM_REDIS_URL", watched.url)
            running.start("--redis-url", watched.url, "--replicas", "1", trading=False)
            trades_on()
            watched.servers[0].kill()
            watched.servers[0].wait()
            wait_for("the promotion", lambda: primary_of(watched) == watched.ports[1], 30)
            watched.start(0)
            trades_on()
            code, said = running.stop()
            assert (code, "audit: ok" in said, "unanswered 0" in said) == (0, True, True), said
        finally:
            watched.close()


def primary_of(watched: Watched) -> int:
    """The port of the primary, as the Sentinel says."""
    client = watched.client(watched.ports[2])
    return int(execute(client, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main")[1])


@SERVERS
def test_a_service_that_hides_its_settings(running: RunningSystem, server: str) -> None:
    """It is used when an operator declares that it puts each acknowledged write on disk."""
    with short_directory() as directory:
        place = DataDir(directory / "d")
        place.prepare()
        service = ManagedServer(place, binary_or_skip(server))
        service.start()
        rules = ("on", ">pw", "~*", "&*", "+@all", "-config", "-cluster")
        execute(open_client(place.url), "ACL", "SETUSER", "tenant", *rules)
        url = f"unix://tenant:pw@{place.socket}"
        try:
            refused = run_mm("up", "--headless", "--duration", "1", "--redis-url", url)
            assert refused.returncode == 1 and "--durability declared" in refused.stderr, refused
            running.start("--redis-url", url, "--durability", "declared", trading=False)
            scripts = Scripts(open_client(url), Keys())
            wait_for("fills", lambda: committed(scripts) > 5, 30)
            code, said = running.stop()
            assert (code, "audit: ok" in said) == (0, True), said
            assert "RELAXED" not in said and "UNKNOWN" not in said
        finally:
            service.stop()


def committed(scripts: Scripts) -> int:
    """How many fills are in the positions; 0 while there is no system."""
    try:
        return take_snapshot(scripts).cursors.state_records
    except (SystemRefused, RedisError):
        return 0
