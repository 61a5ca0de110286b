"""A stopped data directory, read through a private server over a private copy of its log.

No file of the directory is opened for writing. While it is copied, no `mm up` can begin there;
afterwards one may. The copy lies where temporary files go. It is removed when its reader ends, and
the next reader removes what a killed one has left.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from mm.errors import NotRunning, SystemRefused, shown_path
from mm.host.binary import default_binary
from mm.host.cluster import ManagedCluster
from mm.host.cluster_shape import BUS_OFFSET, known_shape, port_of, shape_file
from mm.host.datadir import LEAST_ROOM, DataDir, undisturbed
from mm.host.identity import check_directory
from mm.host.locate import System
from mm.host.server import ManagedServer
from mm.instant import timestamp
from mm.interrupts import interrupted_by_signals
from mm.store import Scripts, release_expired

#: With what the names of private copies begin.
PREFIX = "mm-read-"
#: The log of a server, and the files that a server needs beside it.
LOG_DIRECTORY = "appendonlydir"
BESIDE_LOG = ("made-by", "nodes.conf")
#: What a server writes when the end of its log is torn.
TORN = re.compile(r"short read while loading|aof-load-truncated is enabled")
#: The most bytes that one call copies.
CHUNK = 1 << 30


@contextmanager
def reading(system: System) -> Iterator[Scripts]:
    """The scripts of a system for somebody who only reads.

    When nothing runs in its data directory, but has run, they are those of a private server, which
    ends with the block. The system's ``say`` gets a line about it, and one when the end of the log
    is torn. Raises what :meth:`System.scripts` raises, and SystemRefused when the directory cannot
    be copied or its copy cannot be loaded. Signals then raise Interrupted.
    """
    try:
        scripts = system.scripts()
    except NotRunning:
        if not _logs(system.data_dir):
            raise
    else:
        yield scripts
        return
    with interrupted_by_signals(), _private() as place:
        with undisturbed(system.data_dir):
            written = _copy(system.data_dir, place)
        system.say(
            f"{system.data_dir}: nothing runs there. This is read from a private copy of its log,"
            f" last written {timestamp(written)}."
        )
        with _served(system.data_dir, place, system.say):
            private = replace(system, data_dir=place, redis_url=None)
            scripts = private.scripts()
            check_directory(system.data_dir, scripts)
            # Nobody has done it since, and nothing may stay reserved for a quote of before.
            release_expired(private.scripts(user="exchange"))
            yield scripts


def _places(data_dir: DataDir) -> list[DataDir]:
    """The directory of its server, or those of its nodes."""
    if not data_dir.nodes.is_dir():
        return [data_dir]
    return [DataDir(path) for path in sorted(data_dir.nodes.iterdir()) if path.name.isdigit()]


def _logs(data_dir: DataDir) -> list[Path]:
    """The files of all logs; what a rewrite that was broken off has left is none."""
    found: list[Path] = []
    for place in _places(data_dir):
        with suppress(OSError):
            found += (place.path / LOG_DIRECTORY).iterdir()
    return [path for path in found if path.is_file() and not path.name.startswith("temp-")]


@contextmanager
def _private() -> Iterator[DataDir]:
    """A new data directory for the copy, locked, and removed afterwards."""
    _sweep()
    with ExitStack() as undo:
        path = Path(tempfile.mkdtemp(prefix=PREFIX))
        undo.callback(shutil.rmtree, path, ignore_errors=True)
        undo.enter_context(_locked(path, wait=True))
        place = DataDir(path)
        place.prepare()
        yield place


def _sweep() -> None:
    """Remove what readers have left that were killed: nobody holds its lock."""
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError), _locked(path, wait=False):
            # An empty one may be new: its maker is about to lock it.
            if path.stat().st_uid == os.getuid() and any(path.iterdir()):
                shutil.rmtree(path, ignore_errors=True)


@contextmanager
def _locked(path: Path, wait: bool) -> Iterator[None]:
    """Hold the lock of a directory, which ends with its holder. BlockingIOError without a wait."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(handle)


