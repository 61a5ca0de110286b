"""The connection to the server: pinned client settings, and the check of its durability.

redis-py retries by default, and would run a script twice when only its reply was lost. So retries
are off here: only the caller can tell whether a retry is safe.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from mm.errors import DurabilityRefused, ValueRefused
from mm.market import Durability
from mm.store.cluster import (
    CLUSTER_SCHEME,
    SOCKET_NAME,
    LocalConnection,
    LocalNodes,
    Nodes,
    RemoteConnection,
    RemoteNodes,
    SecureConnection,
    Sentinels,
    following_client,
)
from mm.store.keys import DEFAULT_PREFIX
from mm.store.roles import ADMIN
from mm.store.secrets import secret_of
from mm.store.trouble import as_own_error, trouble_of
from mm.store.urls import (
    URL_FORMS,
    Finding,
    check_url,
    finding,
    refused_url,
    safe_url,
    socket_path,
    socket_url,
)

#: A socket read may last this much longer than the server was asked to block.
SOCKET_TIMEOUT_S = 10.0
DEFAULT_PORT = 6379

#: Server setting -> the values with which every acknowledged write is on disk.
NEEDED_SETTINGS = {
    "appendonly": ("yes",),
    "appendfsync": ("always",),
    "no-appendfsync-on-rewrite": ("no",),
    "maxmemory-policy": ("noeviction",),
}
#: Server settings that decide, besides its state, whether it refuses writes.
REFUSING_SETTINGS = ("min-replicas-to-write", "stop-writes-on-bgsave-error", "save")


@dataclass(frozen=True)
class ServerInfo:
    """A server's ``name`` (redis or valkey), version and persistence settings.

    ``hidden`` is why the server does not show its settings, or empty text. ``refusals``
    are the causes for which it refuses writes now, with their words. ``run_id`` names this run of
    the server: a restarted one has another. It is ``-`` when unknown. ``replicas`` are linked now.
    """

    name: str
    version: str
    settings: dict[str, str]
    hidden: str = ""
    refusals: dict[str, str] = field(default_factory=dict)
    run_id: str = "-"
    replicas: int = 0

    @property
    def weak(self) -> list[str]:
        """The settings with which an acknowledged write may be lost, as ``name value``."""
        if self.hidden:
            return ["settings not shown"]
        return [
            f"{name} {self.settings.get(name, 'unknown')}"
            for name, good in NEEDED_SETTINGS.items()
            if self.settings.get(name) not in good
        ]


def server_url(place: str | Path) -> str:
    """The server's URL: ``place`` itself if it is a URL, else that of the data directory's server.

    The server need not run yet. Raises ValueRefused if ``place`` is neither a URL nor a directory.
    """
    if isinstance(place, str) and "://" in place:
        return place
    if not Path(place).is_dir():
        raise ValueRefused(
            f"server {safe_url(str(place))!r}: it must be a URL ({URL_FORMS}) or the data directory"
            " of an `mm up`"
        )
    return socket_url(Path(place) / SOCKET_NAME)


def open_client(
    url: str,
    timeout_s: float = SOCKET_TIMEOUT_S,
    user: str = ADMIN,
    tag: str = DEFAULT_PREFIX,
) -> redis.Redis:
    """A client for the URL, not yet connected. Replies stay bytes, and nothing is retried.

    ``timeout_s`` is how long it waits for the connection, and for a reply beyond its own wait.
    ``user`` is who connects to a managed server, with the secret beside its socket; elsewhere it
    has no meaning, and the URL says who connects. On a cluster it is for the keys of the hash tag
    ``tag``. Raises ValueRefused when the URL is not valid, and SystemRefused when there are secrets
    but none of this user.
    """
    if url.startswith(f"{CLUSTER_SCHEME}://"):
        return _cluster_client(url, timeout_s, user, tag)
    check_url(url)
    found = finding(url)
    try:
        client: redis.Redis = redis.Redis.from_url(
            found.members[0] if found else url, **_pinned(timeout_s)
        )
        if url.startswith("unix:"):
            settings = client.connection_pool.connection_kwargs
            settings["path"] = socket_path(url)
            if not settings.get("username") and not settings.get("password"):
                secret = secret_of(Path(settings["path"]).parent, user)
                if secret is not None:
                    settings.update(username=user, password=secret)
        # redis-py rejects the value of a setting only when it makes a connection.
        client.connection_pool.make_connection()
    except (ValueError, TypeError, RedisError):
        # The text of redis-py may quote the password, so it is neither shown nor chained.
        raise refused_url(url, "the value of a setting cannot be used") from None
    return _finding_client(found, client.connection_pool, tag) if found else client


def _pinned(timeout_s: float) -> dict[str, Any]:
    return {
        "protocol": 2,
        "legacy_responses": True,
        "decode_responses": False,
        "retry": Retry(NoBackoff(), 0),
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
    }


def _cluster_client(url: str, timeout_s: float, user: str, tag: str) -> redis.Redis:
    directory = Path(socket_path(url))
    secret = secret_of(directory.parent, user)
    login = {} if secret is None else {"username": user, "password": secret}
    nodes = LocalNodes(directory, login)
    return following_client(LocalConnection, nodes, tag, _pinned(timeout_s) | login)


def _finding_client(found: Finding, plain: redis.ConnectionPool, tag: str) -> redis.Redis:
    """A client for several servers, with the settings of a pool for one of them."""
    settings = dict(plain.connection_kwargs)
    looking = {
        name: value
        for name, value in settings.items()
        if name.startswith("ssl_") or name in ("username", "password")
    }
    seeds = []
    for member in found.members:
        parts = urlsplit(member)
        seeds.append((parts.hostname or "", parts.port or DEFAULT_PORT))
    for name in ("host", "port"):
        settings.pop(name, None)
    secure = issubclass(plain.connection_class, redis.SSLConnection)
    asking = redis.SSLConnection if secure else redis.Connection
    nodes: Nodes = RemoteNodes(seeds, asking, looking)
    if found.kind == "sentinel":
        login = {name: value for name, value in looking.items() if name.startswith("ssl_")}
        nodes = Sentinels(seeds, found.service, asking, login | found.sentinel_login)
    kind = SecureConnection if secure else RemoteConnection
    return following_client(kind, nodes, tag, settings)


def check_serves(client: redis.Redis) -> None:
    """Raise an error of redis-py or OSError unless the server answers reads.

    It is no PING, which a server that cannot write to its disk refuses (MISCONF).
    """
    client.dbsize()


def server_info(client: redis.Redis) -> ServerInfo:
    """Read what the server is, its persistence settings, and whether it refuses writes.

    A server that denies INFO or CONFIG GET is described by what it shows. Raises Unavailable when
    no server answers now, and SystemRefused when it refuses the user.
    """
    info, hidden = _if_allowed(client.info)
    settings, why = _if_allowed(lambda: client.config_get(*NEEDED_SETTINGS, *REFUSING_SETTINGS))
    name = "valkey" if "valkey_version" in info else "redis"
    decoded = {_plain(key): _plain(value) for key, value in settings.items()}
    return ServerInfo(
        name,
        str(info.get(f"{name}_version", "unknown")),
        decoded,
        why or hidden,
        dict(_refusals(info, decoded)),
        str(info.get("run_id", "-")),
        int(info.get("connected_slaves", 0)),
    )


def _if_allowed(read: Callable[[], Any]) -> tuple[dict[Any, Any], str]:
    """The reply, or nothing and the reason when the server does not allow this command."""
    try:
        return read(), ""
    except redis.exceptions.ResponseError as error:
        found = trouble_of(error)
        if found.final:
            return {}, found.words
        raise as_own_error(error) from error
    except (RedisError, OSError) as error:
        raise as_own_error(error) from error


def _refusals(info: Mapping[str, Any], settings: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Why the server refuses writes now, by the rules of both servers."""
    if info.get("role") == "slave" and info.get("slave_read_only", 1):
        primary = f"{info.get('master_host')}:{info.get('master_port')}"
        yield "replica", f"it is a read-only replica of {primary}. Name that one with --redis-url"
    limit = int(info.get("maxmemory", 0))
    used = int(info.get("used_memory", 0)) - int(info.get("mem_not_counted_for_evict", 0))
    if 0 < limit < used:
        found = f"its memory limit is reached, {used:,} of {limit:,} bytes are used"
        yield "memory", f"{found}. Raise maxmemory, or free memory"
    snapshot_failed = info.get("rdb_last_bgsave_status") == "err" and settings.get("save")
    if info.get("aof_last_write_status") == "err":
        yield "disk", "it cannot write its append-only file. Is its disk full?"
    elif snapshot_failed and settings.get("stop-writes-on-bgsave-error") == "yes":
        yield "disk", "it could not save its last snapshot to disk. Is its disk full?"
    needed, good = settings.get("min-replicas-to-write", "0"), info.get("min_slaves_good_slaves")
    if good is not None and needed.isdigit() and int(good) < int(needed):
        yield "replicas", f"it has {good} good replicas, and min-replicas-to-write is {needed}"


def accepts(info: ServerInfo, durability: Durability) -> bool:
    """Whether a server with these settings is good enough for ``durability``.

    What an operator has ``declared`` counts only where the server does not show its settings.
    """
    declared = durability == "declared" and bool(info.hidden)
    return durability == "relaxed" or declared or not info.weak


def check_durability(info: ServerInfo, durability: Durability) -> None:
    """Raise DurabilityRefused when the settings are weaker than ``durability`` asks for."""
    if accepts(info, durability):
        return
    if info.hidden:
        raise DurabilityRefused(
            f"{info.hidden}. INFO and CONFIG GET must be allowed, since every process checks that"
            " acknowledged writes are on disk. For a managed service that promises it, but does not"
            " show it, say so with --durability declared. Or accept the risk with --durability"
            " relaxed."
        )
    needed = ", ".join(f"{name} {good[0]}" for name, good in NEEDED_SETTINGS.items())
    raise DurabilityRefused(
        f"{info.name} {info.version} does not put every acknowledged write on disk: found"
        f" {', '.join(info.weak)}; needed: {needed}. Change the settings (CONFIG SET, and the"
        " server's configuration file), or accept the risk with --durability relaxed."
    )


def _plain(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
