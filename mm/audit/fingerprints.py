"""Millions of records held in 8 bytes each, to find repeats and differences."""

from __future__ import annotations

from array import array
from itertools import pairwise


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
