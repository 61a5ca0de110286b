"""The log of a running server, copied up to one instant while the server goes on writing it.

A server only appends to its log: to the last file that its manifest names. A file that is open
stays readable when a rewrite removes it. So the files are opened first and measured later; while
the manifest has not changed since, the measured bytes are all that the server had written then. It
acknowledges nothing before it has written it.
"""

from __future__ import annotations

import os
import re
import stat
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import BinaryIO

from mm.errors import SystemRefused
from mm.host.private_copy import LOG_DIRECTORY

#: What a line of the manifest says: a file, its number, and base, increment or history.
_LINE = re.compile(r"file ([A-Za-z0-9._-]+) seq [0-9]+ type ([bih])( .*)?")
MANIFEST = "*.manifest"


class LiveLog:
    """The files of one log, open until ``undo`` ends.

    FileNotFoundError when a rewrite has just replaced one: open it again. SystemRefused when the
    manifest is none.
    """

    def __init__(self, place: Path, undo: ExitStack) -> None:
        self.place = place
        self._manifest = next((place / LOG_DIRECTORY).glob(MANIFEST), None)
        if self._manifest is None:
            raise FileNotFoundError(2, "it has no manifest yet", str(place / LOG_DIRECTORY))
        self._written = self._manifest.read_bytes()
        self._lines: list[str] = []
        self._files: list[tuple[str, BinaryIO]] = []
        self._sizes: list[int] = []
        for line in self._written.decode("ascii", "replace").splitlines():
            found = _LINE.fullmatch(line)
            if found is None:
                raise SystemRefused(f"{self._manifest}: {line[:80]!r} is no line of a manifest")
            # What a rewrite has replaced is removed by the server.
            if found[2] != "h":
                file = undo.enter_context((self._manifest.parent / found[1]).open("rb"))
                self._files.append((found[1], file))
                self._lines.append(line)

    def measure(self) -> None:
        """Take the sizes at this instant: so much is copied later."""
        self._sizes = [os.fstat(file.fileno()).st_size for _, file in self._files]

    @property
    def unchanged(self) -> bool:
        """Whether the log still has the files that were opened."""
        assert self._manifest is not None
        with suppress(OSError):
            return self._manifest.read_bytes() == self._written
        return False

    @property
    def size(self) -> int:
        """The measured bytes of all files."""
        return sum(self._sizes)

    def copy(self, place: Path) -> None:
        """Write the measured log into the data directory ``place``.

        What is copied is on disk in the source too: nothing is in the copy that the server could
        still lose.
        """
        assert self._manifest is not None
        target = place / LOG_DIRECTORY
        target.mkdir(mode=0o700, parents=True)
        for (name, file), size in zip(self._files, self._sizes, strict=True):
            os.fsync(file.fileno())
            with _private_file(target / name) as copy:
                left = size
                while left and (data := file.read(min(left, 1 << 20))):
                    copy.write(data)
                    left -= len(data)
            if left:
                raise SystemRefused(f"{name}: it is shorter than it was: {left:,} bytes are gone")
        with _private_file(target / self._manifest.name) as copy:
            copy.write("".join(f"{line}\n" for line in self._lines).encode("ascii"))


def _private_file(path: Path) -> BinaryIO:
    """A new file that only its owner can read."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, stat.S_IRUSR | stat.S_IWUSR)
    return os.fdopen(handle, "wb")


def copy_nodes_file(path: Path, copy: Path) -> None:
    """Copy what a node knows of the others, whole: older servers write it in place."""
    last = b""
    for _ in range(100):
        found = path.read_bytes()
        if found == last and b"vars currentEpoch" in found:
            copy.write_bytes(found)
            return
        last = found
    raise SystemRefused(f"{path}: it changes all the time, or is not that of a node")
