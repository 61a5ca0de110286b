"""What `mm doctor` says of one thing that it looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "look", "wrong"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: what it is, how it is, and what to do unless it is ``ok``."""

    about: str
    verdict: Verdict
    found: str
    todo: str = ""


def look(about: str, good: bool, found: str, todo: str) -> Finding:
    """What is ok when it is ``good``, and else worth a look."""
    return Finding(about, "ok", found) if good else Finding(about, "look", found, todo)
