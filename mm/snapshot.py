"""The state of the whole system at one instant, as records: what every reader works from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mm.config import Config, symbol_from_store
from mm.errors import SystemRefused
from mm.model import Fill, Position, Symbol
from mm.scripts import Scripts, pairs, text


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


def parse_position(stored: dict[str, str]) -> Position:
    """The position a hash holds; a missing field reads as 0."""
    names = ("net_lots", "cash_ticks", "cost_ticks", "position_version", "last_price_ticks")
    return Position(*(int(stored.get(name, "0")) for name in names))


def _ranked(flat: list[Any]) -> dict[str, int]:
    return {member: int(float(score)) for member, score in pairs(flat).items()}


def _symbol_state(row: list[Any]) -> SymbolState:
    name = text(row[0])
    state, position, quote, reservation = (pairs(flat) for flat in row[1:])
    try:
        symbol = symbol_from_store(name, state)
    except KeyError as error:
        raise SystemRefused(
            f"symbol {name}: its hash lacks the parameter {error}; a foreign program may have"
            " deleted or changed it. Restore the data from a backup."
        ) from error
    return SymbolState(symbol, state, parse_position(position), position, quote, reservation)


def parse_fills(entries: list[Any]) -> list[Fill]:
    """The fills of stream entries, in the order given, a record after the other."""
    return [
        Fill.parse(fill_id, line)
        for _, fields in entries
        for fill_id, line in reversed(pairs(fields).items())
    ]


def take(scripts: Scripts, recent: int = 0, most: int = 0) -> Snapshot:
    """Take a snapshot in one call; SystemRefused when the keys hold no system."""
    raw = scripts.snapshot(recent, most)
    states = {state.symbol.name: state for state in map(_symbol_state, raw["symbols"])}
    stored = pairs(raw["config"])
    if not stored:
        raise SystemRefused(
            f"no system runs under the key prefix {scripts.keys.prefix} of this server:"
            f" {scripts.keys.named('config')} does not exist. Start one with `mm up`, or name the"
            " right --data-dir or --redis-url."
        )
    now = int(raw["now_ms"])
    since = {consumer: int(ms) for consumer, ms in (pairs(one).popitem() for one in raw["pending"])}
    return Snapshot(
        now_ms=now,
        config=Config.from_store(stored, [state.symbol for state in states.values()]),
        exposure=pairs(raw["exposure"]),
        cursors=pairs(raw["cursors"]),
        expiry=_ranked(raw["expiry"]),
        waiting_bid=_ranked(raw["waiting_bid"]),
        waiting_ask=_ranked(raw["waiting_ask"]),
        processes={text(name): pairs(fields) for name, fields in raw["process"]},
        symbols=states,
        streams={
            text(name): Stream(length, text(first), text(last))
            for name, length, first, last in raw["streams"]
        },
        lag_ms={consumer: max(0, now - ms) if ms else 0 for consumer, ms in since.items()},
        fills=parse_fills(raw["fills"]),
        events=[Event(text(entry), pairs(fields)) for entry, fields in raw["events"]],
    )


def read_config(scripts: Scripts) -> Config | None:
    """The configuration that the keys hold, or None when they hold no system."""
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
        symbols.append(symbol_from_store(name, state))
    return Config.from_store(stored, symbols)
