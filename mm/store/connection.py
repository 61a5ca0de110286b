"""The connection to the server: pinned client settings, and the check of its durability.

redis-py retries by default, and would run a script twice when only its reply was lost. So retries
are off here: only the caller can tell whether a retry is safe.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, parse_qs, quote, unquote_to_bytes, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from mm.errors import DurabilityRefused, SystemRefused, Unavailable, ValueRefused, shown
from mm.market import Durability

#: The managed server's Unix socket inside a data directory.
SOCKET_NAME = "redis.sock"

#: A socket read may last this much longer than the server was asked to block.
SOCKET_TIMEOUT_S = 10.0

#: Server setting -> the values with which every acknowledged write is on disk.
NEEDED_SETTINGS = {
    "appendonly": ("yes",),
    "appendfsync": ("always",),
    "no-appendfsync-on-rewrite": ("no",),
    "maxmemory-policy": ("noeviction",),
}


#: Settings allowed after the ``?`` of a server's URL; others could undo the pinned settings.
URL_SETTINGS = (
    *("db", "username", "password", "client_name"),
    *("ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs", "ssl_check_hostname"),
)


@dataclass(frozen=True)
class ServerInfo:
    """A server's ``name`` (redis or valkey), version and persistence settings."""

    name: str
    version: str
    settings: dict[str, str]

    @property
    def weak(self) -> list[str]:
        """The settings with which an acknowledged write may be lost, as ``name value``."""
        return [
            f"{name} {self.settings.get(name, 'unknown')}"
            for name, good in NEEDED_SETTINGS.items()
            if self.settings.get(name) not in good
        ]


def socket_url(path: Path) -> str:
    """The URL of a server's Unix socket, whatever characters its path has.

    Links in the path stay: the system bounds the length of the path that is connected to.
    """
    return f"unix://{quote(os.fsencode(path.absolute()))}"


def _socket_path(parts: SplitResult) -> str:
    """The path in a socket's URL; ValueError when it is not the whole path."""
    place = parts.netloc.rpartition("@")[2]
    if place:
        raise ValueError(f"the path of a socket begins with a third /, found {shown(place)}")
    if not parts.path.strip("/"):
        raise ValueError("the path of the socket is missing")
    # Not by redis-py: a path may have bytes that are no text.
    return os.fsdecode(unquote_to_bytes(parts.path))


def server_url(place: str | Path) -> str:
    """The server's URL: ``place`` itself if it is a URL, else that of the data directory's server.

    The server need not run yet. Raises ValueRefused if ``place`` is neither a URL nor a directory.
    """
    if isinstance(place, str) and "://" in place:
        return place
    if not Path(place).is_dir():
        raise ValueRefused(
            f"server {shown(str(place))}: it must be a URL (redis://HOST:PORT/DB or unix:///PATH)"
            " or the data directory of an `mm up`"
        )
    return socket_url(Path(place) / SOCKET_NAME)


def open_client(url: str) -> redis.Redis:
    """A client for the URL, not yet connected. Replies stay bytes, and nothing is retried.

    Raises ValueRefused when the URL is not valid.
    """
    try:
        parts = urlsplit(url)
        if "#" in url:
            raise ValueError("a # in it must be written %23")
        for name in parse_qs(parts.query, keep_blank_values=True):
            if name not in URL_SETTINGS:
                raise ValueError(f"{name!r} is not one of the settings {' '.join(URL_SETTINGS)}")
        client: redis.Redis = redis.Redis.from_url(
            url,
            protocol=2,
            legacy_responses=True,
            decode_responses=False,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=SOCKET_TIMEOUT_S,
            socket_connect_timeout=SOCKET_TIMEOUT_S,
        )
        if parts.scheme == "unix":
            client.connection_pool.connection_kwargs["path"] = _socket_path(parts)
        # redis-py rejects unknown settings only when it makes a connection.
        client.connection_pool.make_connection()
    except (ValueError, TypeError) as error:
        raise ValueRefused(
            f"server URL {shown(url)}: it must be redis://HOST:PORT/DB or unix:///PATH ({error})"
        ) from error
    return client


def server_info(client: redis.Redis) -> ServerInfo:
    """Read the server's name, version and persistence settings.

    Raises Unavailable when no server answers, and SystemRefused when it denies the commands.
    """
    try:
        info = client.info("server")
        settings = client.config_get(*NEEDED_SETTINGS)
    except redis.exceptions.ConnectionError as error:
        raise Unavailable(f"no server answers: {error}") from error
    except RedisError as error:
        raise SystemRefused(
            f"the server does not show its settings ({error}): INFO and CONFIG GET must be allowed,"
            " since every process checks that acknowledged writes are on disk"
        ) from error
    name = "valkey" if "valkey_version" in info else "redis"
    decoded = {_plain(key): _plain(value) for key, value in settings.items()}
    return ServerInfo(name, str(info.get(f"{name}_version", "unknown")), decoded)


def check_durability(info: ServerInfo, durability: Durability) -> None:
    """Raise DurabilityRefused when the settings are weaker than ``durability`` asks for."""
    if durability == "always" and info.weak:
        needed = ", ".join(f"{name} {good[0]}" for name, good in NEEDED_SETTINGS.items())
        raise DurabilityRefused(
            f"{info.name} {info.version} does not put every acknowledged write on disk: found"
            f" {', '.join(info.weak)}; needed: {needed}. Change the settings (CONFIG SET, and the"
            " server's configuration file), or accept the risk with --durability relaxed."
        )


def _plain(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
