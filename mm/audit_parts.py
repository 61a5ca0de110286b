"""What the audit is made of: tallies of what was checked, exact numbers, streams in chunks."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import redis

from mm.scripts import Scripts, execute, text

#: Violations and notes whose text is kept, a check; all are counted.
KEEP = 20
#: Records to read from the server at once, about: few, so that the market does not feel it.
CHUNK = 4_000

_STREAM_ID = re.compile(r"[0-9]{1,20}-[0-9]{1,20}")
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


def is_stream_id(value: str) -> bool:
    """Whether the text is the id of a stream entry."""
    return _STREAM_ID.fullmatch(value) is not None


class Reader:
    """Reads streams, sets and hashes in chunks, as flat bytes: no record hides behind another."""

    def __init__(self, scripts: Scripts) -> None:
        self.keys = scripts.keys
        # The library makes dictionaries of these replies, in which a repeated name is lost.
        self.client = redis.Redis(connection_pool=scripts.client.connection_pool)
        for command in ("XRANGE", "XREVRANGE"):
            self.client.set_response_callback(command, lambda reply, **_: reply)

    def entries(self, key: str, last_id: str) -> Iterator[tuple[bytes, list[bytes]]]:
        """The entries of a stream up to ``last_id``, oldest first: id, flat names and values."""
        count, start = 100, "-"
        while last_id != "0-0":
            chunk = execute(self.client, "XRANGE", key, start, last_id, "COUNT", count)
            records = 0
            for entry, flat in chunk:
                records += len(flat) // 2
                yield entry, flat
            if len(chunk) < count:
                return
            start = "(" + text(chunk[-1][0])
            # Entries hold from one record to a thousand: adapt to what these hold.
            count = max(1, min(CHUNK, count * CHUNK // max(records, 1)))

    def records(self, key: str, last_id: str) -> Iterator[tuple[bytes, bytes, bytes]]:
        """The records of a stream up to ``last_id``, oldest first: entry id, name, line."""
        for entry, flat in self.entries(key, last_id):
            for i in range(0, len(flat), 2):
                yield entry, flat[i], flat[i + 1]

    def members(self, family: str) -> list[str]:
        """The members of a key family that exist, such as the client ids of ``reports:*``."""
        prefix = self.keys.named(family)
        found: set[str] = set()
        cursor = "0"
        while True:
            reply = execute(self.client, "SCAN", cursor, "MATCH", prefix + "*", "COUNT", 1_000)
            found.update(text(key).removeprefix(prefix) for key in reply[1])
            cursor = text(reply[0])
            if cursor == "0":
                return sorted(found)

    def fields(self, key: str) -> Iterator[tuple[bytes, bytes]]:
        """The fields of a hash with their values; one may come twice."""
        cursor = "0"
        while True:
            reply = execute(self.client, "HSCAN", key, cursor, "COUNT", CHUNK)
            yield from reply[1].items()
            cursor = text(reply[0])
            if cursor == "0":
                return


class Fingerprints:
    """A bag of millions of records in 8 bytes each, to find repeats and differences.

    Two records that differ have the same fingerprint once in 2^64; whoever accuses by one
    therefore reads the records themselves again.
    """

    def __init__(self) -> None:
        self._shards = [array("q") for _ in range(64)]

    def __len__(self) -> int:
        return sum(len(shard) for shard in self._shards)

    def add(self, *words: bytes) -> None:
        """Put a record in."""
        self.put(fingerprint(*words))

    def put(self, mark: int) -> None:
        """Put a record in by its fingerprint."""
        self._shards[mark % 64].append(mark)

    def repeated(self) -> set[int]:
        """The fingerprints that stand there more than once."""
        found: set[int] = set()
        for shard in self._shards:
            if len(set(shard)) < len(shard):
                ranked = sorted(shard)
                found.update(a for a, b in pairwise(ranked) if a == b)
        return found

    def common(self, other: Fingerprints) -> set[int]:
        """The fingerprints that stand in both."""
        found: set[int] = set()
        for mine, theirs in zip(self._shards, other._shards, strict=True):
            if mine and theirs:
                found.update(set(mine).intersection(theirs))
        return found

    def missing_from(self, *others: Fingerprints) -> set[int]:
        """The fingerprints that stand here and in none of the others."""
        found: set[int] = set()
        for i, shard in enumerate(self._shards):
            found.update(set(shard).difference(*(other._shards[i] for other in others)))
        return found


def fingerprint(*words: bytes) -> int:
    """The fingerprint of a record, signed 64 bits; it means nothing outside this process."""
    return hash(b" ".join(words))


def listed(names: Iterable[str], most: int = 5) -> str:
    """Some names as text, and how many more there are."""
    every = list(names)
    rest = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(every[:most]) + rest


def ordered(entry_id: str) -> tuple[int, int]:
    """A stream entry's id as what ids are ordered by; one that is none is before all others."""
    ms, _, seq = entry_id.partition("-")
    return (int(ms), int(seq or 0)) if is_stream_id(entry_id) else (-1, 0)
