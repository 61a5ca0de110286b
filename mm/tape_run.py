"""A replay that `mm up` runs: how far it is, and at its end what came of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from redis.exceptions import RedisError
from rich.text import Text

from mm.errors import MMError
from mm.facts import mark_of, profit_of
from mm.host import ChildPlan
from mm.market import Fill
from mm.orders import (
    Intent,
    ReplayProgress,
    Tape,
    answered_lately,
    order_number,
    tape_orders,
)
from mm.store import Scripts, Snapshot, StreamReader, partitions_of, require_config, text
from mm.terminal import Column, FittedTable, signed

#: Entries of reports among which the last trade's is, also when those of earlier ones came again.
LAST_ENTRIES = 1_000


@dataclass(frozen=True)
class _Sender:
    """The publisher of one partition: its client id, and its part of the tape in order."""

    scripts: Scripts
    client_id: str
    intents: Sequence[Intent]
    times_ms: Sequence[int]


@dataclass
class SymbolReplay:
    """What came of a symbol's trades: how many filled, in part, and of how many lots.

    ``worst_lots`` is the largest position, long or short, from the first fill of the run on.
    """

    trades: int = 0
    lots: int = 0
    filled: int = 0
    in_part: int = 0
    filled_lots: int = 0
    worst_lots: int = 0


class TapeRun:
    """The replay of a tape by the publishers of a plan, on a system that has been made."""

    def __init__(self, tape: Tape, plan: ChildPlan, scripts: Scripts) -> None:
        self._tape, self._plan = tape, plan
        parts = partitions_of(scripts)
        clients = plan.clients(len(parts))
        self._senders = [
            self._sender(one, client) for one, client in zip(parts, clients, strict=False)
        ]
        speed = 0.0 if plan.paced else plan.speed
        self._progress = ReplayProgress(len(tape.trades), tape.trades[-1].ts_ms, speed)
        self._words = ""

    def _sender(self, scripts: Scripts, client_id: str) -> _Sender:
        config = require_config(scripts)
        intents = tape_orders(self._tape, config, self._plan.speed)
        own = {symbol.name for symbol in config.symbols}
        times_ms = [trade.ts_ms for trade in self._tape.trades if trade.symbol in own]
        return _Sender(scripts, client_id, intents, times_ms)

    def progress(self) -> str:
        """How far it is, in words; as before while no server answers, empty without publishers."""
        try:
            numbers = self._numbers()
        except (RedisError, MMError, OSError):
            return self._words
        if numbers:
            times = [
                one.times_ms[number - 1]
                for one, number in zip(self._senders, numbers, strict=True)
                if number
            ]
            self._words = self._progress.words(sum(numbers), max(times, default=0))
        return self._words

    def _numbers(self, entries: int = 1) -> list[int]:
        """How many trades of each sender are answered, by its newest entries of reports."""
        return [
            answered_lately(
                one.scripts.client, one.scripts.keys, one.client_id, self.run_id, entries
            )
            for one in self._senders
        ]

    @property
    def run_id(self) -> str:
        """The run of the publishers: it begins the ids of its orders."""
        return self._plan.run_id

    def results(self) -> dict[str, SymbolReplay]:
        """What came of the trades by symbol, from the whole ledger."""
        found = {symbol: SymbolReplay() for symbol in self._tape.by_symbol}
        for sender in self._senders:
            for intent in sender.intents:
                found[intent.symbol].trades += 1
                found[intent.symbol].lots += intent.qty_lots
            self._count(sender, found)
        return found

    def _count(self, sender: _Sender, found: dict[str, SymbolReplay]) -> None:
        """Count what is in the ledger of the sender's partition."""
        net = dict.fromkeys((intent.symbol for intent in sender.intents), 0)
        has_begun = False
        for fill in _fills(sender.scripts):
            if fill.symbol not in net:
                continue
            row, number = found[fill.symbol], order_number(self.run_id, fill.order_id)
            is_own = number > 0 and fill.client_id == sender.client_id
            if is_own and not has_begun:
                has_begun = True
                for name, lots in net.items():
                    found[name].worst_lots = lots
            net[fill.symbol] += fill.qty_lots if fill.side == "sell" else -fill.qty_lots
            if is_own:
                row.filled += 1
                row.in_part += fill.qty_lots < sender.intents[number - 1].qty_lots
                row.filled_lots += fill.qty_lots
            if has_begun and abs(net[fill.symbol]) > abs(row.worst_lots):
                row.worst_lots = net[fill.symbol]

    def report(self, found: Snapshot) -> FittedTable:
        """The replay in a table with a row for each symbol."""
        results = {name: row for name, row in self.results().items() if name in found.symbols}
        rows = list(results.values())
        filled, in_part = sum(row.filled for row in rows), sum(row.in_part for row in rows)
        symbols = [found.symbols[name].symbol for name in results]
        return FittedTable(
            f"replay: {filled:,} of {sum(row.trades for row in rows):,} trades filled,"
            f" {in_part:,} of them in part",
            [
                Column("symbol", [Text(name) for name in results], right=False),
                _column("trades", (f"{row.trades:,}" for row in rows), 3),
                _column("filled", (f"{row.filled:,}" for row in rows), 2),
                _column("of the quantity", (_share(row.filled_lots, row.lots) for row in rows), 1),
                _column(
                    "worst position",
                    (
                        symbol.quantity(row.worst_lots)
                        for symbol, row in zip(symbols, rows, strict=True)
                    ),
                    1,
                ),
                _column(
                    "of its limit",
                    (
                        _share(abs(row.worst_lots), symbol.position_limit_lots)
                        for symbol, row in zip(symbols, rows, strict=True)
                    ),
                    4,
                ),
                *_money_columns(found, results),
            ],
            [Text(words, "italic") for words in (*self._stopped(), self._no_backtest())],
        )

    def _stopped(self) -> list[str]:
        done, total = sum(self._numbers(LAST_ENTRIES)), len(self._tape.trades)
        return [f"The replay was stopped after {done:,} of {total:,} trades."] * (done < total)

    def _no_backtest(self) -> str:
        words = "A replay is no backtest: the market of the tape did not react to these quotes"
        if self._plan.paced:
            return f"{words}. The quotes answered before each next trade."
        pace = f"at speed {self._plan.speed:g}" if self._plan.speed else "flat out"
        return (
            f"{words}, and live processes answered trades that were sent {pace}: what filled"
            " depends on how fast they were. --paced takes that out."
        )


def _money_columns(found: Snapshot, names: Iterable[str]) -> list[Column]:
    """What was earned, by symbol: spread earned and inventory, which sum to the profit."""
    states = [found.symbols[name] for name in names]
    profits = [profit_of(state, mark_of(state)) for state in states]
    return [
        Column("spread\nearned", [signed(one.spread) for one in profits], 5),
        Column("inventory", [signed(one.inventory) for one in profits], 6),
        Column("profit", [signed(one.total) for one in profits], 1),
    ]


def _column(title: str, cells: Iterable[str], rank: int) -> Column:
    return Column(title, [Text(cell) for cell in cells], rank)


def _share(part: int, whole: int) -> str:
    """A part in per cent with one decimal, rounded down."""
    tenths = 1_000 * part // whole if whole else 0
    return f"{tenths // 10}.{tenths % 10} %"


def _fills(scripts: Scripts) -> Iterator[Fill]:
    """The ledger, oldest first."""
    reader = StreamReader(scripts)
    for _, name, line in reader.ledger():
        try:
            yield Fill.parse(text(name), text(line))
        except ValueError:
            continue  # the audit names it
