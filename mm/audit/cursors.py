"""The audit of the cursors: they stand at the ends of their streams when the system is at rest."""

from __future__ import annotations

import re

from mm.audit.tally import Tally, listed
from mm.store import Raw, StreamReader, is_stream_id, stream_id_order

_COUNTS = ("exchange_records", "state_records", "trim_records")
#: What is said of a client: its orders that were taken, and when the last was.
_TAKEN = re.compile(r"[0-9]{1,16} ([0-9]{1,16}|-)")
_IDS = ("exchange", "state", "trim_to", "trim_next")


def check_drained(reader: StreamReader, raw: Raw, tally: Tally, quiescent: bool) -> None:
    """drained: nothing waits to be processed. What waits is a violation only when quiescent.

    An inbox that nobody reads is one always.
    """
    keys = reader.keys
    key = keys.named("cursors")
    tally.optional_integers(key, raw.cursors, *_COUNTS)
    tally.optional_stream_ids(key, raw.cursors, *_IDS)
    # "-" stands there until the first order that could be remembered.
    if raw.cursors.get("seen_bucket") != "-":
        tally.optional_integers(key, raw.cursors, "seen_bucket")
    for consumer, stream in (("exchange", "orders"), ("state", "fills")):
        tally.count("cursors")
        cursor, last = raw.cursors.get(consumer, "0-0"), raw.streams[stream].last_id
        if consumer not in raw.cursors:
            tally.violation(f"{key} lacks {consumer}: it would process its stream again")
        elif last == "0-0" and cursor != "0-0":
            tally.violation(f"{keys.named(stream)} is empty although {consumer} has read {cursor}")
        elif is_stream_id(cursor) and stream_id_order(cursor) < stream_id_order(last):
            oldest_ms = raw.pending.get(consumer, 0)
            since = f", the oldest for {raw.now_ms - oldest_ms} ms" if oldest_ms else ""
            text = f"{key} {consumer} {cursor}: entries up to {last} wait{since}"
            if quiescent:
                tally.violation(text)
            else:
                tally.note(text)
    for client, line in raw.clients.items():
        tally.count("inboxes")
        if not _TAKEN.fullmatch(line):
            tally.violation(
                f"{keys.named('clients')} {client} {line!r}: it must be a number and ms"
            )
    for client in set(reader.members("inbox:*")) - raw.clients.keys():
        tally.violation(
            f"{keys.member('inbox:*', client)}: nobody reads it, for {keys.named('clients')} does"
            f" not name the client. `mm acl {client} --add` admits it"
        )
    if raw.inbox_entries:
        wait = f"{raw.inbox_entries} entries of inboxes wait to be taken"
        if quiescent:
            tally.violation(wait)
        else:
            tally.note(wait)
    if not quiescent:
        tally.note("not judged: this check needs a system at rest")
    halted = [name for name, stored in raw.symbols.items() if stored.position.get("halted")]
    if halted:
        tally.note(f"halted: {listed(halted)}")
