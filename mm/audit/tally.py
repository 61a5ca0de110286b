"""A tally of what one check looked at and what it found, and exact numbers out of stored texts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from mm.store import is_stream_id

#: A check keeps this many texts of violations, and this many notes. It counts all violations.
KEEP = 20
_INTEGER = re.compile(r"-?[0-9]{1,16}")


@dataclass(frozen=True)
class Check:
    """The verdict on one invariant.

    ``checked`` counts what was looked at, by kind. ``violations`` holds the first texts, ``total``
    is the number of all violations. ``notes`` name what could not be judged and what is unusual.
    """

    name: str
    ok: bool
    checked: dict[str, int]
    violations: tuple[str, ...]
    total: int
    notes: tuple[str, ...]


@dataclass
class Tally:
    """One check while it runs: see :class:`Check` for the fields."""

    name: str
    checked: dict[str, int] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    total: int = 0
    notes: list[str] = field(default_factory=list)

    def count(self, kind: str, number: int = 1) -> None:
        """Count ``number`` more things of a kind as looked at."""
        self.checked[kind] = self.checked.get(kind, 0) + number

    def violation(self, text: str) -> None:
        """Record a violation."""
        self.total += 1
        if len(self.violations) < KEEP:
            self.violations.append(text)

    def expect(self, holds: bool, text: str) -> bool:
        """Record ``text`` as a violation unless ``holds``; returns ``holds``."""
        if not holds:
            self.violation(text)
        return holds

    def note(self, text: str) -> None:
        """Record a text that is not a violation; the same text only once."""
        if text not in self.notes and len(self.notes) < KEEP:
            self.notes.append(text)

    def integer(self, key: str, fields: Mapping[str, str], name: str) -> int | None:
        """The integer in a field of a key. None, and a violation, if it is missing or rubbish."""
        value = fields.get(name)
        if value is None:
            self.violation(f"{key} lacks {name}")
            return None
        if not _INTEGER.fullmatch(value):
            self.violation(f"{key} {name} {value!r}: it must be an integer")
            return None
        return int(value)

    def integers(self, key: str, fields: Mapping[str, str], *names: str) -> list[int] | None:
        """The integers in some fields, or None if one cannot be read; each such is a violation."""
        values = [self.integer(key, fields, name) for name in names]
        present = [value for value in values if value is not None]
        return present if len(present) == len(names) else None

    def optional_integers(self, key: str, fields: Mapping[str, str], *names: str) -> None:
        """Check that each of these fields is missing or an integer."""
        self.integers(key, fields, *(name for name in names if name in fields))

    def optional_stream_ids(self, key: str, fields: Mapping[str, str], *names: str) -> None:
        """Check that each of these fields is missing or the id of a stream entry."""
        for name in names:
            value = fields.get(name, "0-0")
            self.expect(is_stream_id(value), f"{key} {name} {value!r}: it must be a stream id")

    def verdict(self) -> Check:
        """The verdict on what was recorded."""
        return Check(
            self.name,
            self.total == 0,
            dict(self.checked),
            tuple(self.violations),
            self.total,
            tuple(self.notes),
        )


def integer_or_none(fields: Mapping[str, str], name: str) -> int | None:
    """The integer in a field whose rubbish another check reports; None if it cannot be read."""
    value = fields.get(name, "")
    return int(value) if _INTEGER.fullmatch(value) else None


def is_digits(word: bytes | str) -> bool:
    """Whether the word is 1 to 16 decimal digits."""
    return len(word) <= 16 and word.isascii() and word.isdigit()


def listed(names: Iterable[str], max_names: int = 5) -> str:
    """The first names as text, and how many more there are."""
    every = list(names)
    rest = f" and {len(every) - max_names} more" if len(every) > max_names else ""
    return ", ".join(every[:max_names]) + rest
