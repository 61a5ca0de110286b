"""Log files: one file per process, one line per event, bounded in size, times in UTC.

A line is text for people, or one JSON object.
"""

from __future__ import annotations

import json
import logging
import logging.handlers
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mm.log_event import LogEvent

LogFormat = Literal["text", "json"]
LOG_FORMATS: tuple[LogFormat, ...] = ("text", "json")
MAX_BYTES = 20_000_000
KEPT_FILES = 5


@dataclass(frozen=True)
class LogOptions:
    """How a process logs.

    ``detail`` adds a line for each step, each order, each fill and each proposal. ``form`` is what
    a line is.
    """

    detail: bool = False
    form: LogFormat = "text"

    def words(self) -> tuple[str, ...]:
        """The options of a command that logs so."""
        detail = ("--log-detail",) if self.detail else ()
        return (*detail, *(("--log-format", self.form) if self.form != "text" else ()))


def log_to_file(path: Path, options: LogOptions = LogOptions()) -> None:  # it is frozen
    """Send the package's log to ``path``, rotated; OSError when it cannot be written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _log_to(
        logging.handlers.RotatingFileHandler(
            path, maxBytes=MAX_BYTES, backupCount=KEPT_FILES, encoding="utf-8", errors="replace"
        ),
        options,
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


def log_to_stderr(options: LogOptions = LogOptions()) -> None:  # it is frozen
    """Send the package's log to standard error, for a process started by hand."""
    _log_to(logging.StreamHandler(), options)


class _Text(logging.Formatter):
    """Lines with their time in UTC, as in ``2026-01-31T12:00:00.123Z``."""

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"


class _Json(_Text):
    """One JSON object a line: when, how grave, who, what happened, and its facts.

    A line is ASCII, so that nothing in it breaks a line or a reader.
    """

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "at": self.formatTime(record),
            "level": record.levelname.lower(),
            "process": _whole(record.name.removeprefix("mm.")),
        }
        if isinstance(record.msg, LogEvent):
            line["event"] = record.msg.name
            facts = record.msg.facts.items()
            line |= {_whole(name): _value(one) for name, one in facts if name not in line}
        else:
            line |= {"event": "note", "text": _whole(record.getMessage())}
        if record.exc_info:
            line["error"] = _whole(self.formatException(record.exc_info))
        return json.dumps(line)


def _value(value: object) -> object:
    return value if isinstance(value, int) else _whole(str(value))


def _whole(text: str) -> str:
    """The text without half characters, which no other program could read."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _log_to(handler: logging.Handler, options: LogOptions) -> None:
    made = _Json if options.form == "json" else _Text
    handler.setFormatter(made("%(asctime)s %(levelname)s %(name)s %(message)s"))
    root = logging.getLogger("mm")
    root.setLevel(logging.DEBUG if options.detail else logging.INFO)
    root.addHandler(handler)
    root.propagate = False
