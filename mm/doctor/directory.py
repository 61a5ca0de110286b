"""A data directory: who may read it, whose data it has, and its disk."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from mm.doctor.finding import Finding, look
from mm.errors import MMError, shown_path
from mm.host import System, archives_of, full_disk, known_systems, logs_of, made_by

#: Below this a disk has little room for a system, in bytes.
LITTLE_DISK = 1_000_000_000
#: So many writes are put on disk to see how long one takes, for so many seconds at most.
WRITES, WRITING_S = 50, 2.0


def directory(system: System) -> Iterator[Finding]:
    """Who may read it, what wrote it, and how its disk is."""
    data_dir = system.data_dir
    where = data_dir.path
    if not where.is_dir():
        yield Finding(
            "data directory", "ok", f"{shown_path(where)} is not there yet: `mm up` makes it"
        )
        return
    loose = [one for one in (where, data_dir.secrets) if one.is_dir() and _mode(one) & 0o077]
    if data_dir.secrets.is_dir():
        loose += [one for one in data_dir.secrets.iterdir() if _mode(one) & 0o077]
    loose += [one for one in archives_of(data_dir) if _mode(one) & 0o077]
    foreign = where.stat().st_uid != os.getuid()
    if loose:
        paths = " ".join(shown_path(one) for one in loose[:5])
        yield Finding("permissions", "wrong", f"others may read {paths}", f"chmod go= {paths}")
    elif foreign:
        yield Finding("permissions", "look", "it belongs to another user", "run `mm` as that user")
    else:
        yield Finding("permissions", "ok", "only its owner may read the data and the secrets")
    try:
        ids = ", ".join(f"{prefix} {one}" for prefix, one in known_systems(data_dir).items())
        data = made_by(data_dir) or "no server yet"
        yield Finding("data", "ok", f"written by {data}; system {ids or 'not made yet'}")
    except MMError as error:
        yield Finding("data", "wrong", str(error), "restore a backup with `mm restore`")
    yield from _disk(system)


def _mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def _disk(system: System) -> Iterator[Finding]:
    data_dir = system.data_dir
    log = 0
    for path in logs_of(data_dir):
        with suppress(OSError):
            log += path.stat().st_size
    stats = os.statvfs(data_dir.path)
    free = stats.f_bavail * stats.f_frsize
    found = f"{free:,} bytes free, the log has {log:,}"
    if full := full_disk(data_dir):
        yield Finding("disk", "wrong", full, "free some: nothing can be acknowledged")
    else:
        yield look(
            "disk",
            free >= max(LITTLE_DISK, 2 * log),
            found,
            "a rewrite needs room for the log once more: free some",
        )
    if not os.access(data_dir.path, os.W_OK):
        yield Finding("fsync", "look", "the directory cannot be written", "run as its owner")
        return
    times: list[float] = []
    try:
        # Without a name: nothing of it is left, however this ends.
        with tempfile.TemporaryFile(dir=data_dir.path) as file:
            until = time.monotonic() + WRITING_S
            while len(times) < WRITES and time.monotonic() < until:
                began = time.perf_counter()
                file.write(b"x" * 256)
                file.flush()
                os.fsync(file.fileno())
                times.append(1000 * (time.perf_counter() - began))
    except OSError as error:
        yield Finding("fsync", "wrong", f"{error.strerror or error}", "nothing can be acknowledged")
        return
    yield Finding(
        "fsync",
        "ok",
        f"{statistics.median(times):.2f} ms in the median of {len(times)}, at most"
        f" {max(times):.2f} ms: each acknowledged step waits for one",
    )
