"""Which system a data directory belongs to, and the one place that makes a new system (R21)."""

from __future__ import annotations

from redis.exceptions import RedisError

from mm.errors import ForeignSystem
from mm.host.datadir import DataDir
from mm.host.state_file import read_state, write_state
from mm.instant import timestamp
from mm.market import Config, Durability
from mm.store import (
    Identity,
    Joined,
    Keys,
    Scripts,
    create_system,
    foreign_system,
    join_system,
    read_identity,
    send_pipeline,
    text,
)

_LINES = r"(\{[A-Za-z0-9._-]{1,32}\} [0-9a-f]{16}\n)+"


def known_system_id(data_dir: DataDir, keys: Keys) -> str | None:
    """The id of the system under these keys that the directory belongs to, or None.

    SystemRefused when the directory's file cannot be read.
    """
    return known_systems(data_dir).get(keys.prefix)


def known_systems(data_dir: DataDir) -> dict[str, str]:
    """The ids of the systems that the directory belongs to, by key prefix.

    SystemRefused when the directory's file cannot be read.
    """
    stored = read_state(
        data_dir.system_id_file, _LINES, "a key prefix and a system id of 16 hex digits on a line"
    )
    return dict(line.split(" ") for line in (stored or "").splitlines())


def open_system(
    data_dir: DataDir,
    scripts: Scripts,
    config: Config | None = None,
    durability: Durability | None = None,
) -> Joined:
    """Make a new system, or join the one that the server and the directory know.

    A new one is made only if neither knows any. The directory then belongs to the system. Raises
    ForeignSystem when the directory belongs to a system that the server does not hold, and what
    :func:`mm.store.create_system` raises.
    """
    known = known_systems(data_dir)
    expected = known.get(scripts.keys.prefix)
    if expected is None:
        joined = create_system(scripts, config, durability)
        known[scripts.keys.prefix] = joined.identity.system_id
        lines = (f"{prefix} {system_id}\n" for prefix, system_id in known.items())
        write_state(data_dir.system_id_file, "".join(lines))
        return joined
    return join_system(scripts, config, durability, expected, str(data_dir))


def check_directory(data_dir: DataDir, scripts: Scripts) -> None:
    """ForeignSystem when the server does not hold the system that the directory belongs to."""
    expected = known_system_id(data_dir, scripts.keys)
    if expected is None:
        return
    found = read_identity(scripts)
    if found is None or found.system_id != expected:
        found_id = None if found is None else found.system_id
        raise foreign_system(scripts.keys, expected, found_id, str(data_dir))


class IdentityWatch:
    """Notices that the server no longer holds the system of a data directory."""

    def __init__(self, scripts: Scripts, identity: Identity, data_dir: DataDir) -> None:
        self._scripts = scripts
        self._identity = identity
        self._data_dir = data_dir
        self._seen = ""

    def look(self) -> None:
        """Look; nothing when no server answers.

        ForeignSystem, with what was last seen, when the system is gone or another is there.
        """
        keys, client = self._scripts.keys, self._scripts.client
        try:
            replies = send_pipeline(
                client,
                [
                    ("TIME",),
                    ("HGET", keys.named("config"), "system_id"),
                    ("HMGET", keys.named("cursors"), "exchange_records", "state_records"),
                ],
            )
        except (RedisError, OSError):
            return
        if any(isinstance(reply, Exception) for reply in replies):
            return
        (seconds, _), found, done = replies
        expected = self._identity.system_id
        if found is not None and text(found) == expected:
            orders, fills = (int(value or 0) for value in done)
            self._seen = (
                f"It was last seen at {timestamp(int(seconds) * 1000)}, with {orders:,} orders and"
                f" {fills:,} fills. "
            )
            return
        found_id = None if found is None else text(found)
        lost = foreign_system(keys, expected, found_id, str(self._data_dir))
        raise ForeignSystem(
            f"system {expected} is gone from the server, by FLUSHALL or because the server came"
            f" back without its data. {self._seen}All processes were stopped. {lost}"
        )
