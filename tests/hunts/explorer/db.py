"""A server's keys at an instant, never changed once they have been reached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

Entry: TypeAlias = tuple[str, tuple[str, ...]]
Stream: TypeAlias = tuple[Entry, ...]


@dataclass(eq=False)
class Db:
    """A server at an instant: hashes are dicts of text, sorted sets dicts, streams tuples.

    ``now`` is its clock in ms, ``expires`` has the instants of the keys that carry an expiry,
    ``ids`` each stream's last id, ``loaded`` the digests of the scripts it knows. ``memo`` is for
    whatever has been worked out about it and need not be again: it never changes. ``history`` names
    the server's history, in hexadecimal digits.
    """

    now: int
    keys: dict[str, Any] = field(default_factory=dict)
    expires: dict[str, int] = field(default_factory=dict)
    ids: dict[str, tuple[int, int]] = field(default_factory=dict)
    loaded: frozenset[str] = frozenset()
    memo: dict[Any, Any] = field(default_factory=dict, repr=False)
    history: str = "0"

    def get(self, key: str, absent: Any) -> Any:
        """The value of a key that has not expired, else ``absent``."""
        if self.now > self.expires.get(key, self.now):
            return absent
        return self.keys.get(key, absent)

    def copied(self) -> Db:
        """A copy for writing; the values of the keys are shared."""
        return replace(
            self, keys=dict(self.keys), expires=dict(self.expires), ids=dict(self.ids), memo={}
        )

    def at(self, now: int) -> Db:
        """The same keys at another instant."""
        return replace(self, now=now, memo={})

    def knowing(self, loaded: frozenset[str]) -> Db:
        """The same keys on a server that knows these scripts."""
        return replace(self, loaded=loaded, memo={})

    def named(self, history: str) -> Db:
        """The same keys in a history of another name."""
        return replace(self, history=history, memo={})


def stream_id(text: str) -> tuple[int, int]:
    """A stream id as a pair that sorts."""
    ms, _, sequence = text.partition("-")
    return int(ms), int(sequence or 0)


def within(one: tuple[int, int], low: str, high: str) -> bool:
    """Whether an id lies in XRANGE's bounds: ``-`` and ``+``, ``(`` before one that is excluded."""
    if low[0] == "(" and one <= stream_id(low[1:]):
        return False
    above = low[0] in "(-" or one >= stream_id(low)
    return above and (high == "+" or one <= stream_id(high))


def flattened(entries: Sequence[Entry]) -> tuple[Any, ...]:
    """Entries as one flat list for Lua: id, number of words, words, and so on."""
    return tuple(w for name, words in entries for w in (name, len(words), *words))


def raw_reply(entries: Sequence[Entry]) -> list[list[Any]]:
    """Entries as the server gives them."""
    return [[name.encode(), [word.encode("latin-1") for word in words]] for name, words in entries]


def entries_reply(entries: Sequence[Entry]) -> list[tuple[bytes, dict[bytes, bytes]]]:
    """Entries as redis-py gives them."""
    reply = []
    for name, words in entries:
        raw = [word.encode("latin-1") for word in words]
        reply.append((name.encode(), dict(zip(raw[::2], raw[1::2], strict=True))))
    return reply
