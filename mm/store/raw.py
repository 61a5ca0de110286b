"""The whole system at one instant as the keys hold it: text that is not parsed.

The audit reads it too, with parsers of its own, so that an error in the snapshot's parsers cannot
hide from it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from redis.exceptions import ResponseError

from mm.errors import SystemRefused
from mm.market import OLD_SCHEMAS
from mm.store.calls import execute, pairs, text
from mm.store.keys import CATALOGUE, Keys
from mm.store.partitions import is_split
from mm.store.refusals import old_schema
from mm.store.scripts import Scripts

_CURSOR = re.compile(r"[0-9]{1,20}(-[0-9]{1,20})?")


@dataclass(frozen=True)
class Stream:
    """A stream's length and its first and last entry ids (``0-0`` when empty)."""

    length: int
    first_id: str
    last_id: str


@dataclass(frozen=True)
class RawSymbol:
    """The hashes of one symbol, unparsed; a hash is empty when its key does not exist."""

    state: dict[str, str]
    position: dict[str, str]
    quote: dict[str, str]
    reservation: dict[str, str]
    terms: dict[str, str]


@dataclass(frozen=True)
class Raw:
    """Everything at one instant, unparsed: hashes as text, sorted sets as member -> score text.

    ``pending`` maps a consumer to the time in ms of the oldest entry after its cursor, or to 0; for
    the exchange also of the oldest entry of an inbox. ``inbox_entries`` is how many these hold.
    ``fills`` and ``events`` are stream entries, newest first.
    """

    now_ms: int
    config: dict[str, str]
    exposure: dict[str, str]
    cursors: dict[str, str]
    server: dict[str, str]
    control: dict[str, str]
    lease: dict[str, str]
    archive: dict[str, str]
    archived: dict[str, str]
    expiry: dict[str, str]
    waiting_bid: dict[str, str]
    waiting_ask: dict[str, str]
    processes: dict[str, dict[str, str]]
    symbols: dict[str, RawSymbol]
    streams: dict[str, Stream]
    pending: dict[str, int]
    clients: dict[str, str]
    inbox_entries: int
    fills: list[Any]
    events: list[Any]

    @property
    def partitioned(self) -> bool:
        """Whether these are the keys that the partitions of a system have in common."""
        return is_split(self.config)


def damage(name: str, found: str) -> SystemRefused:
    """The error for a key whose content is not what this system writes."""
    return SystemRefused(
        f"{name}: {found}. A foreign program may have changed it; restore the data from a backup."
    )


def no_system(keys: Keys) -> SystemRefused:
    """The error for a server that holds no system under these keys."""
    return SystemRefused(
        f"no system runs under the key prefix {keys.prefix} of this server:"
        f" {keys.named('config')} does not exist. Start one with `mm up`, or name the right"
        " --data-dir or --redis-url."
    )


def _wrong_keys(scripts: Scripts) -> list[str]:
    """What is wrong with the keys that the snapshot reads: wrong types, or an invalid cursor."""
    client, keys = scripts.client, scripts.keys
    listed = client.hget(keys.named("config"), "symbols") if _typed(scripts, "config") else None
    expected = {keys.named(name): kind for name, (kind, _) in CATALOGUE.items() if "*" not in name}
    for symbol in text(listed or b"").split():
        for family in ("symbol:*", "position:*", "quote:*", "reservation:*", "terms:*"):
            expected[keys.member(family, symbol)] = CATALOGUE[family][0]
    if _typed(scripts, "processes"):
        for name in execute(client, "ZRANGE", keys.named("processes"), 0, -1):
            expected[keys.member("process:*", text(name))] = CATALOGUE["process:*"][0]
    if _typed(scripts, "clients"):
        for name in scripts.clients():
            expected[keys.member("inbox:*", name)] = CATALOGUE["inbox:*"][0]
    wrong = []
    for key, kind in expected.items():
        found = text(execute(client, "TYPE", key))
        if found not in (kind, "none"):
            wrong.append(f"{key} holds a {found}, it must hold a {kind}")
    if wrong or not _typed(scripts, "cursors"):
        return wrong
    cursors = client.hmget(keys.named("cursors"), ["exchange", "state"])
    return [
        f"{keys.named('cursors')} {name} {text(value)!r}: it must be a stream id"
        for name, value in zip(("exchange", "state"), cursors, strict=True)
        if value is not None and not _CURSOR.fullmatch(text(value))
    ]


def _typed(scripts: Scripts, name: str) -> bool:
    return text(execute(scripts.client, "TYPE", scripts.keys.named(name))) == CATALOGUE[name][0]


def read_raw(scripts: Scripts, recent: int = 0, max_symbols: int = 0) -> Raw:
    """Read everything in one script call; the arguments are those of ``take_snapshot``.

    SystemRefused when the keys hold no system, or naming the key that holds a wrong type.
    """
    try:
        raw = scripts.snapshot(recent, max_symbols)
    except ResponseError as error:
        wrong = _wrong_keys(scripts)
        if not wrong:
            raise
        raise damage("; ".join(wrong), "the state cannot be read") from error
    stored = pairs(raw["config"])
    if not stored:
        raise no_system(scripts.keys)
    if stored.get("schema") in OLD_SCHEMAS:
        raise old_schema(scripts.keys, stored)
    pending = {name: int(ms) for one in raw["pending"] for name, ms in pairs(one).items()}
    inbox_entries, oldest_ms = raw["inboxes"]
    if inbox_entries:
        pending["exchange"] = min(pending["exchange"] or oldest_ms, oldest_ms)
    return Raw(
        now_ms=int(raw["now_ms"]),
        config=stored,
        exposure=pairs(raw["exposure"]),
        cursors=pairs(raw["cursors"]),
        server=pairs(raw["server"]),
        control=pairs(raw["control"]),
        lease=pairs(raw["lease"]),
        archive=pairs(raw["archive"]),
        archived=pairs(raw["archived"]),
        expiry=pairs(raw["expiry"]),
        waiting_bid=pairs(raw["waiting_bid"]),
        waiting_ask=pairs(raw["waiting_ask"]),
        processes={text(name): pairs(fields) for name, fields in raw["process"]},
        symbols={text(row[0]): RawSymbol(*map(pairs, row[1:])) for row in raw["symbols"]},
        streams={
            text(name): Stream(length, text(first), text(last))
            for name, length, first, last in raw["streams"]
        },
        pending=pending,
        clients=pairs(raw["clients"]),
        inbox_entries=inbox_entries,
        fills=raw["fills"],
        events=raw["events"],
    )
