"""The check of what protections count: the committed steps of each symbol's last window."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mm.audit.tally import Tally
from mm.store import Raw, StreamReader, send_pipeline, text

#: Symbols of one round trip.
_SYMBOLS = 500
_ENTRY = re.compile(r"([0-9]{1,16}) ([0-9]{1,16}) ([0-9]{1,16}) (-?[0-9]{1,20})")


def check_windows(reader: StreamReader, raw: Raw, tally: Tally) -> None:
    """mode-kept: each entry of a window begins with the lots with which the one before it ends."""
    names = list(raw.symbols)
    for first in range(0, len(names), _SYMBOLS):
        keys = [reader.keys.member("window:*", name) for name in names[first : first + _SYMBOLS]]
        calls = [("LRANGE", key, 0, -1) for key in keys]
        for key, entries in zip(keys, send_pipeline(reader.client, calls), strict=True):
            if isinstance(entries, Exception):
                tally.violation(f"{key}: {entries}")
            elif entries:
                tally.count("windows of protections")
                _check_window(key, [text(entry) for entry in entries], tally)


def _check_window(key: str, entries: Sequence[str], tally: Tally) -> None:
    lots = None
    for entry in entries:
        found = _ENTRY.fullmatch(entry)
        if not tally.expect(found is not None, f"{key} {entry!r}: it must be four integers"):
            return
        assert found is not None
        before, after = int(found[2]), int(found[3])
        tally.expect(
            before < after and lots in (None, before),
            f"{key} {entry!r}: its lots must grow from {before if lots is None else lots}",
        )
        lots = after
