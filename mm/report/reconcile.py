"""Whether ledger, positions and cash agree: the figures, and each difference by its name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from mm.facts import Purse, mark_of, mark_price, profit_of, purses, twice_profit
from mm.report.ledger import Account, Ledger
from mm.store import Snapshot, SymbolState


@dataclass(frozen=True)
class Reconciled:
    """One symbol: what its fills add up to, beside what is stored. Amounts are exact decimal text.

    The sides are the maker's. ``bought`` to ``ledger_cash`` are sums over the committed fills.
    ``differences`` is empty when all agree. ``notes`` say what is no difference and matters.
    """

    symbol: str
    currency: str
    fills: int
    committed: int
    bought: str
    paid: str
    sold: str
    received: str
    ledger_net: str
    position_net: str
    ledger_cash: str
    position_cash: str
    mark: str
    profit: str
    differences: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def agrees(self) -> bool:
        """Whether nothing differs."""
        return not self.differences


@dataclass(frozen=True)
class CashTotal:
    """All symbols of one currency: cash by ledger and positions, profit at the marks."""

    currency: str
    ledger_cash: str
    position_cash: str
    difference: str
    difference_is_zero: bool
    profit: str


@dataclass(frozen=True)
class Reconciliation:
    """All symbols, the cash of each currency, and what concerns no single symbol."""

    rows: list[Reconciled]
    totals: list[CashTotal]
    differences: list[str] = field(default_factory=list)

    @property
    def agrees(self) -> bool:
        """Whether ledger, positions and cash agree everywhere."""
        return not self.all_differences

    @property
    def all_differences(self) -> list[str]:
        """Every difference as a sentence."""
        found = [*self.differences]
        for row in self.rows:
            found += [f"{row.symbol}: {one}" for one in row.differences]
        return found


def reconcile(ledger: Ledger, snapshot: Snapshot, is_whole: bool) -> Reconciliation:
    """Compare what the fills add up to with what is stored.

    ``is_whole`` says that no part of the ledger is missing.
    """
    money = purses(snapshot)
    rows = [
        _row(ledger.accounts[name], snapshot.symbols[name], purse)
        for name, purse in ((name, one) for one in money for name in one.halves)
        if name in ledger.accounts
    ]
    differences = []
    if not is_whole:
        differences.append("the ledger does not begin with the first fill: a part of it is missing")
    if ledger.foreign:
        differences.append(
            f"the ledger holds records that are no fills of a symbol: {ledger.foreign:,}"
        )
    return Reconciliation(rows, _totals(ledger, snapshot, money), differences)


def _row(account: Account, state: SymbolState, purse: Purse) -> Reconciled:
    symbol, traded, stored = account.symbol, account.traded, state.position
    mark = mark_of(state)
    return Reconciled(
        symbol=symbol.name,
        currency=purse.currency,
        fills=account.now.position_version,
        committed=stored.position_version,
        bought=symbol.quantity(traded.bought_lots),
        paid=symbol.money(traded.paid_ticks),
        sold=symbol.quantity(traded.sold_lots),
        received=symbol.money(traded.received_ticks),
        ledger_net=symbol.quantity(traded.net_lots),
        position_net=symbol.quantity(stored.net_lots),
        ledger_cash=symbol.money(traded.cash_ticks),
        position_cash=symbol.money(stored.cash_ticks),
        mark=mark_price(symbol, mark),
        profit=profit_of(state, mark).total,
        differences=tuple(_differences(account, state, purse)),
        notes=tuple(_notes(account, state)),
    )


def _differences(account: Account, state: SymbolState, purse: Purse) -> Iterator[str]:
    symbol, traded, stored = account.symbol, account.traded, state.position
    fills = account.now.position_version
    if account.gap:
        yield f"{account.gap}: what comes after it is not added up"
    elif fills != state.fill_seq:
        yield f"fills: the ledger has {fills:,}, {state.fill_seq:,} were numbered"
    if traded.fills < stored.position_version:
        yield (
            f"committed fills: the position has {stored.position_version:,}, the ledger shows"
            f" {traded.fills:,} of them"
        )
    net, cash = traded.net_lots, traded.cash_ticks
    compared: list[tuple[str, int, int, Callable[[int], str]]] = [
        ("net", net, stored.net_lots, symbol.quantity),
        ("cash", cash, stored.cash_ticks, symbol.money),
    ]
    made = account.position
    if made is not None:
        half = purse.halves[symbol.name]
        last, earned = stored.last_price_ticks, stored.twice_spread_ticks
        compared += [
            ("cost", made.cost_ticks, stored.cost_ticks, symbol.money),
            ("last price", made.last_price_ticks, last, symbol.price),
            ("spread earned", made.twice_spread_ticks, earned, lambda n: purse.text(half * n)),
        ]
        if account.last_fill_id != state.last_fill_id:
            yield f"last fill: {account.last_fill_id} by the ledger, {state.last_fill_id} stored"
    for what, ours, theirs, as_text in compared:
        if ours != theirs:
            yield (
                f"{what}: {as_text(ours)} by the ledger, {as_text(theirs)} by the position,"
                f" which is {as_text(theirs - ours)} more"
            )


def _notes(account: Account, state: SymbolState) -> Iterator[str]:
    ahead = state.fill_seq - state.position.position_version
    if ahead > 0:
        fills = "fill was" if ahead == 1 else "fills were"
        yield f"{ahead:,} {fills} not committed yet at that instant"
    if state.halted:
        yield f"halted: {state.halted}"


def _totals(ledger: Ledger, snapshot: Snapshot, money: list[Purse]) -> list[CashTotal]:
    found = []
    for purse in money:
        names = [name for name in purse.halves if name in ledger.accounts]
        ours = theirs = 0
        for name in names:
            ours += 2 * purse.halves[name] * ledger.accounts[name].traded.cash_ticks
            theirs += 2 * purse.halves[name] * snapshot.symbols[name].position.cash_ticks
        if names:
            profit = sum(
                purse.halves[name] * _twice_profit(snapshot.symbols[name]) for name in names
            )
            text, more = purse.text, theirs - ours
            found.append(
                CashTotal(
                    *(purse.currency, text(ours), text(theirs), text(more), not more),
                    text(profit),
                )
            )
    return found


def _twice_profit(state: SymbolState) -> int:
    return twice_profit(state.position, mark_of(state))
