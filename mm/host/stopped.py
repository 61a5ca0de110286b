"""A stopped data directory, read through a private server over a private copy of it.

No file of the directory is opened for writing. While it is copied, no `mm up` can begin there;
afterwards one may. The copy lies where temporary files go. It is removed when its reader ends, and
the next reader removes what a killed one has left.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from mm.errors import NoRoom, NotRunning, SystemRefused, shown_path
from mm.host.archives import archive_bytes, copy_archives
from mm.host.cluster_shape import shape_file
from mm.host.datadir import LEAST_ROOM, DataDir, undisturbed
from mm.host.identity import check_directory
from mm.host.locate import System
from mm.host.private_copy import (
    BESIDE_LOG,
    LOG_DIRECTORY,
    binary_for,
    copy_file,
    places_of,
    private_directory,
    servers_in,
    servers_over,
)
from mm.instant import timestamp
from mm.interrupts import interrupted_by_signals
from mm.store import Scripts, release_expired, stored_fields

#: What a server writes when the end of its log is torn.
TORN = re.compile(r"short read while loading|aof-load-truncated is enabled")


@contextmanager
def reading(system: System, is_stopped: Callable[[], None] = lambda: None) -> Iterator[Scripts]:
    """The scripts of a system for somebody who only reads.

    When nothing runs in its data directory, but has run, they are those of a private server, which
    ends with the block. Then ``is_stopped`` is called, and the system's ``say`` gets a line about
    it, and one when the end of the log is torn. Raises what :meth:`System.scripts` raises, and
    SystemRefused when the directory cannot be copied or its copy cannot be loaded. Signals then
    raise Interrupted.
    """
    try:
        scripts = system.scripts()
    except NotRunning:
        if not logs_of(system.data_dir):
            raise
    else:
        yield scripts
        return
    with interrupted_by_signals(), private_directory() as place:
        with undisturbed(system.data_dir):
            written = copy_stopped(system.data_dir, place)
        system.say(
            f"{system.data_dir}: nothing runs there. This is read from a private copy of its log,"
            f" last written {timestamp(written)}."
        )
        with _served(system.data_dir, place, system.say):
            private = replace(system, data_dir=place, redis_url=None)
            scripts = private.scripts()
            scripts.archives_shown = system.archives
            check_directory(system.data_dir, scripts)
            # Nobody has done it since, and nothing may stay reserved for a quote of before. Before
            # the first start of a system there is nothing to release.
            if stored_fields(scripts):
                release_expired(private.scripts(user="exchange"))
            is_stopped()
            yield scripts


def logs_of(data_dir: DataDir) -> list[Path]:
    """The files of all logs; what a rewrite that was broken off has left is none."""
    found: list[Path] = []
    for place in places_of(data_dir):
        with suppress(OSError):
            found += (place.path / LOG_DIRECTORY).iterdir()
    return [path for path in found if path.is_file() and not path.name.startswith("temp-")]


def copy_stopped(data_dir: DataDir, place: DataDir) -> int:
    """Copy what the servers need, and the archives; when a log was last written, in ms."""
    logs = logs_of(data_dir)
    found = [path.stat() for path in logs]
    size = sum(one.st_size for one in found) + archive_bytes(data_dir)
    room = shutil.disk_usage(place.path).free
    where = shown_path(place.path.parent)
    if size + LEAST_ROOM > room:
        raise NoRoom(
            f"{data_dir}: nothing runs there, and a copy to read would need {size:,} bytes in"
            f" {where}, which has {room:,} left. Name a place with more room in the environment"
            " variable TMPDIR, or start the system with `mm up`."
        )
    shape = shape_file(data_dir)
    beside = [one.path / name for one in places_of(data_dir) for name in BESIDE_LOG]
    try:
        for path in (*logs, *beside, shape):
            if path.is_file():
                copy = place.path / path.relative_to(data_dir.path)
                copy.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                copy_file(path, copy)
        copy_archives(data_dir, place)
    except OSError as error:
        raise SystemRefused(
            f"{data_dir}: nothing runs there, and it could not be copied to {where} to read it:"
            f" {error.filename or where}: {error.strerror or error}"
        ) from error
    return max(one.st_mtime_ns for one in found) // 1_000_000


@contextmanager
def _served(data_dir: DataDir, place: DataDir, say: Callable[[str], None]) -> Iterator[None]:
    """Servers over the copy, as the directory had them."""
    server = servers_over(data_dir, place, binary_for(place), say)
    for each in places_of(place):
        # What a start would do first to a log that it goes on writing is of no use here.
        (each.path / "stopped-cleanly").touch()
    servers = servers_in(server)
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
