"""What a snapshot says, as plain facts: the numbers behind every table, and behind ``--json``.

Names are stable snake_case. Prices, quantities and money are exact decimals as text; ticks, lots,
units, versions, counts and milliseconds are integers; what does not exist is None.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from mm.errors import SystemRefused
from mm.model import Symbol, from_steps
from mm.process import LIVE_MS
from mm.snapshot import Snapshot, SymbolState

Facts = dict[str, object]


def number(fields: Mapping[str, str], name: str) -> int:
    """The integer that a hash's field holds, 0 without the field; SystemRefused for other text."""
    stored = fields.get(name) or "0"
    try:
        return int(stored)
    except ValueError as error:
        raise SystemRefused(
            f"{name} {stored!r}: it must be an integer. A foreign program may have changed it;"
            " restore the data from a backup."
        ) from error


@dataclass(frozen=True)
class Mark:
    """What a symbol's open lots are valued at, as twice the price, so that a half tick is exact."""

    twice_ticks: int
    source: Literal["quote", "last", "reference"]


def mark_of(state: SymbolState, now_ms: int) -> Mark:
    """The mark: the middle of the live two-sided quote, else the last price, else the reference.

    A quote with one side has no middle. A side that was placed and then filled counts.
    """
    quote = state.live_quote(now_ms)
    if number(quote, "bid_size_lots") and number(quote, "ask_size_lots"):
        return Mark(number(quote, "bid_ticks") + number(quote, "ask_ticks"), "quote")
    if state.position.last_price_ticks:
        return Mark(2 * state.position.last_price_ticks, "last")
    return Mark(2 * state.symbol.reference_ticks, "reference")


