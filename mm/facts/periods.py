"""Profit over time: what each period earned, from the fills of the ledger (R29)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from mm.errors import SystemRefused
from mm.facts.profit import Mark, Purse, mark_price, purses, twice_profit
from mm.instant import day, hour
from mm.market import Fill, Position
from mm.store import Snapshot

#: What periods and symbols may be grouped by. A currency is never added to another one, so each
#: group has one, named or not.
BY = ("day", "hour", "symbol", "currency")
#: The label of an instant's period.
_PERIODS: Mapping[str, Callable[[int], str]] = {"day": day, "hour": hour}
#: Day, hour, symbol, and the place of the purse.
_Key: TypeAlias = tuple[str, str, str, int]
_FLAT = Position()


@dataclass(frozen=True)
class Earned:
    """What one group of fills earned, each amount as exact decimal text.

    ``profit`` is the change of the profit at the mark, the price of the symbol's last fill. It is
    ``spread`` and ``inventory``. ``volume`` is price x quantity x multiplier of the fills.
    ``day``, ``hour`` and ``symbol`` are empty where the group is not by them. Without a symbol
    ``quantity``, and the ``net_quantity`` and ``mark`` after its last fill, are None.
    """

    day: str
    hour: str
    symbol: str
    currency: str
    fills: int
    volume: str
    spread: str
    inventory: str
    profit: str
    quantity: str | None = None
    net_quantity: str | None = None
    mark: str | None = None


@dataclass
class _Sum:
    """Sums in units of a purse. ``lots``, ``net_lots`` and ``ticks`` mean something of a symbol."""

    fills: int = 0
    volume: int = 0
    spread: int = 0
    profit: int = 0
    lots: int = 0
    net_lots: int = 0
    ticks: int = 0

    def add(self, other: _Sum) -> None:
        self.fills += other.fills
        self.volume += other.volume
        self.spread += other.spread
        self.profit += other.profit


@dataclass(frozen=True)
class Periods:
    """The groups in the order of their period and of the configuration, and their totals.

    There is one total for each currency that has fills.
    """

    groups: Sequence[Earned]
    totals: Sequence[Earned]


class ProfitSums:
    """What fills earned in each group, added up one by one.

    A fill counts in the period of its own time, with all that it changed of the profit, so the
    groups sum to the totals exactly. A group without fills does not exist.
    """

    def __init__(self, snapshot: Snapshot, by: Sequence[str]) -> None:
        self._snapshot = snapshot
        self._by = by
        self._money = purses(snapshot)
        self._homes = {name: at for at, purse in enumerate(self._money) for name in purse.halves}
        self._sums: dict[_Key, _Sum] = {}

    def add(self, fill: Fill, before: Position, after: Position) -> None:
        """Add what a fill changed of its symbol's position."""
        at = self._homes[fill.symbol]
        key = _key(fill, self._by, at)
        half = self._money[at].halves[fill.symbol]
        _add(self._sums.setdefault(key, _Sum()), half, fill, before, after)

    def periods(self) -> Periods:
        """The groups so far, and their totals."""
        snapshot, money, sums = self._snapshot, self._money, self._sums
        order = {name: at for at, name in enumerate(snapshot.symbol_names)}
        keys = sorted(sums, key=lambda key: (*key[:2], order.get(key[2], -1), key[3]))
        whole: dict[int, _Sum] = {}
        for key in keys:
            whole.setdefault(key[3], _Sum()).add(sums[key])
        return Periods(
            [_earned(snapshot, key, sums[key], money[key[3]]) for key in keys],
            [_earned(snapshot, ("", "", "", at), whole[at], money[at]) for at in sorted(whole)],
        )


def profit_by(
    fills: Iterable[Fill],
    snapshot: Snapshot,
    by: Sequence[str],
    since_ms: int,
    until_ms: int,
) -> Periods:
    """What the fills since an instant, until before another, earned in each group.

    ``fills`` are all fills of the wanted symbols from the beginning of the ledger: what a symbol
    held before must be known. SystemRefused names the fill that does not follow the one before it.
    """
    held: dict[str, Position] = {}
    sums = ProfitSums(snapshot, by)
    for fill in fills:
        before = held.get(fill.symbol, _FLAT)
        if fill.seq != before.position_version + 1:
            raise SystemRefused(
                f"fill {fill.fill_id} follows fill {before.position_version} of {fill.symbol} in"
                " the ledger, so what it earned is not known. `mm audit` says more; --symbol names"
                " the others."
            )
        after = before.apply(fill.signed_lots, fill.price_ticks, fill.spread_ticks)
        held[fill.symbol] = after
        if since_ms <= fill.ts_ms < until_ms:
            sums.add(fill, before, after)
    return sums.periods()


def _key(fill: Fill, by: Sequence[str], home: int) -> _Key:
    day_of, hour_of = (label(fill.ts_ms) if word in by else "" for word, label in _PERIODS.items())
    return day_of, hour_of, fill.symbol if "symbol" in by else "", home


def _add(into: _Sum, half: int, fill: Fill, before: Position, after: Position) -> None:
    """Add what one fill changed, where ``half`` units are half a tick x lot."""
    into.fills += 1
    into.volume += half * 2 * fill.qty_lots * fill.price_ticks
    into.spread += half * (after.twice_spread_ticks - before.twice_spread_ticks)
    into.profit += half * (_at_last(after) - _at_last(before))
    into.lots += fill.qty_lots
    into.net_lots, into.ticks = after.net_lots, after.last_price_ticks


def _at_last(position: Position) -> int:
    """Twice the profit at the price of the last fill, in ticks x lots."""
    return twice_profit(position, Mark(2 * position.last_price_ticks, "last"))


def _earned(snapshot: Snapshot, key: _Key, found: _Sum, purse: Purse) -> Earned:
    day_of, hour_of, name, _ = key
    rest = found.profit - found.spread
    amounts = (found.volume, found.spread, rest, found.profit)
    earned = Earned(
        *(day_of, hour_of, name, purse.currency, found.fills),
        *map(purse.text, amounts),
    )
    if not name:
        return earned
    symbol = snapshot.symbols[name].symbol
    return replace(
        earned,
        quantity=symbol.quantity(found.lots),
        net_quantity=symbol.quantity(found.net_lots),
        mark=mark_price(symbol, Mark(2 * found.ticks, "last")),
    )
