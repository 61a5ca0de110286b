"""A private copy of a data directory: its place, its files, and the ports of its nodes."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from mm.host.binary import default_binary
from mm.host.cluster import ManagedCluster
from mm.host.cluster_shape import BUS_OFFSET, known_shape, port_of
from mm.host.datadir import DataDir
from mm.host.server import ManagedServer

#: With what the names of private copies begin.
PREFIX = "mm-read-"
#: The log of a server, and the files that a server needs beside it.
LOG_DIRECTORY = "appendonlydir"
BESIDE_LOG = ("made-by", "nodes.conf")
#: The most bytes that one call copies.
CHUNK = 1 << 30


def places_of(data_dir: DataDir) -> list[DataDir]:
    """The directory of its server, or those of its nodes."""
    if not data_dir.nodes.is_dir():
        return [data_dir]
    return [DataDir(path) for path in sorted(data_dir.nodes.iterdir()) if path.name.isdigit()]


@contextmanager
def private_directory() -> Iterator[DataDir]:
    """A new data directory for the copy, locked, and removed afterwards."""
    _sweep()
    with ExitStack() as undo:
        path = Path(tempfile.mkdtemp(prefix=PREFIX))
        undo.callback(shutil.rmtree, path, ignore_errors=True)
        undo.enter_context(locked(path, wait=True))
        place = DataDir(path)
        place.prepare()
        yield place


def _sweep() -> None:
    """Remove what readers have left that were killed: nobody holds its lock."""
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError), locked(path, wait=False):
            # An empty one may be new: its maker is about to lock it.
            if path.stat().st_uid == os.getuid() and any(path.iterdir()):
                shutil.rmtree(path, ignore_errors=True)


@contextmanager
def locked(path: Path, wait: bool) -> Iterator[None]:
    """Hold the lock of a directory, which ends with its holder. BlockingIOError without a wait."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(handle)


def copy_file(path: Path, copy: Path) -> None:
    """Copy a file. A file system that can share the blocks of both does, and copies nothing."""
    with path.open("rb") as source, copy.open("wb") as target:
        os.fchmod(target.fileno(), stat.S_IRUSR | stat.S_IWUSR)
        if hasattr(os, "copy_file_range"):
            with suppress(OSError):
                while os.copy_file_range(source.fileno(), target.fileno(), CHUNK):
                    pass
        # From where that has stopped: at once where the system cannot do it at all.
        source.seek(target.seek(0, os.SEEK_END))
        shutil.copyfileobj(source, target, 1 << 20)


def made_by(data_dir: DataDir) -> str:
    """Name and version of the server that wrote the data, such as ``valkey 9.1.2``; or empty."""
    with suppress(OSError, IndexError):
        path = places_of(data_dir)[0].path / "made-by"
        return path.read_text(encoding="ascii", errors="replace").strip()
    return ""


def binary_for(place: DataDir) -> Path:
    """The server that can load the copy: Redis, where it is there, for what Redis has written."""
    if made_by(place).startswith("redis ") and (found := shutil.which("redis-server")):
        return Path(found)
    return default_binary()


def servers_over(
    data_dir: DataDir, place: DataDir, binary: Path, say: Callable[[str], None]
) -> ManagedServer | ManagedCluster:
    """What serves the copy ``place`` of a data directory, as the directory had it; not started."""
    for each in places_of(place):
        each.logs.mkdir(exist_ok=True)
    if shape := known_shape(place):
        move_ports(data_dir, place)
        return ManagedCluster(place, shape, binary, say)
    return ManagedServer(place, binary, say)


def servers_in(server: ManagedServer | ManagedCluster) -> list[ManagedServer]:
    """The server itself, or those of all nodes."""
    return server.servers if isinstance(server, ManagedCluster) else [server]


def move_ports(data_dir: DataDir, place: DataDir) -> None:
    """Let the nodes of the copy have ports of their own, and know each other by these."""
    olds = {one.path.name: int((one.path / "port").read_text()) for one in places_of(data_dir)}
    taken = {*olds.values()}
    ports: dict[str, int] = {}
    for one in places_of(place):
        ports[str(olds[one.path.name])] = port_of(one.path, taken)
        taken |= {*ports.values()}

    def moved(found: re.Match[str]) -> str:
        port = ports.get(found[1], int(found[1]))
        return f":{port}@{port + BUS_OFFSET}"

    for one in places_of(place):
        nodes = one.path / "nodes.conf"
        with suppress(FileNotFoundError):
            nodes.write_text(re.sub(r":(\d+)@\d+", moved, nodes.read_text()))
