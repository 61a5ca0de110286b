"""What is wrong with the archives, in plain sentences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mm.errors import ArchiveBroken
from mm.facts.processes import names_in
from mm.facts.stoppage import Stoppage
from mm.store import Scripts, StreamReader, partitions_of


def archives_at_rest(scripts: Scripts) -> Iterator[Stoppage]:
    """The archives of a stopped system that are not the ones that its keys name.

    Each is missing, of another ledger, older than its own, or no archive at all.
    """
    for one in partitions_of(scripts):
        try:
            found = StreamReader(one).archive()
            if found is not None:
                found.close()
        except ArchiveBroken as error:
            words = f"{error}; what is only there cannot be read"
            yield Stoppage(f"archive of {one.keys.prefix}", words, trades_on=True)


def archive_troubles(stopped: Iterable[Stoppage], partition: int | None) -> list[str]:
    """What hinders the archivists of a partition, or of a system without partitions.

    ``stopped`` is everything that stops trading, among which it is.
    """
    words = {
        one.cause.rpartition(" ")[2]: one.words
        for one in stopped
        if one.trades_on and not one.expected
    }
    names = words if partition is None else names_in(words, partition)
    return [words[name] for name in names]
