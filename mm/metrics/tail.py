"""The newest entries of a stream, read from its end, and never more than a bounded part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mm.store import Keys, Scripts, StreamReader, execute, text

#: Entries of the first page; each page may have twice those of the one before.
FIRST_PAGE = 4
#: The most fields of one read: a record of a packed stream is one field, a quote event has about
#: twenty.
MAX_FIELDS = 5_000


@dataclass(frozen=True)
class Tail:
    """Entries, oldest first; ``whole`` says that none between the two bounds was left out."""

    entries: Sequence[tuple[str, Sequence[str]]]
    whole: bool


def named_fields(flat: Sequence[str]) -> dict[str, str]:
    """The values of an entry by the names of its fields."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


class TailReader:
    """Reads the ends of streams of one system or partition."""

    def __init__(self, scripts: Scripts) -> None:
        reader = StreamReader(scripts)
        self.keys: Keys = reader.keys
        self.client = reader.client

    def newest_id(self, name: str) -> str:
        """The id of the stream's last entry, 0-0 when it is empty."""
        key = self.keys.named(name)
        found = execute(self.client, "XREVRANGE", key, "+", "-", "COUNT", 1)
        return text(found[0][0]) if found else "0-0"

    def read(self, key: str, first: str, last: str, max_fields: int) -> Tail:
        """The newest entries from ``first`` to ``last``, as in XRANGE, of about so many fields.

        An entry holds from one field to a thousand, so the pages follow what they have met.
        """
        found: list[tuple[str, Sequence[str]]] = []
        fields, count = 0, FIRST_PAGE
        while True:
            chunk = execute(self.client, "XREVRANGE", key, last, first, "COUNT", count)
            for entry_id, flat in chunk:
                found.append((text(entry_id), [text(word) for word in flat]))
                fields += len(flat) // 2
            if len(chunk) < count or fields >= max_fields:
                found.reverse()
                return Tail(found, len(chunk) < count)
            last = f"({found[-1][0]}"
            fitting = (max_fields - fields) * len(found) // max(fields, 1)
            count = max(1, min(2 * count, fitting))
