"""A data directory: its paths, and the lock that gives it one owner."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from mm.errors import SystemRefused, Unavailable, UsageError, shown_path
from mm.store import SOCKET_NAME, cluster_url, secrets_directory, socket_url

#: With less room than this a disk is said to be full, in bytes.
LEAST_ROOM = 1_000_000
#: Longest socket path, in bytes, that Linux (108 with the final zero) and macOS (104) accept.
MAX_SOCKET_PATH = 103
#: Seconds that a new owner waits for commands that copy the directory, and between two tries.
COPYING_S, TRY_S = 30.0, 0.05


@dataclass(frozen=True)
class DataDir:
    """Paths inside a data directory; nothing is touched until :meth:`prepare`."""

    path: Path

    def __str__(self) -> str:
        """The directory as texts for people name it."""
        return f"data directory {shown_path(self.path)}"

    @property
    def socket(self) -> Path:
        """The managed server's Unix socket, by the path as given: its links may keep it short."""
        return self.path.absolute() / SOCKET_NAME

    @property
    def logs(self) -> Path:
        """The directory of all log files."""
        return self.path / "logs"

    @property
    def secrets(self) -> Path:
        """The directory of the secrets of the managed server's users."""
        return secrets_directory(self.path)

    @property
    def system_id_file(self) -> Path:
        """The file that says which systems the directory belongs to."""
        return self.path / "system-id"

    @property
    def nodes(self) -> Path:
        """The directory of the nodes of a managed cluster; a single server has none."""
        return self.path / "nodes"

    @property
    def url(self) -> str:
        """The URL of the managed server, or of the managed cluster."""
        return cluster_url(self.nodes) if self.nodes.is_dir() else socket_url(self.socket)

    @property
    def served(self) -> list[str]:
        """The URLs of the servers that have a socket there: one, or the nodes of a cluster."""
        sockets = [self.socket, *sorted(self.nodes.glob(f"*/{SOCKET_NAME}"))]
        return [socket_url(one) for one in sockets if one.exists()]

    def prepare(self) -> None:
        """Create the directory with mode 0700; UsageError when it cannot be used."""
        self.check_length()
        try:
            self._check_ours()
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.path.chmod(0o700)
            self.logs.mkdir(exist_ok=True)
        except OSError as error:
            raise UsageError(
                f"{self}: cannot be used: {error.strerror or error}. Name one"
                " that you may write to with --data-dir."
            ) from error

    def check_length(self) -> None:
        """UsageError when the path of its socket is longer than the system allows."""
        length = len(os.fsencode(self.socket))
        if length > MAX_SOCKET_PATH:
            raise UsageError(
                f"{self}: its socket path {shown_path(self.socket)} has {length} bytes,"
                f" the system allows {MAX_SOCKET_PATH}. Use a directory with a shorter path"
                " (--data-dir /tmp/mm, say)."
            )

    def _check_ours(self) -> None:
        """Refuse a directory that holds files of somebody else, before anything in it changes."""
        if not self.path.is_dir():
            return
        names = {entry.name for entry in self.path.iterdir()} - {"lost+found"}
        if names <= {"logs"} or (self.logs.is_dir() and self._lock_is_ours()):
            return
        example = shown_path(self.path / sorted(names)[0])
        raise UsageError(
            f"{self}: it holds files that no `mm up` has written, such as {example}. Nothing was"
            " changed. Name an empty directory, a new one, or one of an earlier `mm up`."
        )

    def _lock_is_ours(self) -> bool:
        """Whether the lock holds a pid or nothing yet; without one, whether a server ran here."""
        try:
            with (self.path / "lock").open("rb") as file:
                return re.fullmatch(rb"(\d{1,10}\n)?", file.read(20)) is not None
        except FileNotFoundError:
            return (self.path / "made-by").is_file()


class Lock:
    """The right to run a system in a data directory, held until the ``with`` block ends.

    The kernel releases it when its owner dies. Raises SystemRefused while another process has it.
    Commands that copy the directory (see :func:`undisturbed`) are waited for.
    """

    def __init__(self, data_dir: DataDir) -> None:
        self._path = data_dir.path / "lock"
        self._file = self._path.open("a+", encoding="ascii")
        deadline = time.monotonic() + COPYING_S
        while not self._take():
            copied = self._is_copied()
            if copied and time.monotonic() < deadline:
                time.sleep(TRY_S)
                continue
            self._file.seek(0)
            owner = self._file.read().strip() or "unknown"
            self._file.close()
            where = shown_path(data_dir.path)
            if copied:
                raise SystemRefused(
                    f"{data_dir}: a command has been copying it for {COPYING_S:.0f} s, to read it."
                    " Try again when that has ended."
                )
            raise SystemRefused(
                f"{data_dir}: in use by another `mm up` (pid {owner}). Watch"
                f" that one with `mm watch --data-dir {where}`, stop it, or use another"
                " --data-dir."
            )
        self._file.truncate(0)
        self._file.write(f"{os.getpid()}\n")
        self._file.flush()

    def _take(self) -> bool:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _is_copied(self) -> bool:
        """Whether those who hold the lock only copy: they share it."""
        try:
            with self._path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    @property
    def lost(self) -> bool:
        """Whether the directory, or the lock in it, was removed or replaced since."""
        try:
            found = self._path.stat()
        except OSError:
            return True
        held = os.fstat(self._file.fileno())
        return (held.st_dev, held.st_ino) != (found.st_dev, found.st_ino)

    def __enter__(self) -> Lock:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()


@contextmanager
def undisturbed(data_dir: DataDir) -> Iterator[None]:
    """Keep every `mm up` out of the directory while it is copied. Several may copy it at once.

    It changes no byte there. Unavailable when an `mm up` has the directory.
    """
    try:
        file = (data_dir.path / "lock").open("rb")
    except FileNotFoundError:
        # A copy of a data directory may lack it.
        yield
        return
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Unavailable(
                f"{data_dir}: an `mm up` has just started there: try again."
            ) from error
        yield


def lock_owner(data_dir: DataDir) -> str | None:
    """The pid of the `mm up` that runs in the directory, as text; None when none runs there."""
    try:
        with (data_dir.path / "lock").open(encoding="ascii", errors="replace") as file:
            pid = file.read(20).strip()
            # Only a live owner is asked for the lock: taking it could keep out a new owner.
            os.kill(int(pid), 0)
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return pid
    except (OSError, ValueError):
        return None
    return None


def full_disk(data_dir: DataDir) -> str:
    """That the disk of the directory is full, in words; empty text while it has room."""
    try:
        left = shutil.disk_usage(data_dir.path).free
    except OSError:
        return ""
    if left >= LEAST_ROOM:
        return ""
    return f"the disk of {shown_path(data_dir.path)} is full, or nearly so: {left:,} bytes are left"
