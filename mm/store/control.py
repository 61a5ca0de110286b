"""Who changes something while the system runs, and what that changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mm.market import SymbolChange

#: What a repair may put in place, in this order: the symbol's number of fills, then its position.
REPAIRED_FIELDS = (
    "fill_seq",
    "net_lots",
    "cash_ticks",
    "cost_ticks",
    "position_version",
    "last_fill_id",
    "last_price_ticks",
    "twice_spread_ticks",
    "fair_ticks",
    "fair_rest",
    "trades",
)


#: The most characters of the reason of a change, and the reason where none is needed or given.
MAX_WHY = 200
NO_REASON = "no reason given"


@dataclass(frozen=True)
class Operator:
    """Who changes something: a name, and the role in which it acts."""

    who: str
    role: str = "operator"


@dataclass(frozen=True)
class ModeChange:
    """What a control step did to one symbol, or to all (``symbol`` is ``*``).

    ``holds`` is the mode that holds now: the stricter one of the symbol's own and that of all.
    Of a halt after an integrity error ``halted`` is the reason while it goes on, and ``ended`` the
    reason when this step has ended it; both are empty text without one. ``thawed`` is why the
    symbol's protection had frozen it, which this step has ended, or empty text.
    """

    symbol: str
    before: str
    after: str
    holds: str
    halted: str
    ended: str
    thawed: str


@dataclass(frozen=True)
class Controlled:
    """What a control step did: the modes that it was asked for, and the quotes that it ended.

    ``missed`` says of which partitions it is not done, or not for sure, a sentence each. Of a
    system with partitions ``reached`` are the key prefixes of those where it is done.
    """

    changes: list[ModeChange]
    quote_ids: list[str]
    missed: tuple[str, ...] = ()
    reached: tuple[str, ...] = ()


def config_words(changes: Sequence[SymbolChange]) -> list[str]:
    """Changes of the configuration as the arguments of ``configure.lua``."""
    market = [change for change in changes if change.kind == "market"]
    words = _field_words(market[0] if market else None)
    for change in changes:
        if change.kind != "market":
            words += [change.symbol, change.kind, *_field_words(change)]
    return words


def _field_words(change: SymbolChange | None) -> list[str]:
    fields = {} if change is None else {name: new for name, (_, new) in change.fields.items()}
    return [str(len(fields)), *(word for field in fields.items() for word in field)]
