"""Log files: one file per process, one line per event, bounded in size, times in UTC."""

from __future__ import annotations

import logging
import logging.handlers
import time
from contextlib import suppress
from pathlib import Path

MAX_BYTES = 20_000_000
KEPT_FILES = 5


def log_to_file(path: Path, detail: bool = False) -> None:
    """Send the package's log to ``path``, rotated; OSError when it cannot be written.

    ``detail`` adds a line for each step: each match, commit, expiry and proposal.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _log_to(
        logging.handlers.RotatingFileHandler(
            path, maxBytes=MAX_BYTES, backupCount=KEPT_FILES, encoding="utf-8"
        ),
        detail,
    )


def rotate(path: Path) -> None:
    """Begin a new file when this one is full, and keep as many as a process does.

    It is for a server: it opens its log anew for each line. Nothing when that cannot be done.
    """
    with suppress(OSError):
        if path.stat().st_size < MAX_BYTES:
            return
        for number in range(KEPT_FILES - 1, 0, -1):
            with suppress(FileNotFoundError):
                path.with_name(f"{path.name}.{number}").replace(f"{path}.{number + 1}")
        path.replace(f"{path}.1")


def log_to_stderr(detail: bool = False) -> None:
    """Send the package's log to standard error, for a process started by hand."""
    _log_to(logging.StreamHandler(), detail)


class _Formatter(logging.Formatter):
    """Lines with their time in UTC, as in ``2026-01-31T12:00:00.123Z``."""

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"


def _log_to(handler: logging.Handler, detail: bool) -> None:
    handler.setFormatter(_Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    root = logging.getLogger("mm")
    root.setLevel(logging.DEBUG if detail else logging.INFO)
    root.addHandler(handler)
    root.propagate = False
