"""A snapshot of a system as a whole, its partitions taken together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from mm.market import MODES, Config, strictest
from mm.store.partitions import partitions_of
from mm.store.raw import Raw, Stream, read_raw
from mm.store.records import ClientInfo, Control, Cursors, Exposure, parsed
from mm.store.scripts import Scripts
from mm.store.snapshot import Snapshot, SymbolState, processes_of, snapshot_of
from mm.store.streams import stream_id_order

T = TypeVar("T")


def take_snapshot(scripts: Scripts, recent: int = 0, max_symbols: int = 0) -> Snapshot:
    """Take a snapshot in one call; of a system with partitions in one call for each.

    ``recent`` is how many of the newest fill entries and quote events to include. ``max_symbols``
    is how many symbols (0 for all): those that are halted or have another mode first, then those
    with an active quote, then others, and beside them the symbols of the newest fills. The
    partitions of a system are read one after the other, so their instants differ.

    SystemRefused when the keys hold no system, or naming the key and field whose content is not
    what this system writes.
    """
    raw = read_raw(scripts, recent, max_symbols)
    if not raw.partitioned:
        return snapshot_of(raw, scripts.keys)
    parts = [
        snapshot_of(read_raw(one, recent, max_symbols), one.keys) for one in partitions_of(scripts)
    ]
    return _together(raw, scripts, parts)


def _together(raw: Raw, scripts: Scripts, parts: Sequence[Snapshot]) -> Snapshot:
    control = min((part.control for part in parts), key=lambda one: MODES.index(one.mode))
    found = {
        name: _under(control, part, state) for part in parts for name, state in part.symbols.items()
    }
    names = tuple(raw.config.get("symbols", "").split())
    symbols = {name: found[name] for name in names if name in found}
    config = parsed(
        scripts.keys.named("config"),
        lambda: Config.from_store(raw.config, [state.symbol for state in symbols.values()]),
    )
    return Snapshot(
        now_ms=raw.now_ms,
        config=config,
        exposure=Exposure(
            config.limit_units,
            sum(part.exposure.bid_units for part in parts),
            sum(part.exposure.ask_units for part in parts),
        ),
        cursors=Cursors(
            max((part.cursors.exchange_id for part in parts), key=stream_id_order),
            sum(part.cursors.exchange_records for part in parts),
            max((part.cursors.state_id for part in parts), key=stream_id_order),
            sum(part.cursors.state_records for part in parts),
        ),
        control=control,
        expiry=_joined(part.expiry for part in parts),
        waiting_bid=_joined(part.waiting_bid for part in parts),
        waiting_ask=_joined(part.waiting_ask for part in parts),
        processes=_joined([processes_of(raw, scripts.keys), *(part.processes for part in parts)]),
        symbols=symbols,
        symbol_names=names,
        streams={name: _stream([part.streams[name] for part in parts]) for name in raw.streams},
        lag_ms={name: max(part.lag_ms.get(name, 0) for part in parts) for name in parts[0].lag_ms},
        clients=_clients(parts),
        inbox_entries=sum(part.inbox_entries for part in parts),
        fills=_newest((part.fills for part in parts), lambda fill: fill.ts_ms),
        events=_newest((part.events for part in parts), lambda event: event.ts_ms),
        parts=tuple(parts),
    )


def _under(control: Control, part: Snapshot, state: SymbolState) -> SymbolState:
    """The symbol's state where its partition's mode of all is stricter than that of the others."""
    stricter = strictest(part.control.mode, state.control.mode)
    if part.control.mode == control.mode or stricter == state.control.mode:
        return state
    return replace(state, control=part.control)


def _joined(tables: Iterable[Mapping[str, T]]) -> dict[str, T]:
    return {name: value for table in tables for name, value in table.items()}


def _stream(streams: Sequence[Stream]) -> Stream:
    first = min((one.first_id for one in streams), key=stream_id_order)
    last = max((one.last_id for one in streams), key=stream_id_order)
    return Stream(sum(one.length for one in streams), first, last)


def _clients(parts: Sequence[Snapshot]) -> dict[str, ClientInfo]:
    found: dict[str, ClientInfo] = {}
    for part in parts:
        for name, info in part.clients.items():
            known = found.get(name, ClientInfo(name, 0, 0))
            last_ms = max(known.last_ms, info.last_ms)
            found[name] = ClientInfo(name, known.orders + info.orders, last_ms)
    return found


def _newest(lists: Iterable[Sequence[T]], ts_ms: Callable[[T], int]) -> list[T]:
    return sorted((one for found in lists for one in found), key=ts_ms, reverse=True)
