"""Log files: one a process, a line an event, bounded in size."""

from __future__ import annotations

import logging
import logging.handlers
from pathlib import Path

MAX_BYTES = 20_000_000
KEPT_FILES = 5


def log_to_file(path: Path) -> None:
    """Send the package's log to ``path``, rotated; OSError when it cannot be written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.handlers.RotatingFileHandler(
        path, maxBytes=MAX_BYTES, backupCount=KEPT_FILES, encoding="utf-8"
    )
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    root = logging.getLogger("mm")
    root.setLevel(logging.INFO)
    root.addHandler(handler)
    root.propagate = False


def log_to_stderr() -> None:
    """Send the package's log to standard error, for a process started by hand."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    root = logging.getLogger("mm")
    root.setLevel(logging.INFO)
    root.addHandler(handler)
    root.propagate = False
