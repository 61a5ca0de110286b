"""The state of the whole system at one instant, as typed records: what every reader works from.

:mod:`mm.store.raw` reads the stored text. :func:`snapshot_of` parses it once, and refuses text
that is not what this system writes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from mm.market import Config, Fill, Position, Symbol, strictest, symbol_from_store
from mm.store.events import QuoteEvent, parse_events, parse_fills
from mm.store.keys import Keys
from mm.store.raw import Raw, RawSymbol, Stream
from mm.store.records import (
    ClientInfo,
    Control,
    Cursors,
    Exposure,
    Fields,
    LiveQuote,
    ProcessInfo,
    Reservation,
    parsed,
    position_of,
)


@dataclass(frozen=True)
class SymbolState:
    """One symbol at the instant of its snapshot.

    ``fill_seq`` counts the fills emitted. ``quote`` is the quote that can be executed at the
    instant, or None. ``outcome`` is that of the last placement and ``halted`` the reason of a
    halt after an integrity error; both are empty text without one. ``frozen`` is why its protection
    has frozen the symbol until ``frozen_until_ms``, or empty text when it is not frozen at the
    instant. ``control`` is the symbol's own trading mode. ``last_fill_id`` is that of the last
    committed fill, or None before the first. ``reservation`` is None when its hash does not exist.
    """

    symbol: Symbol
    position: Position
    last_fill_id: str | None
    updated_ms: int
    fill_seq: int
    quote_version: int
    outcome: str
    halted: str
    frozen: str
    frozen_until_ms: int
    control: Control
    quote: LiveQuote | None
    reservation: Reservation | None

    @property
    def closed(self) -> bool:
        """Whether the symbol is retired, and flat and halted for good."""
        done = self.position.position_version == self.fill_seq and not self.position.net_lots
        return self.symbol.retired and self.control.mode == "halted" and done


@dataclass(frozen=True)
class Snapshot:
    """Everything at one instant of the server's clock, ``now_ms``.

    ``control`` is the trading mode that an operator has set for all symbols.
    ``expiry`` maps symbols to the expiry of their quotes. ``waiting_bid`` and ``waiting_ask`` map
    the symbols that wait for exposure to their places, the first in turn first. ``processes`` and
    ``symbols`` go by name; ``symbol_names`` are all that are configured, also those that the
    snapshot does not include. ``lag_ms`` is, for each consumer, how long the oldest entry after its
    cursor has waited; the exchange's also counts ``inbox_entries``, those that wait in inboxes.
    ``clients`` are those that have one. ``fills`` and ``events`` are newest first. ``parts`` are
    the snapshots of the partitions, from which all else is summed; there are none without them.
    """

    now_ms: int
    config: Config
    exposure: Exposure
    cursors: Cursors
    control: Control
    expiry: dict[str, int]
    waiting_bid: dict[str, int]
    waiting_ask: dict[str, int]
    processes: dict[str, ProcessInfo]
    symbols: dict[str, SymbolState]
    symbol_names: tuple[str, ...]
    streams: dict[str, Stream]
    lag_ms: dict[str, int]
    clients: dict[str, ClientInfo]
    inbox_entries: int
    fills: list[Fill]
    events: list[QuoteEvent]
    parts: tuple[Snapshot, ...] = ()

    def mode_of(self, name: str) -> str:
        """The trading mode that holds for a symbol: the stricter of its own and that of all."""
        return strictest(self.control.mode, self.symbols[name].control.mode)


def symbol_state(keys: Keys, name: str, stored: RawSymbol, now_ms: int) -> SymbolState:
    """The typed record of a symbol's hashes; SystemRefused names what is damaged, key and field."""
    key = keys.member("terms:*", name)
    symbol = parsed(key, lambda: symbol_from_store(name, stored.terms))
    terms, state = Fields(key, stored.terms), Fields(keys.member("symbol:*", name), stored.state)
    position = Fields(keys.member("position:*", name), stored.position)
    quote = reservation = None
    if stored.quote:
        quote = LiveQuote.of(Fields(keys.member("quote:*", name), stored.quote))
    if stored.reservation:
        reservation = Reservation.of(Fields(keys.member("reservation:*", name), stored.reservation))
    last_fill_id = position.optional_word("last_fill_id")
    frozen_until_ms = position.optional_integer("frozen_until_ms") or 0
    return SymbolState(
        symbol=symbol,
        position=position_of(position),
        last_fill_id=None if last_fill_id in ("", "-") else last_fill_id,
        updated_ms=position.optional_integer("updated_ms") or 0,
        fill_seq=state.integer("fill_seq"),
        quote_version=state.integer("quote_version"),
        outcome=state.optional_word("outcome"),
        halted=position.optional_word("halted"),
        frozen=(position.optional_word("frozen_why") or "-") if frozen_until_ms > now_ms else "",
        frozen_until_ms=frozen_until_ms,
        control=Control.of(terms, position.optional_integer("flattened_ms")),
        quote=quote if quote and quote.expires_ms > now_ms else None,
        reservation=reservation,
    )


def _ranked(key: str, stored: dict[str, str]) -> dict[str, int]:
    return parsed(key, lambda: {name: int(float(score)) for name, score in stored.items()})


def _exposure(raw: Raw, keys: Keys) -> Exposure:
    fields = Fields(keys.named("exposure"), raw.exposure)
    if "partition" not in raw.config:
        return Exposure.of(fields, fields.integer("limit_units"))
    lease = Fields(keys.named("lease"), raw.lease)
    return Exposure.of(fields, lease.integer("accepted") - lease.integer("returned"))


def processes_of(raw: Raw, keys: Keys) -> dict[str, ProcessInfo]:
    """What the processes have said of themselves, by name."""
    return {
        name: ProcessInfo.of(name, Fields(keys.member("process:*", name), stored))
        for name, stored in raw.processes.items()
    }


def snapshot_of(raw: Raw, keys: Keys) -> Snapshot:
    """The typed records of what was read; SystemRefused names what is damaged, key and field."""
    states = {
        name: symbol_state(keys, name, stored, raw.now_ms) for name, stored in raw.symbols.items()
    }
    config = parsed(
        keys.named("config"),
        lambda: Config.from_store(raw.config, [state.symbol for state in states.values()]),
    )
    return Snapshot(
        now_ms=raw.now_ms,
        config=config,
        exposure=_exposure(raw, keys),
        control=Control.of(Fields(keys.named("control"), raw.control)),
        cursors=Cursors.of(Fields(keys.named("cursors"), raw.cursors)),
        expiry=_ranked(keys.named("expiry"), raw.expiry),
        waiting_bid=_ranked(keys.named("waiting:bid"), raw.waiting_bid),
        waiting_ask=_ranked(keys.named("waiting:ask"), raw.waiting_ask),
        processes=processes_of(raw, keys),
        symbols=states,
        symbol_names=tuple(raw.config.get("symbols", "").split()),
        streams=raw.streams,
        lag_ms={name: max(0, raw.now_ms - ms) if ms else 0 for name, ms in raw.pending.items()},
        clients={
            name: parsed(keys.named("clients"), partial(ClientInfo.parse, name, line))
            for name, line in raw.clients.items()
        },
        inbox_entries=raw.inbox_entries,
        fills=parse_fills(raw.fills),
        events=parse_events(raw.events),
    )
