"""The orders that the exchange took, as rows with their outcomes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from mm.market import CONFLICT, Symbol
from mm.records.rows import Column, Range, Row, Rows, check_record, symbols_of
from mm.records.source import Source, merged
from mm.store import RememberedOrder, Snapshot

T = TypeVar("T")
#: How many orders are looked up at a time.
ORDERS = 500


def order_rows(sources: Sequence[Source], snapshot: Snapshot, wanted: Range) -> Rows:
    """The orders as rows, each with its outcome as far as the exchange remembers it.

    ``time`` is when the exchange took the order. An order that was sent again is a row of its own,
    with the one outcome.
    """
    symbols, steps = symbols_of(snapshot)
    rows = Rows(
        (
            Column("time", "time", 0),
            Column("client_id", rank=1),
            Column("order_id", rank=0),
            Column("symbol", rank=1),
            Column("side", rank=1),
            Column("quantity", "decimal", 1, steps.quantity),
            Column("limit_price", "decimal", 2, steps.price),
            Column("status", rank=1),
            Column("reason", rank=3),
            Column("filled_quantity", "decimal", 2, steps.quantity),
            Column("price", "decimal", 2, steps.price),
            Column("fill_id", rank=4),
            Column("quote_id", rank=4),
        )
    )

    def of_one(source: Source) -> Iterator[tuple[str, Row]]:
        orders = _orders(source, wanted, symbols, rows)
        for some in _batches(orders, ORDERS):
            names = [(one.client_id, one.order_id) for one in some]
            known = source.outcomes(names, [one.entry_id for one in some])
            for one in some:
                found = known.get((one.client_id, one.order_id))
                yield one.entry_id, _order_row(symbols[one.symbol], one, found)

    rows.rows = (row for _, row in merged(map(of_one, sources), lambda pair: pair[0]))
    return rows


@dataclass(frozen=True)
class _Order:
    entry_id: str
    ts_ms: int
    client_id: str
    order_id: str
    symbol: str
    side: str
    qty_lots: int
    limit_ticks: int

    @property
    def content(self) -> str:
        return f"{self.symbol} {self.side} {self.qty_lots} {self.limit_ticks}"


def _orders(
    source: Source, wanted: Range, symbols: Mapping[str, Symbol], rows: Rows
) -> Iterator[_Order]:
    """The wanted orders of one partition."""
    for entry in source.entries("orders", wanted.since_ms):
        if not wanted.since_ms <= entry.entry_ms < wanted.until_ms:
            continue
        for order_id, line in entry.records:
            try:
                client, name, side, qty, limit = line.split(" ")
                check_record(name in symbols and side in ("buy", "sell"))
                one = _Order(
                    *(entry.entry_id, entry.entry_ms, client, order_id, name, side),
                    int(qty),
                    int(limit),
                )
            except ValueError:
                rows.left_out += 1
                continue
            if wanted.of(name):
                yield one


def _order_row(symbol: Symbol, order: _Order, known: RememberedOrder | None) -> Row:
    sent: Row = (
        order.ts_ms,
        order.client_id,
        order.order_id,
        order.symbol,
        order.side,
        symbol.quantity(order.qty_lots),
        symbol.price(order.limit_ticks),
    )
    if known is None:
        return (*sent, *[None] * 6)
    if known.content not in (None, order.content):
        return (*sent, "rejected", CONFLICT, symbol.quantity(0), None, None, None)
    words = [None if word == "-" else word for word in known.outcome.split(" ")]
    status, reason, cum, price, fill_id, quote_id = words
    return (
        *(*sent, status, reason, symbol.quantity(int(cum or 0))),
        symbol.price(int(price)) if price and int(price) else None,
        *(fill_id, quote_id),
    )


def _batches(values: Iterator[T], size: int) -> Iterator[list[T]]:
    while batch := list(islice(values, size)):
        yield batch
