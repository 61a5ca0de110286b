"""The archives of a system that runs, or of one that is stopped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mm.doctor.finding import Finding, look
from mm.errors import ArchiveBroken
from mm.facts import Stoppage, archive_troubles
from mm.host import archive_facts
from mm.store import Raw, Scripts

#: So many fills behind an archivist does not keep up, and a disk for so few days is little.
BEHIND, LITTLE_DAYS = 100_000, 30


def archive(scripts: Scripts, raw: Raw, stopped: Iterable[Stoppage] = ()) -> Iterator[Finding]:
    """Whether a partition has its archive, how far that is behind, and how it grows.

    ``stopped`` is all that stops trading: with what hinders the archivist it is no sound archive.
    """
    number = raw.config.get("partition")
    about = f"archive of partition {number}" if number else "archive"
    try:
        found = archive_facts(scripts, raw)
    except ArchiveBroken as error:
        todo = "put back the file that was there, or restore a backup: the ledger needs it"
        yield Finding(about, "wrong", str(error), todo)
        return
    words = f"{found.size:,} bytes with {found.fills:,} fills, {found.behind:,} behind"
    if troubles := archive_troubles(stopped, int(number) if number else None):
        todo = "mend what it names: trading goes on meanwhile, and memory fills"
        yield Finding(about, "wrong", f"{words}; {'; '.join(troubles)}", todo)
    elif found.behind >= BEHIND:
        yield Finding(about, "look", words, "memory fills: see the archivist's log, `mm status`")
    else:
        if found.size:
            words += f", room for {found.days_left:,.0f} days"
        todo = (
            "it grows with each fill: give the disk more room, or archive_days and archive_mb less"
        )
        yield look(about, found.days_left >= LITTLE_DAYS, words, todo)
