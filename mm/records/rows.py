"""Rows of exact values under named columns, and which records they are made of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal, TypeAlias

from mm.market import Symbol, exact_product
from mm.store import Snapshot

#: ``time`` is ms since 1970. ``decimal`` is exact decimal text.
Kind: TypeAlias = Literal["text", "integer", "time", "decimal"]
#: A value of each column; None where there is none.
Row: TypeAlias = tuple[str | int | None, ...]
#: The first ms that no calendar has: the year 10000.
NO_CALENDAR_MS = 253_402_300_800_000


@dataclass(frozen=True)
class Column:
    """A named column. ``steps`` are what its decimals are whole numbers of, one for each symbol.

    Where a table has no room for all, lower ranks come first. It shows the sign of ``signed`` ones.
    """

    name: str
    kind: Kind = "text"
    rank: int = 1
    steps: tuple[Decimal, ...] = ()
    signed: bool = False


@dataclass(frozen=True)
class Range:
    """Which records: since an instant, until before another, of these symbols (empty for all)."""

    since_ms: int = 0
    until_ms: int = NO_CALENDAR_MS
    symbols: frozenset[str] = frozenset()

    def has(self, ts_ms: int, symbol: str) -> bool:
        """Whether a record of this instant and symbol belongs to it."""
        return self.since_ms <= ts_ms < self.until_ms and self.of(symbol)

    def of(self, symbol: str) -> bool:
        """Whether the symbol belongs to it."""
        return not self.symbols or symbol in self.symbols


@dataclass
class Rows:
    """Rows in their order, read when somebody takes them, and once.

    ``left_out`` counts the records so far that are not what this system writes, or whose symbol it
    does not have.
    """

    columns: Sequence[Column]
    rows: Iterator[Row] = field(default_factory=lambda: iter(()))
    left_out: int = 0


class Steps:
    """The steps in which prices, quantities and money of the symbols are whole."""

    def __init__(self, symbols: Iterable[Symbol]) -> None:
        found = list(symbols)
        self.price = tuple(one.tick for one in found)
        self.quantity = tuple(one.lot for one in found)
        self.money = tuple(
            exact_product(one.tick, one.lot, Decimal(one.multiplier)) for one in found
        )


def symbols_of(snapshot: Snapshot) -> tuple[dict[str, Symbol], Steps]:
    """The symbols of a snapshot by name, and their steps."""
    symbols = {name: state.symbol for name, state in snapshot.symbols.items()}
    return symbols, Steps(symbols.values())


def check_record(holds: bool) -> None:
    """ValueError unless it holds: the record is then left out."""
    if not holds:
        raise ValueError("not a record of this system")
