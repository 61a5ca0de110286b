"""What each period earned, as rows: profit, its two parts, volume and fills."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from mm.errors import ValueRefused
from mm.facts import BY, Earned, Periods, profit_by
from mm.market import exact_product
from mm.records import Column, Range, Row, Rows, Steps, ledger, sources_of
from mm.store import Scripts, Snapshot

_HALF = Decimal("0.5")


def groups_of(text: str) -> tuple[str, ...]:
    """What to group by, of words with commas between; ValueRefused for others."""
    words = tuple(text.split(","))
    if not set(words) <= {*BY} or len({*words}) < len(words):
        raise ValueRefused(f"--by {text!r}: it must be some of {','.join(BY)}, each once")
    return words


def pnl_rows(
    scripts: Scripts, snapshot: Snapshot, wanted: Range, by: Sequence[str]
) -> tuple[Rows, Periods]:
    """The rows of each group, and what they were made of; the whole ledger is read."""
    symbols = {name: state.symbol for name, state in snapshot.symbols.items()}
    rows = Rows(_columns(by, Steps(symbols.values())))
    fills = ledger(sources_of(scripts, snapshot), Range(symbols=wanted.symbols), symbols, rows)
    found = profit_by(fills, snapshot, by, wanted.since_ms, wanted.until_ms)
    rows.rows = (_row(by, one) for one in found.groups)
    return rows, found


def _columns(by: Sequence[str], steps: Steps) -> list[Column]:
    halves = tuple(exact_product(step, _HALF) for step in steps.money)
    found = [Column(word, rank=0) for word in ("day", "hour", "symbol") if word in by]
    found += [
        Column("currency", rank=0),
        Column("profit", "decimal", 0, halves, signed=True),
        Column("spread_earned", "decimal", 1, halves, signed=True),
        Column("inventory_profit", "decimal", 1, halves, signed=True),
        Column("fills", "integer", 2),
        Column("volume", "decimal", 2, halves),
    ]
    if "symbol" in by:
        found += [
            Column("quantity", "decimal", 3, steps.quantity),
            Column("net_quantity", "decimal", 3, steps.quantity, signed=True),
            Column("mark", "decimal", 3, steps.price),
        ]
    return found


def _row(by: Sequence[str], one: Earned) -> Row:
    where = {"day": one.day, "hour": one.hour, "symbol": one.symbol}
    amounts: Row = (one.profit, one.spread, one.inventory, one.fills, one.volume)
    row: Row = (*(where[word] for word in where if word in by), one.currency or None, *amounts)
    return (*row, one.quantity, one.net_quantity, one.mark) if "symbol" in by else row
