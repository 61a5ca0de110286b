"""A managed cluster: failover while it trades, and what a final report is worth."""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.crc import key_slot
from redis.exceptions import RedisError

from mm.errors import MMError, ProposalRefused, SystemRefused, Unavailable
from mm.exchange import Exchange
from mm.host import DataDir, ManagedCluster, Shape, port_of
from mm.host.cluster_shape import SLOTS, slots_of
from mm.lab.chaos.links import LinkControl
from mm.market import Order, Prices, Proposal
from mm.orders import PartitionClient
from mm.store import Keys, Scripts, create_system, execute, open_client, take_snapshot, text
from tests.kit import SERVERS, binary_or_skip, short_directory, small_config, wait_for
from tests.kit.commands import run_mm
from tests.kit.running import RunningSystem


@pytest.mark.parametrize("shape", [Shape(1, 1), Shape(2, 0), Shape(3, 1), Shape(7, 2)])
def test_each_slot_has_one_owner(shape: Shape) -> None:
    """All slots are given out once, and each partition is at a primary of its own."""
    owners: dict[int, int] = {}
    for node, ranges in enumerate(slots_of(shape, Keys())):
        assert ranges
        for first, last in zip(ranges[::2], ranges[1::2], strict=True):
            for slot in range(first, last + 1):
                assert slot not in owners
                owners[slot] = node
    assert len(owners) == SLOTS
    homes = [owners[key_slot(Keys().partition(n).prefix.encode())] for n in range(shape.partitions)]
    assert len(set(homes)) == shape.partitions
    assert shape.primaries >= 3


def test_replicas_go_by_their_primaries() -> None:
    """The first nodes are primaries; witnesses have no replica."""
    shape = Shape(2, 2)
    assert shape.nodes == 7
    assert [shape.primary_of(node) for node in range(7)] == [None, None, None, 0, 0, 1, 1]


@pytest.fixture
def running() -> Iterator[RunningSystem]:
    """A data directory, and what runs on it."""
    system = RunningSystem()
    yield system
    system.close()


def node_pid(system: RunningSystem, number: int) -> int:
    """The pid of a node's server, as its file says; 0 without one."""
    path = system.data_dir / "nodes" / str(number) / "server.pid"
    return int(path.read_text() or 0) if path.exists() else 0


@pytest.mark.server
@pytest.mark.slow
@SERVERS
def test_nodes_die_while_it_trades(running: RunningSystem, server: str) -> None:
    """A primary, its follower and a witness are killed: trading goes on, the audit is clean."""
    program = ["--server", str(binary_or_skip(server))]
    running.start("--partitions", "2", "--replicas", "1", *program)
    for number in (1, 4, 3):
        killed = node_pid(running, number)
        os.kill(killed, signal.SIGKILL)
        wait_for("the node", lambda: node_pid(running, number) != killed, 30)  # noqa: B023  # it is called within the turn
        wait_for("an answer", running.status, 30)
        running.trades_on(30)
    code, said = running.stop()
    assert code == 0, said
    assert "audit: ok" in said
    done = run_mm("up", "--headless", "--replicas", "2", *program, data_dir=running.data_dir)
    assert done.returncode == 1
    assert "a cluster of 2 partitions with 1 replicas each" in done.stderr
    running.start(*program)
    code, said = running.stop()
    assert (code, "audit: ok" in said) == (0, True), said


@pytest.mark.server
@pytest.mark.slow
def test_a_partition_moves_while_it_trades(running: RunningSystem) -> None:
    """The engine moves its slot to another node; the processes follow, and nothing is lost."""
    program = ["--server", str(binary_or_skip("valkey"))]
    running.start("--partitions", "2", "--replicas", "0", *program)
    source, target = (
        open_client(DataDir(running.data_dir / "nodes" / number).url) for number in ("2", "3")
    )
    slot = key_slot(Keys().partition(1).prefix.encode())
    node = text(execute(target, "CLUSTER", "MYID"))
    assert target.dbsize() == 0
    execute(source, "CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", node)
    wait_for("the keys at the other node", lambda: target.dbsize() > 0 == source.dbsize(), 20)
    running.trades_on(30)
    code, said = running.stop()
    assert (code, "audit: ok" in said) == (0, True), said
    assert "unanswered 0" in said


#: Commands on a running cluster, each of which ends with status 0.
COMMANDS = [
    *[("status",), ("positions",), ("quotes",), ("exposure",), ("audit",), ("config", "show")],
    *[("explain", "MSFT"), ("order", "MSFT", "buy", "1", "500"), ("halt", "--all", "--why", "x")],
    *[("resume", "--all"), ("reduce", "NVDA", "--why", "x"), ("resume", "NVDA")],
    *[("acl", "publisher-77", "--add"), ("repair", "AAPL")],
]


@pytest.mark.server
@pytest.mark.slow
def test_every_command_on_a_cluster(running: RunningSystem) -> None:
    """Reading and changing commands work as on one server, wherever their keys are."""
    program = ["--server", str(binary_or_skip("valkey"))]
    running.start("--partitions", "3", "--replicas", "1", *program)
    for words in COMMANDS:
        if words[0] == "repair":
            run_mm("halt", "AAPL", "--why", "x", data_dir=running.data_dir)
            wait_for("all fills", lambda: repairable(running), 20)
        done = run_mm(*words, data_dir=running.data_dir)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    for node in (running.data_dir / "nodes").iterdir():
        # It has the secret with which the nodes log in to each other.
        assert stat.S_IMODE((node / "server.conf").stat().st_mode) == 0o600
    for place in DataDir(running.data_dir).served:
        assert execute(open_client(place), "ACL", "GETUSER", "publisher-77")
    run_mm("resume", "AAPL", data_dir=running.data_dir)
    running.trades_on(30)
    code, said = running.stop()
    assert (code, "audit: ok" in said) == (0, True), said


