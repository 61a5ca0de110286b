"""The state of the whole system at one instant, as records: what every reader works from.

:func:`read` gives it as stored, whatever the texts are; :func:`take` makes numbers of it and
refuses, naming the key, what a foreign program has spoiled.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from redis.exceptions import ResponseError

from mm.config import Config, symbol_from_store
from mm.errors import SystemRefused, UsageError
from mm.keys import CATALOGUE, Keys
from mm.model import Fill, Position, Symbol
from mm.scripts import Scripts, execute, pairs, text

T = TypeVar("T")

_CURSOR = re.compile(r"[0-9]{1,20}(-[0-9]{1,20})?")


@dataclass(frozen=True)
class SymbolState:
    """One symbol at the instant: parameters, raw hashes and committed position.

    ``quote`` and ``reservation`` are the hashes as stored; ``quote`` is empty without one.
    """

    symbol: Symbol
    state: dict[str, str]
    position: Position
    position_hash: dict[str, str]
    quote: dict[str, str]
    reservation: dict[str, str]

    @property
    def fill_seq(self) -> int:
        """Number of fills emitted."""
        return int(self.state.get("fill_seq", "0"))

    @property
    def halted(self) -> str:
        """Why the symbol is halted, or empty text."""
        return self.state.get("halted", "")

    def live_quote(self, now_ms: int) -> dict[str, str]:
        """The quote's hash if it has not expired at ``now_ms``, else an empty one."""
        live = bool(self.quote) and int(self.quote.get("expires_ms", "0")) > now_ms
        return self.quote if live else {}


@dataclass(frozen=True)
class Stream:
    """A stream's length and its first and last entry ids (``0-0`` when empty)."""

    length: int
    first_id: str
    last_id: str


@dataclass(frozen=True)
class Event:
    """An entry of the quotes stream, its fields as stored."""

    entry_id: str
    fields: dict[str, str]


@dataclass(frozen=True)
class Snapshot:
    """Everything at one instant of the server's clock, ``now_ms``.

    ``exposure`` and ``cursors`` are the hashes; ``expiry``, ``waiting_bid`` and ``waiting_ask``
    map symbols to scores, in order; ``processes`` maps names to their hashes; ``lag_ms`` says per
    consumer for how long the oldest entry after its cursor has waited. ``fills`` and ``events``
    are newest first.
    """

    now_ms: int
    config: Config
    exposure: dict[str, str]
    cursors: dict[str, str]
    expiry: dict[str, int]
    waiting_bid: dict[str, int]
    waiting_ask: dict[str, int]
    processes: dict[str, dict[str, str]]
    symbols: dict[str, SymbolState]
    streams: dict[str, Stream]
    lag_ms: dict[str, int]
    fills: list[Fill]
    events: list[Event]


@dataclass(frozen=True)
class Stored:
    """One symbol's hashes as stored; an empty one does not exist."""

    state: dict[str, str]
    position: dict[str, str]
    quote: dict[str, str]
    reservation: dict[str, str]


@dataclass(frozen=True)
class Raw:
    """Everything at one instant as stored: hashes as text, sorted sets as member -> score text.

    ``pending`` maps a consumer to the ms of the oldest entry after its cursor, 0 for none;
    ``fills`` and ``events`` are stream entries, newest first.
    """

    now_ms: int
    config: dict[str, str]
    exposure: dict[str, str]
    cursors: dict[str, str]
    expiry: dict[str, str]
    waiting_bid: dict[str, str]
    waiting_ask: dict[str, str]
    processes: dict[str, dict[str, str]]
    symbols: dict[str, Stored]
    streams: dict[str, Stream]
    pending: dict[str, int]
    fills: list[Any]
    events: list[Any]


def _damage(name: str, found: str) -> SystemRefused:
    return SystemRefused(
        f"{name}: {found}. A foreign program may have changed it; restore the data from a backup."
    )


def _parsed(where: str, parse: Callable[[], T]) -> T:
    """What ``parse`` returns; SystemRefused naming the key when the stored texts do not parse."""
    try:
        return parse()
    except KeyError as error:
        raise _damage(where, f"the field {error} is missing") from error
    except (ValueError, ArithmeticError, UsageError) as error:
        raise _damage(where, f"a field is not what it must be: {error}") from error


def parse_position(stored: dict[str, str]) -> Position:
    """The position a hash holds; a missing field reads as 0, ValueError for what is no integer."""
    names = ("net_lots", "cash_ticks", "cost_ticks", "position_version", "last_price_ticks")
    return Position(*(int(stored.get(name, "0")) for name in names))


def _symbol_state(keys: Keys, name: str, stored: Stored) -> SymbolState:
    key = keys.member("symbol:*", name)
    symbol = _parsed(key, lambda: symbol_from_store(name, stored.state))
    position = _parsed(keys.member("position:*", name), lambda: parse_position(stored.position))
    found = SymbolState(
        symbol, stored.state, position, stored.position, stored.quote, stored.reservation
    )
    _parsed(key, lambda: found.fill_seq)
    _parsed(keys.member("quote:*", name), lambda: found.live_quote(0))
    return found


def parse_fills(entries: list[Any]) -> list[Fill]:
    """The fills of stream entries, newest first; records that are no fills are left out."""
    found = []
    for _, fields in entries:
        for fill_id, line in reversed(pairs(fields).items()):
            try:
                found.append(Fill.parse(fill_id, line))
            except ValueError:
                continue  # commit.lua halts its symbol and keeps the record as a dead letter
    return found


