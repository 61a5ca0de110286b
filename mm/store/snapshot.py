"""The state of the whole system at one instant, as records: what every reader works from.

:mod:`mm.stored` reads it, whatever the texts are; :func:`take` makes numbers of them and refuses,
naming the key, what a foreign program has spoiled.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from mm.errors import UsageError
from mm.market import Config, Fill, Position, Symbol, symbol_from_store
from mm.store.calls import pairs, text
from mm.store.keys import Keys
from mm.store.raw import RawSymbol, Stream, damage, read_raw
from mm.store.scripts import Scripts

T = TypeVar("T")

#: Fields that readers take for numbers.
_QUOTE = (
    *("quote_version", "bid_ticks", "bid_lots", "ask_ticks", "ask_lots"),
    *("bid_size_lots", "ask_size_lots", "expires_ms"),
)
_EXPOSURE = ("limit_units", "bid_units", "ask_units")


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


def _parsed(where: str, parse: Callable[[], T]) -> T:
    """What ``parse`` returns; SystemRefused naming the key when the stored texts do not parse."""
    try:
        return parse()
    except KeyError as error:
        raise damage(where, f"the field {error} is missing") from error
    except (ValueError, ArithmeticError, UsageError) as error:
        raise damage(where, f"a field is not what it must be: {error}") from error


def _numbers(where: str, stored: dict[str, str], names: Iterable[str]) -> None:
    for name in names:
        if not re.fullmatch(r"-?[0-9]{1,16}", stored.get(name, "")):
            raise damage(where, f"{name} {stored.get(name)!r}: it must be an integer")


def parse_position(stored: dict[str, str]) -> Position:
    """The position a hash holds; a missing field reads as 0, ValueError for what is no integer."""
    names = ("net_lots", "cash_ticks", "cost_ticks", "position_version", "last_price_ticks")
    return Position(*(int(stored.get(name, "0")) for name in names))


def _symbol_state(keys: Keys, name: str, stored: RawSymbol) -> SymbolState:
    key = keys.member("symbol:*", name)
    symbol = _parsed(key, lambda: symbol_from_store(name, stored.state))
    position = _parsed(keys.member("position:*", name), lambda: parse_position(stored.position))
    found = SymbolState(
        symbol, stored.state, position, stored.position, stored.quote, stored.reservation
    )
    _parsed(key, lambda: found.fill_seq)
    if stored.quote:
        _numbers(keys.member("quote:*", name), stored.quote, _QUOTE)
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


def take_snapshot(scripts: Scripts, recent: int = 0, most: int = 0) -> Snapshot:
    """Take a snapshot in one call.

    SystemRefused when the keys hold no system, or naming the key whose content is not what this
    system writes.
    """
    raw, keys = read_raw(scripts, recent, most), scripts.keys
    states = {name: _symbol_state(keys, name, stored) for name, stored in raw.symbols.items()}
    config = _parsed(
        keys.named("config"),
        lambda: Config.from_store(raw.config, [state.symbol for state in states.values()]),
    )

    def ranked(name: str, stored: dict[str, str]) -> dict[str, int]:
        return _parsed(
            keys.named(name), lambda: {one: int(float(score)) for one, score in stored.items()}
        )

    _numbers(keys.named("exposure"), raw.exposure, _EXPOSURE)
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
