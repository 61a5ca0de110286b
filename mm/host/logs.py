"""Log files: one file per process, one line per event, bounded in size."""

from __future__ import annotations

import logging
import logging.handlers
from pathlib import Path

MAX_BYTES = 20_000_000
KEPT_FILES = 5


def log_to_file(path: Path) -> None:
    """Send the package's log to ``path``, rotated; OSError when it cannot be written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _log_to(
        logging.handlers.RotatingFileHandler(
            path, maxBytes=MAX_BYTES, backupCount=KEPT_FILES, encoding="utf-8"
        )
    )


def log_to_stderr() -> None:
    """Send the package's log to standard error, for a process started by hand."""
    _log_to(logging.StreamHandler())


def _log_to(handler: logging.Handler) -> None:
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    root = logging.getLogger("mm")
    root.setLevel(logging.INFO)
    root.addHandler(handler)
    root.propagate = False
