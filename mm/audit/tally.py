"""What the audit is made of: tallies of what was checked, exact numbers, streams in chunks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from mm.store import is_stream_id

#: Violations and notes whose text is kept, a check; all are counted.
KEEP = 20
_INTEGER = re.compile(r"-?[0-9]{1,16}")


@dataclass(frozen=True)
class Check:
    """The verdict on one invariant.

    ``checked`` counts what was looked at, by kind. ``violations`` holds the first texts, ``total``
    says how many there are. ``notes`` say what could not be judged, or what is good to know.
    """

    name: str
    ok: bool
    checked: dict[str, int]
    violations: tuple[str, ...]
    total: int
    notes: tuple[str, ...]


@dataclass
class Tally:
    """A check in the making."""

    name: str
    checked: dict[str, int] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    total: int = 0
    notes: list[str] = field(default_factory=list)

    def count(self, what: str, number: int = 1) -> None:
        """Count ``number`` more of what was looked at."""
        self.checked[what] = self.checked.get(what, 0) + number

    def violation(self, said: str) -> None:
        """Record a violation; only the first texts are kept."""
        self.total += 1
        if len(self.violations) < KEEP:
            self.violations.append(said)

    def expect(self, holds: bool, said: str) -> bool:
        """Record ``said`` as a violation unless it holds; whether it holds."""
        if not holds:
            self.violation(said)
        return holds

    def note(self, said: str) -> None:
        """Say something that is no violation, once."""
        if said not in self.notes and len(self.notes) < KEEP:
            self.notes.append(said)

    def integer(self, where: str, stored: Mapping[str, str], name: str) -> int | None:
        """The integer in a field, or None: then its absence or its text is a violation."""
        value = stored.get(name)
        if value is None:
            self.violation(f"{where} lacks {name}")
            return None
        if not _INTEGER.fullmatch(value):
            self.violation(f"{where} {name} {value!r}: it must be an integer")
            return None
        return int(value)

    def integers(self, where: str, stored: Mapping[str, str], *names: str) -> list[int] | None:
        """The integers in some fields, or None when one is not there; each is a violation."""
        found = [self.integer(where, stored, name) for name in names]
        return None if None in found else [one for one in found if one is not None]

    def optional(self, where: str, stored: Mapping[str, str], *names: str) -> None:
        """Fields that may be missing, but where they are there must be integers."""
        self.integers(where, stored, *(name for name in names if name in stored))

    def stream_ids(self, where: str, stored: Mapping[str, str], *names: str) -> None:
        """Fields that may be missing, but where they are there must be stream ids."""
        for name in names:
            value = stored.get(name, "0-0")
            self.expect(is_stream_id(value), f"{where} {name} {value!r}: it must be a stream id")

    def freeze(self) -> Check:
        """The verdict."""
        return Check(
            self.name,
            self.total == 0,
            dict(self.checked),
            tuple(self.violations),
            self.total,
            tuple(self.notes),
        )


def integer(stored: Mapping[str, str], name: str) -> int | None:
    """The integer in a field, or None; for a check that does not own the field."""
    value = stored.get(name, "")
    return int(value) if _INTEGER.fullmatch(value) else None


def digits(word: bytes | str) -> bool:
    """Whether the word is a plain integer that is not too long to be one of this system."""
    return len(word) <= 16 and word.isascii() and word.isdigit()


def listed(names: Iterable[str], most: int = 5) -> str:
    """Some names as text, and how many more there are."""
    every = list(names)
    rest = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(every[:most]) + rest
