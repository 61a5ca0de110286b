"""Profit at a mark, split into what the spread earned and the rest (R29), and its totals."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from mm.market import (
    Position,
    Symbol,
    exact_product,
    exact_quotient,
    from_steps,
    money_text,
    unit_of,
)
from mm.store import Snapshot, SymbolState

_HALF = Decimal("0.5")


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


def twice_profit(position: Position, mark: Mark) -> int:
    """Twice the profit at the mark, in ticks x lots: cash, and the open lots at the mark."""
    return 2 * position.cash_ticks + position.net_lots * mark.twice_ticks


@dataclass(frozen=True)
class Profit:
    """A symbol's profit at its mark, each as exact decimal text.

    ``total`` is ``realised`` and ``unrealised``, and it is ``spread`` and ``inventory``.
    """

    realised: str
    unrealised: str
    total: str
    spread: str
    inventory: str


def profit_of(state: SymbolState, mark: Mark) -> Profit:
    """What the closed lots earned and what the open ones would at the mark, and its two parts."""
    position = state.position
    twice = twice_profit(position, mark)
    realised, spread = 2 * position.realised_ticks, position.twice_spread_ticks
    return Profit(
        *(
            _half_money(state.symbol, halves)
            for halves in (realised, twice - realised, twice, spread, twice - spread)
        )
    )


def _half_money(symbol: Symbol, twice_ticks_lots: int) -> str:
    """The money of half of ``twice_ticks_lots`` ticks x lots as exact decimal text."""
    if twice_ticks_lots % 2 == 0:
        return symbol.money(twice_ticks_lots // 2)
    return from_steps(twice_ticks_lots, symbol.tick * symbol.lot * symbol.multiplier / 2)


@dataclass(frozen=True)
class Purse:
    """The symbols of one currency, and a unit in which each of their profits is whole.

    ``halves`` maps a symbol to the units of half a tick x lot. ``currency`` is empty when nobody
    named one.
    """

    currency: str
    unit: Decimal
    halves: dict[str, int]

    def text(self, units: int) -> str:
        """An amount as exact decimal text; behind the second decimal without zeros at the end."""
        return money_text(exact_product(Decimal(units), self.unit))


def purses(snapshot: Snapshot) -> list[Purse]:
    """The snapshot's symbols by currency, in the order of the first one of each."""
    values: dict[str, dict[str, Decimal]] = {}
    for name, state in snapshot.symbols.items():
        symbol = state.symbol
        half = exact_product(symbol.tick, symbol.lot, Decimal(symbol.multiplier), _HALF)
        values.setdefault(snapshot.config.currency_of(symbol), {})[name] = half
    found = []
    for currency, halves in values.items():
        unit = unit_of(halves.values())
        units = {name: exact_quotient(half, unit) for name, half in halves.items()}
        found.append(Purse(currency, unit, units))
    return found


@dataclass(frozen=True)
class Total(Profit):
    """The profit of all symbols of one currency, whose name is empty when nobody named one."""

    currency: str = ""


def totals(snapshot: Snapshot) -> list[Total]:
    """The profit of the snapshot's symbols at their marks, one total for each currency."""
    return [_total(snapshot, purse) for purse in purses(snapshot)]


def _total(snapshot: Snapshot, purse: Purse) -> Total:
    total = realised = spread = 0
    text = purse.text
    for name, half in purse.halves.items():
        state = snapshot.symbols[name]
        total += half * twice_profit(state.position, mark_of(state))
        realised += half * 2 * state.position.realised_ticks
        spread += half * state.position.twice_spread_ticks
    open_lots, rest = text(total - realised), text(total - spread)
    return Total(text(realised), open_lots, text(total), text(spread), rest, purse.currency)


def total_units(snapshot: Snapshot, purse: Purse) -> int:
    """The total profit of a purse at the marks, in its units."""
    states = snapshot.symbols
    return sum(
        half * twice_profit(states[name].position, mark_of(states[name]))
        for name, half in purse.halves.items()
    )