def _copy(data_dir: DataDir, place: DataDir) -> int:
    """Copy what the servers need; when the newest log was last written, in ms."""
    logs = _logs(data_dir)
    found = [path.stat() for path in logs]
    size, room = sum(one.st_size for one in found), shutil.disk_usage(place.path).free
    where = shown_path(place.path.parent)
    if size + LEAST_ROOM > room:
        raise SystemRefused(
            f"{data_dir}: nothing runs there, and a copy to read would need {size:,} bytes in"
            f" {where}, which has {room:,} left. Name a place with more room in the environment"
            " variable TMPDIR, or start the system with `mm up`."
        )
    shape = shape_file(data_dir)
    beside = [one.path / name for one in _places(data_dir) for name in BESIDE_LOG]
    try:
        for path in (*logs, *beside, shape):
            if path.is_file():
                copy = place.path / path.relative_to(data_dir.path)
                copy.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                copy_file(path, copy)
    except OSError as error:
        raise SystemRefused(
            f"{data_dir}: nothing runs there, and it could not be copied to {where} to read it:"
            f" {error.filename or where}: {error.strerror or error}"
        ) from error
    return max(one.st_mtime_ns for one in found) // 1_000_000


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


@contextmanager
def _served(data_dir: DataDir, place: DataDir, say: Callable[[str], None]) -> Iterator[None]:
    """Servers over the copy, as the directory had them."""
    binary = _binary(place)
    for each in _places(place):
        each.logs.mkdir(exist_ok=True)
        # What a start would do first to a log that it goes on writing is of no use here.
        (each.path / "stopped-cleanly").touch()
    server: ManagedServer | ManagedCluster
    if shape := known_shape(place):
        _move_ports(data_dir, place)
        server = ManagedCluster(place, shape, binary, say)
        servers = server.servers
    else:
        server = ManagedServer(place, binary, say)
        servers = [server]
    try:
        server.start()
    except SystemRefused as error:
        words = next(filter(None, (one.last_words() for one in servers)), str(error))
        raise SystemRefused(
            f"{data_dir}: nothing runs there, and {servers[0].name} {servers[0].version} cannot"
            f" load a copy of its log: {words}. Nothing was changed."
        ) from error
    try:
        for one in servers:
            log = (one.data_dir.logs / "server.log").read_text(encoding="utf-8", errors="replace")
            if TORN.search(log):
                of = "" if len(servers) == 1 else f" of node {one.data_dir.path.name}"
                say(
                    f"the end of the log{of} is torn: what it has of the last write is left out,"
                    " as `mm up` does. The directory stays as it is."
                )
        yield
    finally:
        server.kill()


def _binary(place: DataDir) -> Path:
    """The server that can load the copy: Redis, where it is there, for what Redis has written."""
    with suppress(OSError, IndexError):
        made_by = (_places(place)[0].path / "made-by").read_text(encoding="ascii", errors="replace")
        if made_by.startswith("redis ") and (found := shutil.which("redis-server")):
            return Path(found)
    return default_binary()


def _move_ports(data_dir: DataDir, place: DataDir) -> None:
    """Let the nodes of the copy have ports of their own, and know each other by these."""
    olds = {one.path.name: int((one.path / "port").read_text()) for one in _places(data_dir)}
    taken = {*olds.values()}
    ports: dict[str, int] = {}
    for one in _places(place):
        ports[str(olds[one.path.name])] = port_of(one.path, taken)
        taken |= {*ports.values()}

    def moved(found: re.Match[str]) -> str:
        port = ports.get(found[1], int(found[1]))
        return f":{port}@{port + BUS_OFFSET}"

    for one in _places(place):
        nodes = one.path / "nodes.conf"
        with suppress(FileNotFoundError):
            nodes.write_text(re.sub(r":(\d+)@\d+", moved, nodes.read_text()))
