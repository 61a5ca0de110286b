"""Committed positions, marks and profit as plain facts."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Literal

from mm.market import Symbol, from_steps
from mm.store import Snapshot, SymbolState


@dataclass(frozen=True)
class Mark:
    """The price that values a symbol's open lots, as twice its ticks: so a half tick is exact."""

    twice_ticks: int
    source: Literal["quote", "last", "reference"]


def mark_of(state: SymbolState) -> Mark:
    """The mark: the middle of the live two-sided quote, else the last price, else the reference.

    A quote with one side has no middle. A side that was placed and then filled counts.
    """
    quote = state.quote
    if quote is not None and quote.bid.size_lots and quote.ask.size_lots:
        return Mark(quote.bid.ticks + quote.ask.ticks, "quote")
    if state.position.last_price_ticks:
        return Mark(2 * state.position.last_price_ticks, "last")
    return Mark(2 * state.symbol.reference_ticks, "reference")


def mark_price(symbol: Symbol, mark: Mark) -> str:
    """The mark as exact decimal text."""
    if mark.twice_ticks % 2 == 0:
        return symbol.price(mark.twice_ticks // 2)
    return from_steps(mark.twice_ticks, symbol.tick / 2)


def average_cost(state: SymbolState) -> str | None:
    """The average price of the open lots as decimal text; None when no lot is open.

    It is exact where it ends within a ten-thousandth of a tick, and rounded to that otherwise. The
    ``cost`` in :func:`positions_facts` is always exact.
    """
    position, tick = state.position, state.symbol.tick
    if not position.net_lots:
        return None
    steps = round(Fraction(10_000 * position.cost_ticks, position.net_lots))
    whole, _, decimals = from_steps(steps, tick / 10_000).partition(".")
    least = len(state.symbol.price(1).partition(".")[2])
    kept = decimals.rstrip("0").ljust(least, "0")
    return f"{whole}.{kept}" if kept else whole


def _half_money(symbol: Symbol, twice_ticks_lots: int) -> str:
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
        _half_money(symbol, twice_open),
        _half_money(symbol, 2 * position.realised_ticks + twice_open),
    )


def total_profit(snapshot: Snapshot) -> str:
    """The profit of the snapshot's symbols, each at its mark, as exact decimal text."""
    profits = (profit_of(state, mark_of(state)).total for state in snapshot.symbols.values())
    return f"{sum(map(Decimal, profits), Decimal(0)):f}"


def positions_facts(snapshot: Snapshot) -> list[dict[str, object]]:
    """Each symbol's committed position, cost, mark and profit.

    ``cost`` is what the open lots cost, with the sign of the position, and ``average_cost`` is its
    price. ``fill_seq`` counts the fills emitted.
    """
    return [_position_facts(name, state) for name, state in snapshot.symbols.items()]


def _position_facts(name: str, state: SymbolState) -> dict[str, object]:
    symbol, position = state.symbol, state.position
    mark = mark_of(state)
    profit = profit_of(state, mark)
    last = position.last_price_ticks
    return {
        "symbol": name,
        "net_lots": position.net_lots,
        "net_quantity": symbol.quantity(position.net_lots),
        "position_limit_lots": symbol.position_limit_lots,
        "cost": symbol.money(position.cost_ticks),
        "average_cost": average_cost(state),
        "cash": symbol.money(position.cash_ticks),
        "realised": profit.realised,
        "unrealised": profit.unrealised,
        "profit": profit.total,
        "mark": mark_price(symbol, mark),
        "mark_source": mark.source,
        "last_price": symbol.price(last) if last else None,
        "last_fill_id": state.last_fill_id,
        "position_version": position.position_version,
        "fill_seq": state.fill_seq,
        "updated_ms": state.updated_ms,
    }
