"""The hand-over of fills from the ledger to the archive: a model of the file, and the real script.

The file is a hash of its own beside the keys: how many entries it has, and every entry that it ever
had. An archive that was put back has fewer of them. What the archivist asks of the script and when,
:mod:`mm.archivist` decides; here it does that in three steps, with a death between each.
"""

from __future__ import annotations

from typing import Any

from mm.archive import Head, entry_id_of, link
from tests.hunts.explorer.db import Db, Entry, stream_id
from tests.hunts.explorer.parts import Spec, Violation
from tests.hunts.explorer.wire import Call
from tests.kit import SYSTEM_ID

#: Where the model of the file lies, and the id of the archive.
FILE, ARCHIVE_ID = "{mm}:explorer-archive", "a" * 16
#: Fills that one step of the script removes at most: two steps for two.
REMOVED = 1


def archived_entries(db: Db) -> list[Entry]:
    """Every entry that the file ever had, oldest first."""
    stored = db.get(FILE, {})
    packed = [stored[str(number)].split("|") for number in range(len(stored) - 1)]
    return [(entry_id, tuple(words)) for entry_id, *words in packed]


def size(db: Db) -> int:
    """How many of these the file has now."""
    return int(db.get(FILE, {}).get("size", "0"))


def trimmed_to(spec: Spec, db: Db) -> tuple[int, int]:
    """The last entry that left the ledger."""
    return stream_id(db.get(spec.key("archive"), {}).get("trimmed_to", "0-0"))


def ledger_entries(spec: Spec, db: Db) -> list[Entry]:
    """The whole ledger: what left it, and what it has."""
    kept: tuple[Entry, ...] = db.get(spec.key("fills"), ())
    if not spec.archives:
        return list(kept)
    end = trimmed_to(spec, db)
    return [one for one in archived_entries(db) if stream_id(one[0]) <= end] + list(kept)


def heads(db: Db, entries: list[Entry]) -> dict[str, Head]:
    """The newest fill of each symbol among the entries, with its link."""
    found: dict[str, Head] = {}
    for entry_id, words in entries:
        for name, line in zip(words[::2], words[1::2], strict=True):
            symbol, _, number = name.rpartition("-")
            before = found.get(symbol, Head())
            made = link(before.link, symbol, int(number), *entry_id_of(entry_id), line)
            found[symbol] = Head(int(number), made)
    return found


def is_whole(spec: Spec, db: Db) -> bool:
    """Whether the file has all that left the ledger: else the archivist refuses it."""
    entries = archived_entries(db)[: size(db)]
    last = stream_id(entries[-1][0]) if entries else (0, 0)
    return last >= trimmed_to(spec, db)


def can_read(spec: Spec, db: Db) -> bool:
    """Whether there is an entry behind the file's end, all of it committed."""
    entries, number = ledger_entries(spec, db), size(db)
    if not is_whole(spec, db) or number >= len(entries):
        return False
    return all(
        int(name.rpartition("-")[2]) <= _version(spec, db, name.rpartition("-")[0])
        for name in entries[number][1][::2]
    )


def _version(spec: Spec, db: Db, symbol: str) -> int:
    return int(db.get(spec.key("position:*", symbol), {}).get("position_version", "0"))


def can_record(spec: Spec, db: Db) -> bool:
    """Whether the file has what the keys say that it has: else it is filled up first."""
    found = heads(db, archived_entries(db)[: size(db)])
    recorded = db.get(spec.key("archived"), {})
    return (
        bool(found)
        and is_whole(spec, db)
        and all(
            found.get(symbol, Head()).number >= Head.parse(stored).number
            for symbol, stored in recorded.items()
        )
    )


def filing(spec: Spec, db: Db, number: int) -> Call | None:
    """The change of the file that adds an entry of the ledger; None when it has it already."""
    entry_id, words = ledger_entries(spec, db)[number]
    packed, stored = "|".join((entry_id, *words)), db.get(FILE, {})
    known = stored.get(str(number), packed)
    if known != packed:
        raise Violation(f"archived: entry {number} was {known} and is {packed}")
    if number < size(db):
        return None
    return ("HSET", FILE, "size", str(number + 1), str(number), packed)


def record_words(spec: Spec, db: Db) -> list[str]:
    """The arguments of the script: every entry may go but the newest."""
    entries = archived_entries(db)[: size(db)]
    trim_to = entries[-2][0] if len(entries) > 1 else "0-0"
    found = heads(db, entries)
    given = [word for name, one in found.items() for word in (name, *one.text.split(" "))]
    return [SYSTEM_ID, ARCHIVE_ID, "/archive.db", trim_to, str(REMOVED), *given]


def check_trim(spec: Spec, before: Db, after: Db) -> None:
    """What leaves the ledger is its oldest part, committed and in the file; one entry stays."""
    was, now = before.get(spec.key("fills"), ()), after.get(spec.key("fills"), ())
    gone = was[: len(was) - len(now)]
    _demand(was == gone + now, f"archived: the ledger had {was} and has {now}")
    _demand(bool(now) or not was, "archived: no entry is left in the ledger")
    file = archived_entries(after)[: size(after)]
    for entry in gone:
        _demand(entry in file, f"archived: {entry} left the ledger, and the file lacks it")
        for name in entry[1][::2]:
            symbol, _, number = name.rpartition("-")
            committed = _version(spec, after, symbol)
            _demand(int(number) <= committed, f"archived: {name} left, {committed} are committed")
    _demand(
        not now or stream_id(now[0][0]) > trimmed_to(spec, after),
        f"archived: the ledger begins with {now[:1]}, it is trimmed to {trimmed_to(spec, after)}",
    )
    recorded = after.get(spec.key("archived"), {})
    for symbol, stored in before.get(spec.key("archived"), {}).items():
        _demand(
            Head.parse(recorded[symbol]).number >= Head.parse(stored).number,
            f"archived: of {symbol} {stored} were recorded, now {recorded[symbol]}",
        )


def _demand(holds: bool, text: str) -> None:
    if not holds:
        raise Violation(text)


def form(spec: Spec, db: Db) -> tuple[Any, ...]:
    """What of all this decides the future, without the ids of entries and the links."""
    if not spec.archives:
        return ()
    entries = ledger_entries(spec, db)
    kept = len(db.get(spec.key("fills"), ()))
    recorded = db.get(spec.key("archived"), {})
    numbers = sorted((name, Head.parse(stored).number) for name, stored in recorded.items())
    return (size(db), len(archived_entries(db)), len(entries) - kept, kept, numbers)


def call_form(spec: Spec, db: Db, args: list[str]) -> tuple[Any, ...]:
    """A call of the script: how many entries may go, and the newest number of each symbol."""
    end = stream_id(args[3])
    may_go = sum(stream_id(one[0]) <= end for one in archived_entries(db))
    return (may_go, tuple(zip(args[5::3], args[6::3], strict=True)))
