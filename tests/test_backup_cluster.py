"""A backup of a cluster has all partitions as of one instant."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis.exceptions import RedisError

from mm.backup import back_up, restore
from mm.errors import SystemRefused
from mm.host import DataDir, ManagedCluster, Shape, open_system, reading
from mm.host.live_log import LiveLog
from mm.store import Keys, Scripts, create_system, open_client, partitions_of
from tests.kit import SERVERS, binary_or_skip, short_directory, small_config, wait_for
from tests.kit.answers import assert_words, run
from tests.kit.stopped import system_of

pytestmark = [pytest.mark.server, pytest.mark.slow]


@pytest.fixture
def place() -> Iterator[Path]:
    """Where backups and restored directories go."""
    with short_directory() as path:
        yield path


@contextmanager
def cluster(place: Path, server: str) -> Iterator[tuple[ManagedCluster, Scripts]]:
    """A cluster of two partitions with a replica each, and a system in it."""
    data_dir = DataDir(place)
    data_dir.prepare()
    made = ManagedCluster(data_dir, Shape(2, 1), binary_or_skip(server))
    try:
        made.start()
        scripts = Scripts(open_client(data_dir.url), Keys())
        create_system(scripts, small_config(3, partitions=2, replicas=1))
        open_system(data_dir, scripts)
        yield made, scripts
    finally:
        made.kill()


def grant(scripts: Scripts, number: int) -> int:
    """Let a partition accept one unit more; how many it has accepted then."""
    treasury = scripts.treasury()
    returned, granted = treasury.received[number], treasury.granted[number]
    treasury = scripts.treasury([(number, returned, granted, 1)])
    lease = partitions_of(scripts)[number].lease(granted=treasury.granted[number])
    return lease.accepted


@SERVERS
def test_a_cluster_while_units_move(
    server: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No unit is in the copy twice: when one moves between two measurements they are repeated."""
    with cluster(place / "c", server) as (_, scripts):
        plain: Callable[[LiveLog], None] = LiveLog.measure
        nodes: list[str] = []
        accepted: list[int] = []

        def measure(log: LiveLog) -> None:
            plain(log)
            nodes.append(log.place.name)
            # The treasury, in partition 0, is measured; then partition 1 accepts what it grants.
            if log.place.name == "1" and len(accepted) < 2:
                accepted.append(grant(scripts, 1))

        monkeypatch.setattr(LiveLog, "measure", measure)
        manifest = back_up(system_of(place / "c"), place / "b")
        assert nodes == ["1", "2", "3"] * 4 and accepted == [1, 2]
        assert {name.split("/")[1] for name in manifest.files if ".rdb" in name} == {"1", "2", "3"}
        restore(place / "b", DataDir(place / "n"))
        with reading(system_of(place / "n")) as found:
            assert partitions_of(found)[1].client.hget("{mm-1}:lease", "accepted") == b"2"
            assert found.client.hget("{mm}:treasury", "granted:1") == b"2"
        # Had it not been repeated, the audit would have found it.
        monkeypatch.setattr("mm.host.live_copy._shared", lambda _: [])
        accepted.clear()
        with pytest.raises(SystemRefused, match="exposure-bounded"):
            back_up(system_of(place / "c"), place / "b2")


def test_a_cluster_after_a_failover(place: Path) -> None:
    """The backup has the logs of the newest primaries; the restored cluster starts and trades."""
    with cluster(place / "c", "valkey") as (made, scripts):
        made.servers[0].kill()
        wait_for("the replica", lambda: serves(scripts), 30)
        manifest = back_up(system_of(place / "c"), place / "b")
        logs = {name.split("/")[1] for name in manifest.files if ".rdb" in name}
        assert logs == {"2", "3", "4"}
        restore(place / "b", DataDir(place / "n"))
        done = run("up", "--headless", "--duration", "2", "--data-dir", str(place / "n"))
        assert_words(done, 0)
        assert "audit: ok" in done.text


def serves(scripts: Scripts) -> bool:
    """Whether partition 0 answers."""
    try:
        return bool(partitions_of(scripts)[0].client.exists("{mm-0}:config"))
    except (RedisError, OSError):
        return False
