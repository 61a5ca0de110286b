"""A server's URL: what it may be, and the one way in which it is shown.

A URL may hold a password. No message, log or screen shows it: they show :func:`safe_url`.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import (
    SplitResult,
    parse_qs,
    parse_qsl,
    quote,
    unquote,
    unquote_to_bytes,
    urlencode,
    urlsplit,
)

from mm.errors import MAX_SHOWN, ValueRefused

#: Settings allowed after the ``?`` of a server's URL; others could undo the pinned settings.
URL_SETTINGS = (
    *("db", "username", "password", "client_name"),
    *("ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs", "ssl_check_hostname"),
)
#: More of them where the server is found anew after a failover.
FINDING_SETTINGS = ("sentinel_username", "sentinel_password")
URL_FORMS = (
    "redis://[USER:PASSWORD@]HOST:PORT/DB, rediss://..., unix:///PATH,"
    " redis+cluster://[USER:PASSWORD@]HOST:PORT,HOST:PORT or"
    " redis+sentinel://[USER:PASSWORD@]HOST:PORT,HOST:PORT/SERVICE"
)
#: What stands where a password would.
HIDDEN = "***"
_SCHEMES = ("redis", "rediss", "unix")
#: How a server is found -> what follows the base scheme.
_FINDING = ("cluster", "sentinel")


@dataclass(frozen=True)
class Finding:
    """A URL that names several servers of which one is found: of a ``cluster``, or ``sentinel``.

    ``members`` are the URLs of the servers to ask, each as a plain one. ``service`` is the name by
    which Sentinels know the primary, empty for a cluster. ``sentinel_login`` are the settings with
    which to log in to a Sentinel.
    """

    kind: str
    service: str
    members: tuple[str, ...]
    sentinel_login: dict[str, str]


def finding(url: str) -> Finding | None:
    """What a URL with several servers says, unchecked; None for a plain one."""
    scheme, _, rest = url.partition("://")
    base, _, kind = scheme.partition("+")
    if kind not in _FINDING or base not in ("redis", "rediss"):
        return None
    cut = len(re.split("[/?#]", rest)[0])
    user, at, hosts = rest[:cut].rpartition("@")
    path, _, query = rest[cut:].partition("?")
    settings = parse_qsl(query, keep_blank_values=True)
    login = {name.partition("_")[2]: text for name, text in settings if name in FINDING_SETTINGS}
    others = urlencode([(name, text) for name, text in settings if name not in FINDING_SETTINGS])
    service, tail = path.removeprefix("/"), f"?{others}" if others else ""
    if kind == "cluster":
        service, tail = "", f"{path}{tail}"
    members = tuple(f"{base}://{user}{at}{host}{tail}" for host in hosts.split(","))
    return Finding(kind, service, members, login)


def _split(url: str) -> SplitResult | None:
    """The parts of a URL, or None when it cannot be said for sure which part is the password."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    socket = parts.scheme == "unix" and not parts.netloc
    behind = parts.query if socket else parts.path + parts.query
    if parts.scheme not in _SCHEMES or "://" not in url or "@" in behind or "#" in url:
        return None
    return parts


def safe_url(url: str) -> str:
    """The URL without user, password and settings, cut when very long; hidden when unclear."""
    parts = _split(url)
    if found_many := finding(url):
        shown = _safe_many(url, found_many)
    elif parts is None:
        scheme, found, _ = url.partition("://")
        if not found and "@" not in url:
            shown = url
        else:
            shown = f"{scheme if found and scheme in _SCHEMES else HIDDEN}://{HIDDEN}"
    else:
        user, at, host = parts.netloc.rpartition("@")
        path = unquote(parts.path) if parts.scheme == "unix" else parts.path
        shown = f"{parts.scheme}://{HIDDEN + at if user or at else ''}{host}{path}"
    return shown if len(shown) <= MAX_SHOWN else f"{shown[:MAX_SHOWN]}..."


def _safe_many(url: str, found: Finding) -> str:
    scheme = url.partition("://")[0]
    every = [_split(member) for member in found.members]
    if None in every or "@" in found.service:
        return f"{scheme}://{HIDDEN}"
    hosts = ",".join(parts.netloc.rpartition("@")[2] for parts in every if parts)
    user = f"{HIDDEN}@" if any(parts and "@" in parts.netloc for parts in every) else ""
    return f"{scheme}://{user}{hosts}{f'/{found.service}' if found.service else ''}"


def socket_url(path: Path) -> str:
    """The URL of a server's Unix socket, whatever characters its path has.

    Links in the path stay: the system bounds the length of the path that is connected to.
    """
    return f"unix://{quote(os.fsencode(path.absolute()))}"


def cluster_url(directory: Path) -> str:
    """The URL of the local cluster whose nodes are in a directory."""
    return f"cluster://{quote(os.fsencode(directory.absolute()))}"


def socket_path(url: str) -> str:
    """The path in a socket's URL."""
    # redis-py would make text of it, and a path may have bytes that are no text.
    return os.fsdecode(unquote_to_bytes(urlsplit(url).path))


def check_url(url: str) -> None:
    """ValueRefused when the URL is not one of a server, or means something else than it says."""
    found = finding(url)
    for member in found.members if found else [url]:
        parts = _split(member)
        why = "it cannot be read" if parts is None else _why_bad(parts)
        if found and parts is not None:
            why = why or _why_not_found(found, parts)
        if why:
            raise refused_url(url, why)


def refused_url(url: str, why: str) -> ValueRefused:
    """The error for a URL that cannot be used; ``why`` must not quote a part of the URL."""
    return ValueRefused(
        f"server URL {safe_url(url)!r}: {why}. It must be {URL_FORMS}. Special characters in a user"
        " name or password must be percent-encoded: @ %40, : %3A, / %2F, # %23, ? %3F, % %25."
    )


def _why_not_found(found: Finding, parts: SplitResult) -> str:
    if not parts.hostname:
        return "each of the servers must be HOST:PORT"
    if found.kind == "cluster":
        databases = parse_qs(parts.query).get("db", [parts.path[1:] or "0"])
        if databases != ["0"]:
            return "a cluster has the database 0 alone"
        return "sentinel_... is for Sentinels" if found.sentinel_login else ""
    if not re.fullmatch(r"[\w.-]{1,64}", found.service):
        return "after the Sentinels the name of the service must stand, such as /mymaster"
    return ""


def _why_bad(parts: SplitResult) -> str:
    settings = parse_qs(parts.query, keep_blank_values=True)
    if any(name not in URL_SETTINGS for name in settings):
        return f"after the ? only these settings may stand: {' '.join(URL_SETTINGS)}"
    if any(len(values) > 1 for values in settings.values()):
        return "a setting stands in it twice"
    given = settings.get("db", [])
    if parts.scheme == "unix":
        if parts.netloc.rpartition("@")[2] or not parts.path.strip("/"):
            return "the path of a socket must be absolute, with three slashes"
    elif parts.path not in ("", "/"):
        given = [*given, parts.path[1:]]
    if len(given) > 1:
        return "it names its database twice"
    if given and not re.fullmatch("[0-9]{1,9}", given[0]):
        return "the database must be a number, such as 0"
    if re.search("%(?![0-9A-Fa-f]{2})", parts.netloc):
        return "a % in the user name or password must be written as %25"
    return ""
