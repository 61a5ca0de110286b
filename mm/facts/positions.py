"""What a snapshot says, as plain facts: the numbers behind every table, and behind ``--json``.

Names are stable snake_case. Prices, quantities and money are exact decimals as text; ticks, lots,
units, versions, counts and milliseconds are integers; what does not exist is None.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from mm.errors import SystemRefused
from mm.market import Symbol, from_steps
from mm.store import Snapshot, SymbolState

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