def _wrong_keys(scripts: Scripts) -> list[str]:
    """What is wrong with the keys that the snapshot reads: those of another type, a bad cursor."""
    client, keys = scripts.client, scripts.keys
    listed = client.hget(keys.named("config"), "symbols") if _kind(scripts, "config") else None
    expected = {keys.named(name): kind for name, (kind, _) in CATALOGUE.items() if "*" not in name}
    for symbol in text(listed or b"").split():
        for family in ("symbol:*", "position:*", "quote:*", "reservation:*"):
            expected[keys.member(family, symbol)] = CATALOGUE[family][0]
    if _kind(scripts, "processes"):
        for name in execute(client, "ZRANGE", keys.named("processes"), 0, -1):
            expected[keys.member("process:*", text(name))] = CATALOGUE["process:*"][0]
    wrong = []
    for key, kind in expected.items():
        found = text(execute(client, "TYPE", key))
        if found not in (kind, "none"):
            wrong.append(f"{key} holds a {found}, it must hold a {kind}")
    if wrong or not _kind(scripts, "cursors"):
        return wrong
    cursors = client.hmget(keys.named("cursors"), ["exchange", "state"])
    return [
        f"{keys.named('cursors')} {name} {text(value)!r}: it must be a stream id"
        for name, value in zip(("exchange", "state"), cursors, strict=True)
        if value is not None and not _CURSOR.fullmatch(text(value))
    ]


def _kind(scripts: Scripts, name: str) -> bool:
    return text(execute(scripts.client, "TYPE", scripts.keys.named(name))) == CATALOGUE[name][0]


def read(scripts: Scripts, recent: int = 0, most: int = 0) -> Raw:
    """Everything as stored, in one script call.

    SystemRefused when the keys hold no system, or naming the key that holds another type.
    """
    try:
        raw = scripts.snapshot(recent, most)
    except ResponseError as error:
        wrong = _wrong_keys(scripts)
        if not wrong:
            raise
        raise _damage("; ".join(wrong), "the state cannot be read") from error
    stored = pairs(raw["config"])
    if not stored:
        raise SystemRefused(
            f"no system runs under the key prefix {scripts.keys.prefix} of this server:"
            f" {scripts.keys.named('config')} does not exist. Start one with `mm up`, or name the"
            " right --data-dir or --redis-url."
        )
    since = (pairs(one).popitem() for one in raw["pending"])
    return Raw(
        now_ms=int(raw["now_ms"]),
        config=stored,
        exposure=pairs(raw["exposure"]),
        cursors=pairs(raw["cursors"]),
        expiry=pairs(raw["expiry"]),
        waiting_bid=pairs(raw["waiting_bid"]),
        waiting_ask=pairs(raw["waiting_ask"]),
        processes={text(name): pairs(fields) for name, fields in raw["process"]},
        symbols={text(row[0]): Stored(*map(pairs, row[1:])) for row in raw["symbols"]},
        streams={
            text(name): Stream(length, text(first), text(last))
            for name, length, first, last in raw["streams"]
        },
        pending={consumer: int(ms) for consumer, ms in since},
        fills=raw["fills"],
        events=raw["events"],
    )


def take(scripts: Scripts, recent: int = 0, most: int = 0) -> Snapshot:
    """Take a snapshot in one call.

    SystemRefused when the keys hold no system, or naming the key whose content is not what this
    system writes.
    """
    raw, keys = read(scripts, recent, most), scripts.keys
    states = {name: _symbol_state(keys, name, stored) for name, stored in raw.symbols.items()}
    config = _parsed(
        keys.named("config"),
        lambda: Config.from_store(raw.config, [state.symbol for state in states.values()]),
    )

    def ranked(name: str, stored: dict[str, str]) -> dict[str, int]:
        return _parsed(
            keys.named(name), lambda: {one: int(float(score)) for one, score in stored.items()}
        )

    return Snapshot(
        now_ms=raw.now_ms,
        config=config,
        exposure=raw.exposure,
        cursors=raw.cursors,
        expiry=ranked("expiry", raw.expiry),
        waiting_bid=ranked("waiting:bid", raw.waiting_bid),
        waiting_ask=ranked("waiting:ask", raw.waiting_ask),
        processes=raw.processes,
        symbols=states,
        streams=raw.streams,
        lag_ms={one: max(0, raw.now_ms - ms) if ms else 0 for one, ms in raw.pending.items()},
        fills=parse_fills(raw.fills),
        events=[Event(text(entry), pairs(fields)) for entry, fields in raw.events],
    )


def read_config(scripts: Scripts) -> Config | None:
    """The configuration that the keys hold, or None when they hold no system.

    SystemRefused naming the key whose content is not what this system writes.
    """
    client, keys = scripts.client, scripts.keys
    stored = pairs([word for item in client.hgetall(keys.named("config")).items() for word in item])
    if not stored:
        return None
    names = stored.get("symbols", "").split()
    pipeline = client.pipeline(transaction=False)
    for name in names:
        pipeline.hgetall(keys.member("symbol:*", name))
    symbols = []
    for name, fields in zip(names, pipeline.execute(), strict=True):
        state = pairs([word for item in fields.items() for word in item])
        key = keys.member("symbol:*", name)
        symbols.append(_parsed(key, partial(symbol_from_store, name, state)))
    return _parsed(keys.named("config"), lambda: Config.from_store(stored, symbols))
