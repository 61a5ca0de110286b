"""What differs between two configurations, and which of it may change while the system runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from mm.errors import ConfigError
from mm.market.config import Config
from mm.market.model import Symbol
from mm.market.parameters import symbol_fields

#: What a change does to a symbol: its parameters, or whether it is traded. ``market`` is a change
#: of a field that holds for all symbols.
Kind = Literal["market", "alter", "add", "retire", "return"]

#: Field that never changes while a system exists -> why.
FIXED = {
    "exposure_mode": "exposure is counted in it",
    "currency": "money is counted in it",
    "notional_unit": "exposure is counted in it",
    "dedup_window_ms": "remembered orders are filed by it",
    "durability": "processes have checked the server against it",
    "partitions": "each symbol has its keys in one",
    "replicas": "what is acknowledged depends on it",
    "tick": "the ledger counts in it",
    "lot": "the ledger counts in it",
    "multiplier": "exposure and profit are counted in it",
    "fair_weight": "the committed fair price follows from it",
}
#: What a configuration means that leaves a field out.
DEFAULTS = {"partitions": "1", "replicas": "0"}
#: Fields of an existing system or symbol that follow from others.
_DERIVED = ("schema", "symbols", "notional_units")


@dataclass(frozen=True)
class SymbolChange:
    """What changes of one symbol, or with the kind ``market`` of what holds for all.

    ``fields`` maps a field to its text before and after; of a symbol that is added before is empty
    text. ``symbol`` is empty text for the market.
    """

    kind: Kind
    symbol: str
    fields: dict[str, tuple[str, str]]


def config_changes(stored: Config, given: Config) -> list[SymbolChange]:
    """What must change for the stored configuration to become the given one.

    Symbols that only the stored one has are retired, the others in the order of the given one. A
    symbol that is retired already is not named. ConfigError when the given limit or a symbol is not
    a whole number of units in which the stored one counts.
    """
    given = given.counted_as(stored)
    market = _differing(stored.store_fields(), given.store_fields())
    found = [SymbolChange("market", "", market)] if market else []
    known = {symbol.name: symbol for symbol in stored.symbols}
    for symbol in given.symbols:
        found += _of_symbol(stored, known.get(symbol.name), given, symbol)
    names = {symbol.name for symbol in given.symbols}
    gone = [symbol.name for symbol in stored.traded if symbol.name not in names]
    return found + [SymbolChange("retire", name, {}) for name in gone]


def _of_symbol(
    stored: Config, old: Symbol | None, given: Config, new: Symbol
) -> Iterator[SymbolChange]:
    wanted = symbol_fields(given, new)
    if old is None:
        yield SymbolChange("add", new.name, {name: ("", text) for name, text in wanted.items()})
        return
    fields = _differing(symbol_fields(stored, old), wanted)
    if old.retired or fields:
        yield SymbolChange("return" if old.retired else "alter", new.name, fields)


def _differing(before: dict[str, str], after: dict[str, str]) -> dict[str, tuple[str, str]]:
    return {
        name: (before.get(name, DEFAULTS.get(name, "")), after.get(name, DEFAULTS.get(name, "")))
        for name in {**before, **after}
        if name not in _DERIVED
        and before.get(name, DEFAULTS.get(name)) != after.get(name, DEFAULTS.get(name))
    }


def check_changeable(changes: Sequence[SymbolChange]) -> None:
    """ConfigError when something must change that never changes while a system exists."""
    for change in changes:
        for name, (before, after) in change.fields.items():
            if name in FIXED and change.kind != "add":
                where = f"symbol {change.symbol}: " if change.symbol else ""
                raise ConfigError(
                    f"{where}{name} {before} -> {after}: it never changes while a system exists,"
                    f" since {FIXED[name]}. A new system needs a new --data-dir"
                )
