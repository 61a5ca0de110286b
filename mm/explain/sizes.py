"""Why a side of a quote got fewer lots than were asked for."""

from __future__ import annotations

from collections.abc import Iterator

from mm.market import MAX_INT, Config, Position, Symbol
from mm.store import EventSide

#: A word for programs, and a sentence.
Reason = tuple[str, str]
_BUDGETS = {"bid": "long", "ask": "short"}


def signed(symbol: Symbol, lots: int) -> str:
    """A net quantity with its sign, as exact decimal text."""
    return ("+" if lots > 0 else "") + symbol.quantity(lots)


def size_reasons(
    config: Config, symbol: Symbol, side: EventSide, position: Position | None, mode: str
) -> list[Reason]:
    """Why a side got less than was requested; empty if it got all.

    ``position`` and ``mode`` are those at which it was placed; the position is None if unknown.
    """
    if side.lots >= side.requested_lots:
        return []
    if position is None:
        return [("unknown", "the position limit or the exposure limit left no more")]
    max_lots, reasons = side.requested_lots, []
    for most, reason in (
        *_bounds_of_position(symbol, side, position, mode),
        _bound_of_limit(config, symbol, side),
    ):
        if most < max_lots:
            max_lots = most
            reasons.append(reason)
    if side.lots < max_lots:
        whole = f"{config.exposure_amount(config.limit_units)} {config.exposure_name}"
        reasons.append(
            (
                "exposure",
                # The side's lots stand in the sentence before; so both sides may share this one.
                f"no more of the exposure limit of {whole} was left, the rest being reserved by"
                " other quotes or claimed by symbols that began to wait earlier",
            )
        )
    return reasons


def _bounds_of_position(
    symbol: Symbol, side: EventSide, position: Position, mode: str
) -> Iterator[tuple[int, Reason]]:
    """The most lots by the position limit, the mode and exact numbers, each with its reason."""
    sign, net = 1 if side.name == "bid" else -1, signed(symbol, position.net_lots)
    room = max(0, symbol.position_limit_lots - sign * position.net_lots)
    limit = symbol.quantity(symbol.position_limit_lots)
    text = f"with net {net} the position limit of {limit} leaves room for {symbol.quantity(room)}"
    yield room, ("position_limit", text)
    if mode == "reducing":
        shrinking = max(0, -sign * position.net_lots)
        text = f"with net {net} only {symbol.quantity(shrinking)} would shrink the position, and"
        yield shrinking, ("reducing", f"{text} an operator lets it do nothing else")
    exact = (MAX_INT + min(0, sign * position.cash_ticks)) // side.ticks
    text = f"with a cash of {symbol.money(position.cash_ticks)} only {symbol.quantity(exact)} more"
    yield exact, ("exact_numbers", f"{text} can be booked as exact numbers")


def _bound_of_limit(config: Config, symbol: Symbol, side: EventSide) -> tuple[int, Reason]:
    """The most lots that the whole limit holds."""
    most = config.limit_units // config.lot_units(symbol, side.ticks)
    whole = f"{config.exposure_amount(config.limit_units)} {config.exposure_name}"
    text = f"the whole {_BUDGETS[side.name]} limit of {whole} holds no more than"
    return most, ("exposure_limit", f"{text} {symbol.quantity(most)}")
