"""The configuration file of the managed server."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from mm.host.cluster_shape import NodeListening
from mm.host.datadir import DataDir
from mm.host.listening import Listening
from mm.host.users import write_users

_CONFIG = """\
# Written by `mm up` at each start; changes here are lost.
unixsocket {socket}
unixsocketperm 700
dir {dir}
logfile {log}
pidfile {pid}
daemonize no
save ""
appendonly yes
appendfsync always
no-appendfsync-on-rewrite no
aof-load-truncated yes
auto-aof-rewrite-percentage 100
auto-aof-rewrite-min-size 64mb
maxmemory-policy noeviction
maxclients 12000
aclfile {users}
"""


def write_server_conf(
    data_dir: DataDir,
    socket: Path,
    clients: Iterable[str] = (),
    listening: Listening | NodeListening | None = None,
) -> str:
    """Write the file for a server on this socket; the argument that names it to the server.

    The server has a user for each of these clients, and for the usual ones. It listens on TCP only
    where ``listening`` says so.
    """
    directory, logs = data_dir.path.absolute(), data_dir.logs.absolute()
    paths = {
        "socket": socket,
        "dir": directory,
        "log": logs / "server.log",
        "pid": directory / "server.pid",
        "users": write_users(data_dir, clients).absolute(),
    }
    path = directory / "server.conf"
    quoted = {name: _quoted(one) for name, one in paths.items()}
    settings = listening.settings() if listening else [("port", "0")]
    wire = "".join(
        f"{name} {_quoted(value) if isinstance(value, Path) else value}\n"
        for name, value in settings
    )
    # A node of a cluster has a secret in it.
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(_CONFIG.format(**quoted) + wire, encoding="ascii")
    return _literal(path)


def _quoted(path: Path) -> str:
    """A path for the server's configuration file, in ASCII; the server reads it byte for byte."""
    data = os.fsencode(path)
    plain = (chr(b) if 32 <= b < 127 and b not in b'"\\' else f"\\x{b:02x}" for b in data)
    return f'"{"".join(plain)}"'


def _literal(path: Path) -> str:
    """The path of a configuration file as an argument: the server takes ``*?[`` for a pattern."""
    if not set("*?[") & set(str(path)):
        return str(path)
    return re.sub(r"([*?\[\]\\])", r"\\\1", str(path))
