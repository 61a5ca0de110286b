"""Committed positions, marks and profit as plain facts."""

from __future__ import annotations

from fractions import Fraction

from mm.facts.profit import mark_of, mark_price, profit_of
from mm.market import Config, from_steps
from mm.store import Snapshot, SymbolState


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


def positions_facts(snapshot: Snapshot) -> list[dict[str, object]]:
    """Each symbol's committed position, cost, mark and profit.

    ``cost`` is what the open lots cost, with the sign of the position, and ``average_cost`` is its
    price. ``fill_seq`` counts the fills emitted.
    """
    config = snapshot.config
    return [_position_facts(config, name, state) for name, state in snapshot.symbols.items()]


def _position_facts(config: Config, name: str, state: SymbolState) -> dict[str, object]:
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
        "spread_earned": profit.spread,
        "inventory_profit": profit.inventory,
        "currency": config.currency_of(symbol) or None,
        "mark": mark_price(symbol, mark),
        "mark_source": mark.source,
        "last_price": symbol.price(last) if last else None,
        "last_fill_id": state.last_fill_id,
        "position_version": position.position_version,
        "fill_seq": state.fill_seq,
        "updated_ms": state.updated_ms,
    }
