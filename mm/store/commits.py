"""Committed position updates: the records of the positions stream."""

from __future__ import annotations

from dataclasses import dataclass

from mm.store.calls import execute, text
from mm.store.partitions import partitions_of
from mm.store.scripts import Scripts
from mm.store.streams import CHUNK, StreamReader

#: The most updates that a command reads to tell how profit went: about a second's work.
UPDATES_READ = 100_000


@dataclass(frozen=True)
class Commit:
    """A committed position update."""

    version: int
    net_lots: int
    cash_ticks: int
    last_price_ticks: int
    ts_ms: int

    @classmethod
    def parse(cls, line: str) -> Commit:
        """Read a record of the positions stream; ValueError when it is not one."""
        net, cash, version, price, ts_ms = map(int, line.split(" "))
        return cls(version, net, cash, price, ts_ms)


def latest_commits(scripts: Scripts, most: int, since_ms: int = 0) -> list[tuple[str, Commit]]:
    """The newest committed updates, each with its symbol, oldest first.

    About ``most`` of each partition at most, and none before ``since_ms``. Records that are no
    updates are left out: the audit names them.
    """
    found = [pair for one in partitions_of(scripts) for pair in _of_one(one, most, since_ms)]
    return sorted(found, key=lambda pair: pair[1].ts_ms)


def _of_one(scripts: Scripts, most: int, since_ms: int) -> list[tuple[str, Commit]]:
    reader = StreamReader(scripts)
    key, end, first = reader.keys.named("positions"), "+", str(since_ms)
    found: list[tuple[str, Commit]] = []
    while len(found) < most:
        count = min(CHUNK, most)
        chunk = execute(reader.client, "XREVRANGE", key, end, first, "COUNT", count)
        for _, flat in chunk:
            for index in range(len(flat) - 2, -1, -2):
                try:
                    found.append((text(flat[index]), Commit.parse(text(flat[index + 1]))))
                except ValueError:
                    continue
        if len(chunk) < count:
            break
        end = f"({text(chunk[-1][0])}"
    found.reverse()
    return found