def repairable(running: RunningSystem) -> bool:
    """Whether the halted symbol's fills are all committed."""
    state = take_snapshot(running.scripts()).symbols["AAPL"]
    return state.position.position_version == state.fill_seq


class Market:
    """A cluster of one partition whose replica is behind a lossy link, and an exchange on it."""

    def __init__(self, directory: Path, delay_s: float) -> None:
        data_dir = DataDir(directory)
        data_dir.prepare()
        self.cluster = ManagedCluster(data_dir, Shape(1, 1))
        ports = [self.cluster.port(node) for node in range(self.cluster.shape.nodes)]
        own: list[int] = []
        for number in range(len(ports)):
            (directory / str(number)).mkdir()
            own.append(port_of(directory / str(number), {*ports, *own}))
        self.cluster.put_behind(own)
        self.links = LinkControl(ports, own, delay_s, directory / "links.out")
        self.url = data_dir.url
        self.cluster.start()
        config = small_config(1, 1_000, 1_000, replicas=1, of_symbol={"position_limit_lots": 5_000})
        create_system(self.scripts(), config)
        self.exchange = Exchange(lambda: open_client(self.url), Keys())
        self.exchange.open()

    def scripts(self) -> Scripts:
        """Scripts on a client of their own."""
        return Scripts(open_client(self.url), Keys())

    def client(self, name: str) -> PartitionClient:
        """An order client of its own."""
        return PartitionClient(open_client(self.url), Keys(), name)

    def fail_over(self) -> None:
        """What is on its way to the replica is lost, and so is the primary."""
        self.links.isolate(0)
        self.cluster.servers[0].kill()

    def close(self) -> None:
        """Stop the nodes."""
        self.exchange.close()
        self.cluster.kill()
        self.links.close()
        self.cluster.stop()


@pytest.fixture
def market() -> Iterator[Market]:
    """Such a market, 80 ms away from its replica."""
    with short_directory() as directory:
        found = Market(directory / "d", 0.08)
        yield found
        found.close()


def orders(client: str, first: int, count: int) -> list[Order]:
    """Orders that no quote meets; each has an outcome all the same."""
    return [Order(client, f"o{first + n}", "AAA", "buy", 1, 100) for n in range(count)]


@pytest.mark.server
@pytest.mark.slow
def test_what_is_final_survives(market: Market) -> None:
    """After a failover each final report is there; reports that were only read are lost."""
    careful, hasty = market.client("careful"), market.client("hasty")
    final: dict[str, str] = {}
    seen: dict[str, str] = {}
    hasty.poll()
    hasty.take_as_final()
    for turn in range(4):
        careful.send(orders("careful", 10 * turn, 10))
        market.exchange.step()
        wait_for("final reports", lambda: len(final) == 10 * turn + 10 or read(careful, final), 20)  # noqa: B023  # it is called within the turn
    hasty.send(orders("hasty", 0, 10))
    market.exchange.step()
    for report in hasty.poll():
        seen[report.order_id] = report.status
    assert len(seen) == 10
    proposal = asked(market.scripts())
    market.fail_over()
    market.exchange.close()
    wait_for("the promoted replica", lambda: opened(market.exchange), 20)
    scripts = market.scripts()
    # The versions are the same, but they are of another history.
    with pytest.raises(ProposalRefused, match="STALE_HISTORY AAA"):
        scripts.place(proposal)
    assert scripts.place(asked(scripts)).outcome == "granted"
    survived = {name: set(reports(scripts, name)) for name in ("careful", "hasty")}
    assert survived["careful"] == set(final)
    assert survived["hasty"] < set(seen), "the link lost nothing, so this shows nothing"
    # The careful client goes on: what was not final is decided anew, under the same ids.
    careful.reconnect(open_client(market.url))
    lost = orders("careful", 100, 5)
    with pytest.raises(Unavailable):
        for _ in range(3):
            careful.trade(lost)
            market.exchange.step()
            lost = []


def asked(scripts: Scripts) -> Proposal:
    """What a maker would propose for the symbol now."""
    survey = scripts.survey(["AAA"])
    row, prices = survey.rows["AAA"], Prices(99, 10, 101, 10)
    versions = (row.position_version, row.quote_version)
    return Proposal("AAA", "m", "refresh", *versions, prices, 1, survey.history)


def read(client: PartitionClient, into: dict[str, str]) -> bool:
    """Read what is final now; False, so that a wait goes on."""
    try:
        for report in client.poll(50):
            into[report.order_id] = report.status
    except Unavailable:
        pass
    return False


def opened(exchange: Exchange) -> bool:
    """Whether the exchange could join again."""
    try:
        exchange.open()
    except (RedisError, MMError, OSError):
        return False
    return True


def reports(scripts: Scripts, client: str) -> list[str]:
    """The order ids of the client's reports."""
    key = scripts.keys.member("reports:*", client)
    found: Any = scripts.client.xrange(key)
    return [text(name) for _, fields in found for name in fields]


def test_a_single_server_is_no_cluster(tmp_path: Path) -> None:
    """The data of one server does not become that of a cluster."""
    place = DataDir(tmp_path / "d")
    place.prepare()
    (place.path / "made-by").write_text("valkey 9.1.2\n")
    with pytest.raises(SystemRefused, match="--replicas does not make a cluster"):
        ManagedCluster(place, Shape(2, 1))
