"""Small files that must be whole after any crash: written to a temporary file, then renamed."""

from __future__ import annotations

import os
import re
from pathlib import Path

from mm.errors import SystemRefused

#: No state file is longer; one that is, is not ours.
MAX_STATE_BYTES = 64 * 1024


#: How the name of a temporary file ends. A crash may leave one.
TEMPORARY = ".new"


def write_state(path: Path, text: str, mode: int = 0o666) -> None:
    """Replace the file's content. After a crash it holds the old text or the new one, whole.

    ``mode`` are the rights to the file, from which the umask takes away.
    """
    temporary = path.with_name(f"{path.name}{TEMPORARY}")
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_directory(path.parent)


def read_state(path: Path, pattern: str, holds: str) -> str | None:
    """The file's content, or None when there is no such file.

    SystemRefused when it cannot be read, or when the content does not match ``pattern``; ``holds``
    says in the error what the file must hold.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_STATE_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SystemRefused(f"{path}: cannot be read: {error.strerror or error}") from error
    text = data.decode("ascii", "replace")
    if not re.fullmatch(pattern, text):
        shown = "it is empty" if not text.strip() else f"found {text[:60]!r}"
        raise SystemRefused(
            f"{path}: it must hold {holds}; {shown}. Restore it from a backup of the directory."
        )
    return text


def sync_directory(path: Path) -> None:
    """Put the directory's list of files on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
