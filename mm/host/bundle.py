"""A backup on disk: a directory with the files of a data directory and a manifest of their sums.

It is made beside its place under another name, with its manifest as the last file, put on disk, and
then renamed. So nothing under its name is unfinished, whenever its maker is killed.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mm.errors import SystemRefused, UsageError, shown_path
from mm.host.datadir import DataDir
from mm.host.private_copy import copy_file, locked, places_of
from mm.host.state_file import sync_directory

#: The manifest of a backup and its form, and the directory of the files beside it.
MANIFEST, FORM, FILES = "backup.json", 1, "data"
#: What of a data directory, or of the directory of a node, a backup has beside the log.
_OF_SERVER = ("made-by", "nodes.conf", "port")
_OF_SYSTEM = ("system-id", "cluster")


@dataclass(frozen=True)
class Manifest:
    """What a backup says of itself.

    ``instant_ms`` is when: it has every write that was acknowledged before. ``systems`` are the ids
    by key prefix, and ``server`` is what wrote the log. ``users`` get a secret when it is restored.
    ``files`` are the size and the SHA-256 of each file, by its path.
    """

    mm_version: str
    instant_ms: int
    systems: dict[str, str]
    server: str
    cluster: bool
    users: list[str]
    files: dict[str, tuple[int, str]]

    @property
    def size(self) -> int:
        """The bytes of all files."""
        return sum(size for size, _ in self.files.values())

    def text(self) -> str:
        """The manifest as its file has it: with a sum of itself."""
        facts = {"form": FORM, **asdict(self)}
        return json.dumps(facts | {"sha256": _sum_of(facts)}, indent=1) + "\n"


def _sum_of(facts: dict[str, Any]) -> str:
    plain = json.dumps(json.loads(json.dumps(facts)), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(plain.encode()).hexdigest()


@contextmanager
def unfinished(target: Path, empty: bool = True) -> Iterator[Path]:
    """A new directory beside ``target``, which becomes ``target`` when the block ends well.

    With ``empty`` an empty ``target`` is replaced. UsageError when there is anything else, or when
    it cannot lie there; SystemRefused while another command makes it.
    """
    target = target.parent.resolve() / target.name if target.name.strip(".") else target.resolve()
    if os.path.lexists(target) and not (empty and _is_empty(target)):
        raise UsageError(
            f"{shown_path(target)}: it is there already, and is not changed. Name a new directory."
        )
    if not target.parent.is_dir():
        raise UsageError(f"{shown_path(target.parent)}: no such directory. Make it first.")
    path = target.with_name(f".{target.name}.unfinished")
    try:
        path.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{shown_path(path)}: {error.strerror or error}") from error
    with ExitStack() as undo:
        try:
            undo.enter_context(locked(path, wait=False))
        except BlockingIOError:
            raise SystemRefused(f"{shown_path(target)}: another command is making it.") from None
        undo.callback(shutil.rmtree, path, ignore_errors=True)
        # What a killed one has left.
        for one in path.iterdir():
            shutil.rmtree(one) if one.is_dir() and not one.is_symlink() else one.unlink()
        path.chmod(0o700)
        yield path
        _sync(path)
        path.rename(target)
        undo.pop_all()
    sync_directory(target.parent)


def _is_empty(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink() and not any(path.iterdir())


def _sync(path: Path) -> None:
    """Put all files and directories below on disk."""
    for directory, _, names in os.walk(path):
        for name in names:
            with (Path(directory) / name).open("rb") as file:
                os.fsync(file.fileno())
        sync_directory(Path(directory))


def files_beside(data_dir: DataDir) -> list[Path]:
    """The files that a backup has beside the logs, relative to the directory; never a secret."""
    found = [Path(name) for name in _OF_SYSTEM]
    for place in places_of(data_dir):
        own = place.path.relative_to(data_dir.path)
        found += [own / name for name in _OF_SERVER]
    return [one for one in found if (data_dir.path / one).is_file()]


def holds_keys(place: DataDir) -> bool:
    """Whether the log of a server is kept: replicas get the keys of their primaries."""
    nodes = place.path / "nodes.conf"
    return not nodes.exists() or "myself,master" in nodes.read_text()


def copy_files(source: Path, target: Path, names: list[Path]) -> None:
    """Copy files, each readable by its owner alone."""
    for name in names:
        copy = target / name
        for missing in reversed([one for one in copy.parents if not one.exists()]):
            missing.mkdir(mode=0o700)
        copy_file(source / name, copy)


def sums(place: Path) -> dict[str, tuple[int, str]]:
    """The size and the SHA-256 of each file below ``place``, by its path there."""
    files = sorted(path for path in place.rglob("*") if path.is_file())
    return {path.relative_to(place).as_posix(): _sum(path) for path in files}


def _sum(path: Path) -> tuple[int, str]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return file.tell(), digest


def read_manifest(backup: Path) -> Manifest:
    """The manifest of a backup; UsageError when it is none, SystemRefused when it is altered."""
    path = backup / MANIFEST
    where = shown_path(path)
    try:
        data = path.read_bytes()
        facts = json.loads(data)
    except FileNotFoundError:
        raise UsageError(
            f"{shown_path(backup)}: no backup of `mm backup` is there: it has no {MANIFEST}"
        ) from None
    except NotADirectoryError:
        raise UsageError(f"{shown_path(backup)}: it is no directory") from None
    except OSError as error:
        raise UsageError(f"{where}: cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError):
        raise SystemRefused(f"{where}: it is altered: it is not JSON") from None
    if not isinstance(facts, dict) or facts.pop("sha256", None) != _sum_of(facts):
        raise SystemRefused(f"{where}: it is altered: its sum is not the one that it had")
    if (form := facts.pop("form", None)) != FORM:
        raise SystemRefused(
            f"{where}: its form is {form}, this version of mm reads {FORM}. Restore it with mm"
            f" {facts.get('mm_version')}."
        )
    facts["files"] = {name: (size, digest) for name, (size, digest) in facts["files"].items()}
    if any(Path(name).is_absolute() or ".." in Path(name).parts for name in facts["files"]):
        raise SystemRefused(f"{where}: it names files outside the backup")
    manifest = Manifest(**facts)
    if manifest.text().encode() != data:
        raise SystemRefused(f"{where}: it is altered: it is written in another way")
    return manifest


def check_files(backup: Path, manifest: Manifest) -> list[Path]:
    """The files of a backup; SystemRefused names the first one that is not as it was."""
    place = backup / FILES
    for name, (size, digest) in manifest.files.items():
        where = shown_path(place / name)
        try:
            if (place / name).is_symlink():
                raise SystemRefused(f"{where}: it is altered: it is a link")
            found_size, found_digest = _sum(place / name)
        except OSError as error:
            why = error.strerror or str(error)
            raise SystemRefused(f"{where}: it is missing from the backup: {why}") from error
        if found_size != size:
            raise SystemRefused(
                f"{where}: it is altered: it has {found_size:,} bytes, the backup had {size:,}"
            )
        if found_digest != digest:
            raise SystemRefused(f"{where}: it is altered: its SHA-256 is not the one that it had")
    known = {place / name for name in manifest.files}
    for path in sorted(place.rglob("*")):
        if not path.is_dir() and path not in known:
            raise SystemRefused(f"{shown_path(path)}: the backup did not have it")
    return [Path(name) for name in manifest.files]
