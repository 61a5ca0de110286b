"""The ledger from its beginning: what it adds up to, and how profit and inventory went."""

from __future__ import annotations

from dataclasses import dataclass, field

from mm.facts import Mark, Periods, ProfitSums, Purse, purses, twice_profit
from mm.market import Fill, Position, Symbol
from mm.records import Range
from mm.report.thinned import WHOLE_SPANS, Thinned, symbol_spans
from mm.store import Snapshot


@dataclass
class Traded:
    """The fills of a symbol up to one of them, added up: lots, and money in ticks x lots.

    The sides are the maker's: it buys what an order sells.
    """

    fills: int = 0
    bought_lots: int = 0
    paid_ticks: int = 0
    sold_lots: int = 0
    received_ticks: int = 0

    def add(self, fill: Fill) -> None:
        """Add a fill."""
        self.fills += 1
        if fill.side == "sell":
            self.bought_lots += fill.qty_lots
            self.paid_ticks += fill.qty_lots * fill.price_ticks
        else:
            self.sold_lots += fill.qty_lots
            self.received_ticks += fill.qty_lots * fill.price_ticks

    @property
    def net_lots(self) -> int:
        """What was bought and not sold."""
        return self.bought_lots - self.sold_lots

    @property
    def cash_ticks(self) -> int:
        """What was received less what was paid."""
        return self.received_ticks - self.paid_ticks


@dataclass
class Account:
    """One symbol on the way through the ledger.

    ``version`` is the stored position version. Once the ledger has reached it, ``committed`` is
    what the fills up to there add up to, and ``position`` the position that they make. ``gap`` says
    where the sequence has its first fault: from there on nothing of the symbol is known.
    """

    symbol: Symbol
    version: int
    inventory: Thinned[int]
    bought: Thinned[Fill]
    sold: Thinned[Fill]
    now: Position = field(default_factory=Position)
    traded: Traded = field(default_factory=Traded)
    position: Position | None = None
    last_fill_id: str | None = None
    gap: str = ""
    opening_lots: int = 0
    in_range: int = 0

    @property
    def series(self) -> tuple[Thinned[int], Thinned[Fill], Thinned[Fill]]:
        """What plots show of it."""
        return self.inventory, self.bought, self.sold

    def apply(self, fill: Fill) -> Position | None:
        """Apply the next fill; the position before it, or None when it does not follow."""
        before = self.now
        if fill.seq != before.position_version + 1:
            self.gap = self.gap or (
                f"fill {fill.fill_id} follows fill {before.position_version} in the ledger"
            )
        if self.gap:
            return None
        self.now = before.apply(
            fill.signed_lots, fill.price_ticks, fill.spread_ticks, self.symbol.fair_weight
        )
        if fill.seq <= self.version:
            self.traded.add(fill)
        if fill.seq == self.version:
            self.position, self.last_fill_id = self.now, fill.fill_id
        return before


@dataclass(frozen=True)
class Totals:
    """The change of a purse's profit since the range began, in its units, and the drawdown."""

    profit: int
    spread: int
    drawdown: int


@dataclass
class Earnings:
    """How the profit of one purse went. ``largest`` is the largest drawdown."""

    purse: Purse
    points: Thinned[Totals]
    profit: int = 0
    spread: int = 0
    highest: int = 0
    largest: int = 0

    def add(self, ts_ms: int, profit: int, spread: int) -> None:
        """Add what a fill changed."""
        self.profit += profit
        self.spread += spread
        self.highest = max(self.highest, self.profit)
        drawdown = self.highest - self.profit
        self.largest = max(self.largest, drawdown)
        self.points.add(ts_ms, self.profit, Totals(self.profit, self.spread, drawdown))


class Ledger:
    """All fills of the wanted symbols: what they add up to, and what those of the range earned.

    A fill is valued at its own price, as `mm pnl` does. ``foreign`` counts records that are no
    fills of a symbol.
    """

    def __init__(self, snapshot: Snapshot, wanted: Range) -> None:
        self.foreign = 0
        self._wanted = wanted
        names = [name for name in snapshot.symbols if wanted.of(name)]
        spans = symbol_spans(len(names))
        self.accounts = {
            name: Account(
                snapshot.symbols[name].symbol,
                snapshot.symbols[name].position.position_version,
                *(Thinned(spans), Thinned(spans), Thinned(spans)),
            )
            for name in names
        }
        self._sums = ProfitSums(snapshot, ("symbol",))
        self.earnings = [Earnings(purse, Thinned(WHOLE_SPANS)) for purse in purses(snapshot)]
        self._homes = {name: one for one in self.earnings for name in one.purse.halves}

    def fill(self, fill: Fill) -> bool:
        """Add a fill; whether it is one of the range."""
        account = self.accounts[fill.symbol]
        before = account.apply(fill)
        if before is None:
            return self._wanted.has(fill.ts_ms, fill.symbol)
        if fill.ts_ms < self._wanted.since_ms:
            account.opening_lots = account.now.net_lots
        if not self._wanted.has(fill.ts_ms, fill.symbol):
            return False
        account.in_range += 1
        self._sums.add(fill, before, account.now)
        home = self._homes[fill.symbol]
        half = home.purse.halves[fill.symbol]
        profit = half * (_at_last(account.now) - _at_last(before))
        spread = half * (account.now.twice_spread_ticks - before.twice_spread_ticks)
        home.add(fill.ts_ms, profit, spread)
        account.inventory.add(fill.ts_ms, account.now.net_lots, account.now.net_lots)
        side = account.bought if fill.side == "sell" else account.sold
        side.add(fill.ts_ms, fill.price_ticks, fill)
        return True

    def largest_drawdown(self, currency: str) -> str:
        """The largest drawdown of a currency in the range, as exact decimal text."""
        found = next(one for one in self.earnings if one.purse.currency == currency)
        return found.purse.text(found.largest)

    def periods(self) -> Periods:
        """What each symbol earned in the range, and the totals: the figures of `mm pnl`."""
        return self._sums.periods()


def _at_last(position: Position) -> int:
    return twice_profit(position, Mark(2 * position.last_price_ticks, "last"))
