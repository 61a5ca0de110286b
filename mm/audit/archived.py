"""The audit of the archive: it has what left the streams, as it was."""

from __future__ import annotations

import re
from collections.abc import Callable

from mm.archive import STREAMS, Archive, Head
from mm.audit.tally import Tally, integer_or_none
from mm.errors import ArchiveBroken
from mm.instant import timestamp
from mm.store import Raw, StreamReader, is_stream_id, stream_id_order

_ARCHIVE_ID = re.compile(r"[0-9a-f]{16}")


def check_archive(reader: StreamReader, raw: Raw, tally: Tally, since_ms: int | None) -> bool:
    """Judge what the keys say of the archive, its entries, and its fills since the ledger's start.

    The fills before that are judged as the ledger is walked. Entries are judged from ``since_ms``
    on. Whether the archive can be read.
    """
    key = reader.keys.named("archive")
    trimmed_to = raw.archive.get("trimmed_to", "0-0")
    if not raw.archive:
        tally.expect(not raw.archived, f"{reader.keys.named('archived')} is there without {key}")
        tally.note("nothing is archived yet")
        return True
    archive_id = raw.archive.get("id", "")
    tally.expect(
        _ARCHIVE_ID.fullmatch(archive_id) is not None,
        f"{key} id {archive_id!r}: it must be 16 hex digits",
    )
    tally.expect(bool(raw.archive.get("file")), f"{key} file: it must name the archive")
    if not tally.expect(
        is_stream_id(trimmed_to), f"{key} trimmed_to {trimmed_to!r}: it must be a stream id"
    ):
        return False
    _check_heads(reader, raw, tally)
    # The newest entry stays for ever, so an empty ledger was never trimmed.
    first_id = raw.streams["fills"].first_id
    tally.expect(
        first_id == trimmed_to == "0-0" or stream_id_order(first_id) > stream_id_order(trimmed_to),
        f"{reader.keys.named('fills')} begins with {first_id}: it is trimmed up to {trimmed_to}",
    )
    try:
        found = reader.archive()
        if found is None:
            raise ArchiveBroken(f"{key}: it names no archive")
        with found as archive:
            system_id = raw.config.get("system_id")
            tally.expect(
                archive.system_id == system_id,
                f"{archive.where}: the archive is of the system {archive.system_id}",
            )
            tally.count("fills archived", archive.size)
            after = stream_id_order(trimmed_to)
            for symbol in archive.symbols():
                first = next(archive.fills_of(symbol, 1, 1, lambda *_: None), None)
                tally.expect(
                    symbol in raw.archived or (first is not None and first.entry_id > after),
                    f"{reader.keys.named('archived')}: it lacks {symbol}, of which fills were"
                    " removed from the ledger",
                )
            for _ in archive.fills(after, archive.last_id, _violation(tally)):
                pass
            _check_entries(archive, tally, since_ms)
    except ArchiveBroken as error:
        tally.violation(str(error))
        return False
    return True


def _violation(tally: Tally) -> Callable[[str, str], None]:
    return lambda _, text: tally.violation(text)


def _check_entries(archive: Archive, tally: Tally, since_ms: int | None) -> None:
    # A link needs the entry before it alone, so no mark is needed to begin there.
    after = (0, 0) if since_ms is None else (since_ms, 0)
    for stream in STREAMS:
        number = archive.check_entries(stream, after, _violation(tally))
        tally.count("entries archived", number)
    if since_ms is not None:
        tally.note(f"archived entries before {timestamp(since_ms)} were not read")


def _check_heads(reader: StreamReader, raw: Raw, tally: Tally) -> None:
    key = reader.keys.named("archived")
    for symbol, stored in raw.archived.items():
        try:
            head = Head.parse(stored)
        except ValueError:
            tally.violation(f"{key} {symbol} {stored!r}: it must be a number and a link")
            continue
        if symbol in STREAMS:
            continue
        tally.count("symbols")
        known = raw.symbols.get(symbol)
        version = integer_or_none(known.position, "position_version") if known else None
        tally.expect(
            version is not None and head.number <= version,
            f"{key} {symbol}: {head.number} fills are archived, the position has {version}",
        )
