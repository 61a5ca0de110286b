"""Faults of an archive: a full disk, and an old copy in the place of the file."""

from __future__ import annotations

import contextlib
import resource
from pathlib import Path
from typing import Any

from redis.exceptions import RedisError

from mm.archive import Archive, copy_archive
from mm.errors import MMError
from mm.lab.chaos.harmed import Effect, HarmedSystem, timer
from mm.lab.chaos.plan import FaultEvent
from mm.store import Scripts, stream_id_order

#: The archivists may write so many bytes of a file: less than an archive has.
FULL_BYTES = 4_096


def fill_disk(system: HarmedSystem[Any], fault: FaultEvent) -> Effect:
    """Let the archivists that run now write no further until the fault ends."""
    pids = system.pids(system.names(fault.target))
    for pid in pids:
        _limit(pid, FULL_BYTES)

    def end() -> None:
        for pid in pids:
            _limit(pid, None)

    return Effect(timer(fault.hold_ms / 1000), end, lambda: bool(pids))


def _limit(pid: int, size: int | None) -> None:
    with contextlib.suppress(ProcessLookupError):
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard if size is None else size, hard))


def keep_archive_copies(system: HarmedSystem[Any]) -> None:
    """Copy each archive, once, so that a later fault finds an old one."""
    for path, _ in system.archives.values():
        if not (old := old_copy(path)).exists():
            try:
                copy_archive(path, old)
            except (MMError, FileNotFoundError):
                # Before the first fill is archived there is nothing to copy: a later fault tries
                # again.
                old.unlink(missing_ok=True)


def old_copy(path: Path) -> Path:
    """Where the old copy of an archive is."""
    return path.with_suffix(".old")


def put_old_archive(system: HarmedSystem[Any], fault: FaultEvent) -> Effect:
    """Put an old copy in the place of the target's archive, and the right file back later.

    It applies when the copy lacks fills that have left the ledger since: another one would get what
    it lacks from there, and be the right one.
    """
    path, scripts = system.archives[fault.target]
    old, away = old_copy(path), path.with_suffix(".away")
    pids = system.pids(system.names(fault.target))
    system.freeze(pids)
    is_stale = _is_stale(scripts, old)
    if is_stale:
        away.mkdir()
        _move(path, away)
        path.write_bytes(old.read_bytes())
    system.thaw(pids)

    def end() -> None:
        if is_stale:
            others = system.pids(system.names(fault.target))
            system.freeze(others)
            for one in path.parent.glob(f"{path.name}*"):
                one.unlink()
            for one in away.iterdir():
                one.rename(path.parent / one.name)
            away.rmdir()
            system.thaw(others)

    return Effect(timer(fault.hold_ms / 1000 if is_stale else 0), end, lambda: is_stale)


def _is_stale(scripts: Scripts, old: Path) -> bool:
    try:
        trimmed_to = stream_id_order(scripts.archive_state().trimmed_to)
        with Archive(old) as archive:
            return archive.last_id < trimmed_to
    except (RedisError, MMError, OSError):
        return False


def _move(path: Path, directory: Path) -> None:
    # What the file's newest commits are in goes with it.
    for one in path.parent.glob(f"{path.name}*"):
        one.rename(directory / one.name)
