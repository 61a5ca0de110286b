"""A copy of the data directory of a running system, at one instant of all its partitions.

Each server is copied up to an instant of its own, all within milliseconds. What partitions share is
the escrow, whose counters only grow. They are read before and after the logs are measured. When
they are the same, no unit was granted, accepted, returned or received in between, and so the logs
together hold each unit once. Else the logs are measured again.
"""

from __future__ import annotations

import shutil
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from redis.exceptions import RedisError

from mm.errors import SystemRefused, Unavailable, shown_path
from mm.host.archives import archive_bytes, copy_live_archives
from mm.host.cluster_shape import shape_file
from mm.host.datadir import LEAST_ROOM, DataDir
from mm.host.live_log import LiveLog, copy_nodes_file
from mm.host.locate import System
from mm.host.private_copy import copy_file, places_of
from mm.store import Scripts, execute, hash_of, partitions_of, read_placement

#: How often the logs are measured before it is said that they do not hold still, and the pause in
#: between, in seconds.
TRIES, PAUSE_S = 200, 0.02


def copy_running(system: System, place: DataDir) -> int:
    """Copy what the servers of the system need, and its archives; the instant, in ms.

    The copy has every write that was acknowledged before that instant. Its logs may end inside a
    later one, as after a power cut, and its archives may be newer. Errors are those of
    :meth:`System.scripts`, SystemRefused when there is no room, ArchiveBroken, and Unavailable when
    the system does not hold still, as in a failover.
    """
    scripts = system.scripts()
    data_dir = system.data_dir
    try:
        for turn in range(TRIES):
            with ExitStack() as undo:
                instant_ms, logs = _measured(scripts, data_dir, undo)
                if logs:
                    size = sum(log.size for log in logs) + archive_bytes(data_dir)
                    _check_room(data_dir, place, size)
                    for log in logs:
                        log.copy(place.path / log.place.relative_to(data_dir.path))
                    _copy_beside(data_dir, place)
                    # After the logs: what these no longer have is in the archives by now.
                    copy_live_archives(data_dir, place)
                    return instant_ms
            time.sleep(PAUSE_S * min(turn, 5))
    finally:
        scripts.client.close()
    raise Unavailable(
        f"{data_dir}: its servers change too much for a copy of one instant, as in a failover or"
        " while a partition moves: try again"
    )


def _measured(scripts: Scripts, data_dir: DataDir, undo: ExitStack) -> tuple[int, list[LiveLog]]:
    """The instant, and the open logs measured right after it; none when something moved."""
    try:
        places = _owners(scripts, data_dir)
        logs = [LiveLog(one.path, undo) for one in places]
        before = _shared(scripts)
        seconds, micros = execute(scripts.client, "TIME")
        for log in logs:
            log.measure()
        still = before == _shared(scripts) and places == _owners(scripts, data_dir)
        still = still and all(log.unchanged for log in logs)
    except (FileNotFoundError, RedisError):
        return 0, []
    return int(seconds) * 1000 + int(micros) // 1000, logs if still else []


def _owners(scripts: Scripts, data_dir: DataDir) -> list[DataDir]:
    """The directories of the servers that hold keys: replicas have the same ones."""
    placement = read_placement(scripts, len(partitions_of(scripts)))
    if placement is None:
        return [data_dir]
    ports = {node.port for node in placement.nodes if node.slots}
    return [one for one in places_of(data_dir) if int((one.path / "port").read_text()) in ports]


def _shared(scripts: Scripts) -> list[Any]:
    """What must not change while the logs of several servers are measured."""
    every = partitions_of(scripts)
    found: list[Any] = []
    for one in every:
        info: Any = one.client.info("replication")
        found.append([info["role"], info["master_replid"]])
    if len(every) > 1:
        treasury = hash_of(scripts.client, scripts.keys.named("treasury"))
        found.append({name: treasury[name] for name in treasury if ":" in name})
        for one in (scripts, *every):
            lease = hash_of(one.client, one.keys.named("lease"))
            found.append([lease.get("accepted"), lease.get("returned")])
            found.append(hash_of(one.client, one.keys.named("config")))
    return found


def _check_room(data_dir: DataDir, place: DataDir, size: int) -> None:
    room = shutil.disk_usage(place.path).free
    if size + LEAST_ROOM > room:
        raise SystemRefused(
            f"{data_dir}: a copy needs {size:,} bytes in {shown_path(place.path.parent)}, which has"
            f" {room:,} left. Name a place with more room in the environment variable TMPDIR."
        )


def _copy_beside(data_dir: DataDir, place: DataDir) -> None:
    """Copy what the servers need beside their logs."""
    for one in places_of(data_dir):
        target = place.path / one.path.relative_to(data_dir.path)
        target.mkdir(mode=0o700, exist_ok=True)
        copy_file(one.path / "made-by", target / "made-by")
        if (nodes := one.path / "nodes.conf").exists():
            copy_nodes_file(nodes, target / nodes.name)
    if (shape := shape_file(data_dir)).exists():
        copy_file(shape, place.path / shape.name)


def served_binary(scripts: Scripts) -> Path | None:
    """The program of the running server, None where it does not say."""
    info: Any = scripts.client.info("server")
    found = Path(str(info.get("executable", "")))
    return found if found.is_file() else None
