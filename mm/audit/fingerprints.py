"""Millions of records, 8 bytes each, compared by their fingerprints."""

from __future__ import annotations

from array import array
from itertools import pairwise


class Fingerprints:
    """A bag of records of which only the fingerprints are kept, 8 bytes each.

    Two different records have the same fingerprint once in 2^64. So a difference found here must
    be confirmed with the records themselves before it is reported.
    """

    def __init__(self) -> None:
        # In parts, so that a set or a sorted copy for a comparison is never made of all at once.
        self._shards = [array("q") for _ in range(64)]

    def __len__(self) -> int:
        return sum(len(shard) for shard in self._shards)

    def add(self, *words: bytes) -> None:
        """Add a record."""
        self.add_mark(fingerprint(*words))

    def add_mark(self, mark: int) -> None:
        """Add a record by its fingerprint."""
        self._shards[mark % 64].append(mark)

    def repeated(self) -> set[int]:
        """The fingerprints that were added more than once."""
        marks: set[int] = set()
        for shard in self._shards:
            if len(set(shard)) < len(shard):
                marks.update(a for a, b in pairwise(sorted(shard)) if a == b)
        return marks

    def common(self, other: Fingerprints) -> set[int]:
        """The fingerprints that are in both bags."""
        marks: set[int] = set()
        for mine, theirs in zip(self._shards, other._shards, strict=True):
            if mine and theirs:
                marks.update(set(mine).intersection(theirs))
        return marks

    def missing_from(self, *others: Fingerprints) -> set[int]:
        """The fingerprints that are here and in none of the others."""
        marks: set[int] = set()
        for i, shard in enumerate(self._shards):
            marks.update(set(shard).difference(*(other._shards[i] for other in others)))
        return marks


def fingerprint(*words: bytes) -> int:
    """The fingerprint of a record, a signed 64-bit integer; valid in this process only."""
    return hash(b" ".join(words))
