"""The secrets of a data directory: one file for each user of its server, readable by its owner.

A program that has the directory of a server's socket reads there with what it connects. So no
secret stands on a command line, in an environment or in a log.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
from collections.abc import Iterable
from pathlib import Path

from mm.errors import SystemRefused, shown_path

_SECRET = re.compile(r"[0-9a-f]{64}")


def secrets_directory(place: Path) -> Path:
    """Where the secrets of a server are whose socket lies in the directory ``place``."""
    return place / "secrets"


def secret_of(place: Path, user: str) -> str | None:
    """The user's secret, or None where the server of this directory has no users.

    SystemRefused when there are secrets but none of this user, or when its file cannot be read.
    """
    directory = secrets_directory(place)
    return _read(directory / user) if directory.is_dir() else None


def _read(path: Path) -> str:
    directory, user = path.parent, path.name
    try:
        found = path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        raise SystemRefused(
            f"{shown_path(directory)} has no secret of the user {user}: `mm acl --add {user}`"
            " makes one"
        ) from None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise SystemRefused(f"{shown_path(path)}: cannot be read: {why}") from error
    if not _SECRET.fullmatch(found):
        raise SystemRefused(f"{shown_path(path)}: it must hold 64 hex digits")
    return found


def make_secrets(directory: Path, users: Iterable[str]) -> dict[str, str]:
    """The secrets in a directory by user: those of these users, and those that are there already.

    Missing ones are made. SystemRefused when a file cannot be read, OSError when one cannot be
    written.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.chmod(0o700)
    for user in users:
        with contextlib.suppress(FileExistsError):
            # Only its owner may ever read it, whatever the umask is.
            file = os.open(directory / user, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(file, "w", encoding="ascii") as opened:
                opened.write(secrets.token_hex(32) + "\n")
    return {path.name: _read(path) for path in sorted(directory.iterdir())}


def hashed(secret: str) -> str:
    """The secret as the server keeps it: its SHA-256 in hex."""
    return hashlib.sha256(secret.encode()).hexdigest()
