"""The secrets of a data directory: one file for each user of its server, readable by its owner.

A program that has the directory of a server's socket reads there with what it connects. So no
secret stands on a command line, in an environment or in a log.
"""

from __future__ import annotations

import hashlib
import re
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
    return read_secret(directory / user) if directory.is_dir() else None


def read_secret(path: Path) -> str:
    """The secret in a file that has its user's name. SystemRefused as for :func:`secret_of`."""
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


def hashed(secret: str) -> str:
    """The secret as the server keeps it: its SHA-256 in hex."""
    return hashlib.sha256(secret.encode()).hexdigest()
