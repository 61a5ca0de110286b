"""The archives of a data directory, copied: those of a stopped system, and those being written.

An archive is its file, and while it is open, or after its archivist was killed, a second one with
its newest commits (``-wal``). No file of the directory is opened for writing.
"""

from __future__ import annotations

import filecmp
import math
import re
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mm.errors import ArchiveBroken, Unavailable, shown_path
from mm.host.datadir import DataDir
from mm.host.private_copy import copy_file
from mm.store import Raw, Scripts, StreamReader

_NAME = re.compile(r"archive(-\d+)?\.db")
#: How often an archive is copied before it is said that it does not hold still, and the pause in
#: between, in seconds.
TRIES, PAUSE_S = 50, 0.1
DAY_MS = 86_400_000


def archives_of(data_dir: DataDir) -> list[Path]:
    """The files of all archives there, without their newest commits."""
    with suppress(OSError):
        return sorted(path for path in data_dir.path.iterdir() if _NAME.fullmatch(path.name))
    return []


def commits_of(archive: Path) -> Path:
    """The file with the newest commits of an archive, which may not be there."""
    return archive.with_name(f"{archive.name}-wal")


def archive_bytes(data_dir: DataDir) -> int:
    """The bytes of all archives there."""
    files = [file for one in archives_of(data_dir) for file in (one, commits_of(one))]
    return sum(file.stat().st_size for file in files if file.is_file())


@dataclass(frozen=True)
class ArchiveFacts:
    """An archive: its bytes and fills, and how many committed fills it lacks.

    ``days_left`` is how long the free disk lasts, if it grows as it has since the system was made.
    """

    size: int
    fills: int
    behind: int
    days_left: float


def archive_facts(scripts: Scripts, raw: Raw) -> ArchiveFacts:
    """The facts of the archive of a partition, zeros without one.

    ArchiveBroken when it is missing, or not the one that the keys name, or of another system.
    """
    committed = sum(int(one.position.get("position_version", 0)) for one in raw.symbols.values())
    found = StreamReader(scripts).archive()
    if found is None:
        return ArchiveFacts(0, 0, committed, math.inf)
    with found as archive:
        system_id = raw.config["system_id"]
        if archive.system_id != system_id:
            raise ArchiveBroken(
                f"{archive.where}: it is of the system {archive.system_id}, not of {system_id}"
            )
        size, fills = archive.path.stat().st_size, archive.size
        # A private copy is on another disk than the archive.
        free = shutil.disk_usage(scripts.archives_shown or archive.path.parent).free
    days = (raw.now_ms - int(raw.config["created_ms"])) / DAY_MS
    return ArchiveFacts(size, fills, max(committed - fills, 0), free * max(days, 1) / size)


def copy_live_archives(data_dir: DataDir, place: DataDir) -> None:
    """Copy the archives of a running system, each as of one instant and in one file.

    ArchiveBroken names the one that cannot be read.
    """
    # It needs SQLite, which few programs load.
    from mm.archive import copy_archive

    for archive in archives_of(data_dir):
        with suppress(FileNotFoundError):
            copy_archive(archive, place.path / archive.name)


def copy_archives(data_dir: DataDir, place: DataDir) -> None:
    """Copy the archives of a stopped system, each as of one instant.

    An archivist may live a little longer than its system: what changes meanwhile is copied again.
    Unavailable when an archive goes on changing.
    """
    for archive in archives_of(data_dir):
        for _ in range(TRIES):
            with suppress(FileNotFoundError):
                if _copied(archive, place.path / archive.name):
                    break
            time.sleep(PAUSE_S)
        else:
            raise Unavailable(
                f"{shown_path(archive)}: an archivist writes it, although no server runs there: end"
                " that archivist, or try again"
            )


def _copied(archive: Path, copy: Path) -> bool:
    """Copy the files of an archive; whether the copies belong together."""
    commits = commits_of(archive)
    before = _stamps(archive, commits)
    # What moves from one file to the other meanwhile is in the copies of both.
    if commits.exists():
        copy_file(commits, commits_of(copy))
    else:
        commits_of(copy).unlink(missing_ok=True)
    copy_file(archive, copy)
    same = not commits.exists() or filecmp.cmp(commits, commits_of(copy), shallow=False)
    return same and _stamps(archive, commits) == before


def _stamps(*files: Path) -> list[tuple[int, int, int] | None]:
    found = [file.stat() if file.exists() else None for file in files]
    return [one and (one.st_ino, one.st_size, one.st_mtime_ns) for one in found]