def half_price(symbol: Symbol, twice_ticks: int) -> str:
    """The price of half of ``twice_ticks`` ticks as exact decimal text."""
    if twice_ticks % 2 == 0:
        return symbol.price(twice_ticks // 2)
    return from_steps(twice_ticks, symbol.tick / 2)


def half_money(symbol: Symbol, twice_ticks_lots: int) -> str:
    """The money of half of ``twice_ticks_lots`` ticks x lots as exact decimal text."""
    if twice_ticks_lots % 2 == 0:
        return symbol.money(twice_ticks_lots // 2)
    return from_steps(twice_ticks_lots, symbol.tick * symbol.lot * symbol.multiplier / 2)


@dataclass(frozen=True)
class Profit:
    """A symbol's profit at its mark, each as exact decimal text."""

    realised: str
    unrealised: str
    total: str


def profit_of(state: SymbolState, mark: Mark) -> Profit:
    """What the closed lots earned, and what the open ones would at the mark."""
    symbol, position = state.symbol, state.position
    twice_open = position.net_lots * mark.twice_ticks - 2 * position.cost_ticks
    return Profit(
        symbol.money(position.realised_ticks),
        half_money(symbol, twice_open),
        half_money(symbol, 2 * position.realised_ticks + twice_open),
    )


def positions_facts(snapshot: Snapshot) -> list[Facts]:
    """Each symbol's committed position, mark and profit; ``fill_seq`` counts the fills emitted."""
    found: list[Facts] = []
    for name, state in snapshot.symbols.items():
        symbol, position = state.symbol, state.position
        mark = mark_of(state, snapshot.now_ms)
        profit = profit_of(state, mark)
        last = position.last_price_ticks
        fill_id = state.position_hash.get("last_fill_id", "-")
        found.append(
            {
                "symbol": name,
                "net_lots": position.net_lots,
                "net_quantity": symbol.quantity(position.net_lots),
                "position_limit_lots": symbol.position_limit_lots,
                "cash": symbol.money(position.cash_ticks),
                "realised": profit.realised,
                "unrealised": profit.unrealised,
                "profit": profit.total,
                "mark": half_price(symbol, mark.twice_ticks),
                "mark_source": mark.source,
                "last_price": symbol.price(last) if last else None,
                "last_fill_id": None if fill_id == "-" else fill_id,
                "position_version": position.position_version,
                "fill_seq": state.fill_seq,
                "updated_ms": number(state.position_hash, "updated_ms"),
            }
        )
    return found


def _side_facts(symbol: Symbol, quote: Mapping[str, str], side: Literal["bid", "ask"]) -> Facts:
    size = number(quote, f"{side}_size_lots")
    lots = number(quote, f"{side}_lots")
    ticks = number(quote, f"{side}_ticks")
    return {
        side: symbol.price(ticks) if size else None,
        f"{side}_ticks": ticks if size else None,
        f"{side}_lots": lots,
        f"{side}_quantity": symbol.quantity(lots),
        f"{side}_size_lots": size,
    }


def quotes_facts(snapshot: Snapshot) -> list[Facts]:
    """Each symbol's live quote, remaining and as placed, and the outcome of the last placement.

    Without a live quote ``active`` is False and the quote's own facts are None, quantities 0.
    """
    found: list[Facts] = []
    for name, state in snapshot.symbols.items():
        quote = state.live_quote(snapshot.now_ms)
        found.append(
            {
                "symbol": name,
                "active": bool(quote),
                "quote_id": quote.get("quote_id"),
                "quote_version": number(state.state, "quote_version"),
                "position_version": number(quote, "position_version") if quote else None,
                **_side_facts(state.symbol, quote, "bid"),
                **_side_facts(state.symbol, quote, "ask"),
                "expires_ms": number(quote, "expires_ms") if quote else None,
                "ttl_ms": number(quote, "expires_ms") - snapshot.now_ms if quote else None,
                "maker_id": quote.get("maker_id"),
                "outcome": state.state.get("outcome"),
                "halted": state.halted or None,
            }
        )
    return found


def exposure_facts(snapshot: Snapshot) -> Facts:
    """Both budgets in units, and the symbols that wait for each, first in turn first."""
    limit = number(snapshot.exposure, "limit_units")
    long, short = number(snapshot.exposure, "bid_units"), number(snapshot.exposure, "ask_units")
    return {
        "exposure_mode": snapshot.config.exposure_mode,
        "limit_units": limit,
        "long_units": long,
        "short_units": short,
        "long_free_units": limit - long,
        "short_free_units": limit - short,
        "waiting_long": list(snapshot.waiting_bid),
        "waiting_short": list(snapshot.waiting_ask),
    }


@dataclass(frozen=True)
class ProcessRow:
    """One process: ``silent_ms`` is how long ago it was heard of, None when it never was.

    ``lag_ms`` is how long the oldest entry that its kind has not processed has waited, for the
    exchange and the state service. ``pid`` is empty text and ``rate_per_s`` None when unknown.
    """

    name: str
    kind: str
    pid: str
    silent_ms: int | None
    restarts: int
    rate_per_s: int | None
    count: int
    lag_ms: int | None

    @property
    def state(self) -> str:
        """``live``, ``silent`` (no heartbeat for 2 s) or ``unheard``."""
        if self.silent_ms is None:
            return "unheard"
        return "live" if self.silent_ms <= LIVE_MS else "silent"


#: The order in which processes are shown: that of an order's way through them.
_KINDS = ("publisher", "exchange", "state", "maker")


def _rank(row: ProcessRow) -> tuple[int, int, str]:
    place = _KINDS.index(row.kind) if row.kind in _KINDS else len(_KINDS)
    return place, len(row.name), row.name


def process_rows(snapshot: Snapshot, restarts: Mapping[str, int] | None = None) -> list[ProcessRow]:
    """All processes heard of or supervised; ``restarts`` is the supervisor's own count by name."""
    known = restarts or {}
    rows = []
    for name in {**snapshot.processes, **known}:
        fields = snapshot.processes.get(name, {})
        kind = fields.get("kind") or name.partition("-")[0]
        heard = number(fields, "heartbeat_ms")
        silent = max(0, snapshot.now_ms - heard) if heard else None
        live = silent is not None and silent <= LIVE_MS
        rows.append(
            ProcessRow(
                name,
                kind,
                fields.get("pid", ""),
                silent,
                max(known.get(name, 0), number(fields, "restarts")),
                number(fields, "rate_per_s") if live else None,
                number(fields, "count"),
                snapshot.lag_ms.get(kind),
            )
        )
    return sorted(rows, key=_rank)


def symbol_count(snapshot: Snapshot) -> int:
    """How many symbols the system has, as far as the snapshot knows.

    One that was cut to the first few still knows those that have or wait for a quote.
    """
    known = snapshot.symbols.keys() | snapshot.expiry.keys()
    return len(known | snapshot.waiting_bid.keys() | snapshot.waiting_ask.keys())


def active_quotes(snapshot: Snapshot) -> int:
    """How many quotes can be executed at the instant."""
    return sum(1 for expires_ms in snapshot.expiry.values() if expires_ms > snapshot.now_ms)


def halts(snapshot: Snapshot) -> dict[str, str]:
    """The halted symbols and why."""
    return {name: one.halted for name, one in snapshot.symbols.items() if one.halted}


def status_facts(snapshot: Snapshot) -> Facts:
    """The system in a few numbers, and its processes."""
    return {
        "now_ms": snapshot.now_ms,
        "durability": snapshot.config.durability,
        "symbols": symbol_count(snapshot),
        "quotes_active": active_quotes(snapshot),
        "orders": number(snapshot.cursors, "exchange_records"),
        "fills_committed": number(snapshot.cursors, "state_records"),
        "lag_ms": dict(snapshot.lag_ms),
        "halted": halts(snapshot),
        "exposure": exposure_facts(snapshot),
        "processes": [
            {
                "name": row.name,
                "kind": row.kind,
                "pid": int(row.pid) if row.pid.isdecimal() else None,
                "state": row.state,
                "silent_ms": row.silent_ms,
                "restarts": row.restarts,
                "rate_per_s": row.rate_per_s,
                "count": row.count,
                "lag_ms": row.lag_ms,
            }
            for row in process_rows(snapshot)
        ],
        "streams": {name: stream.length for name, stream in snapshot.streams.items()},
    }
