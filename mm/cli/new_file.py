"""Files that a command begins for its user: a configuration, a quote rule."""

from __future__ import annotations

from pathlib import Path

from mm.errors import UsageError


def write_new_file(path: Path, text: str, force: bool) -> None:
    """Write the text to a file that does not exist yet; with ``force`` an existing one is lost.

    UsageError when it exists, or cannot be written.
    """
    try:
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise UsageError(f"{path}: the file exists; --force overwrites it") from error
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from error
