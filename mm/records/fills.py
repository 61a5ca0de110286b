"""The fills of the ledger, and as rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from mm.market import Config, Fill, Symbol
from mm.records.rows import NO_CALENDAR_MS, Column, Range, Row, Rows, check_record, symbols_of
from mm.records.source import Source, merged
from mm.store import Snapshot


def ledger(
    sources: Sequence[Source], wanted: Range, symbols: Mapping[str, Symbol], rows: Rows
) -> Iterator[Fill]:
    """The fills of the wanted symbols, in the order of the ledger, of all times since its begin.

    ``rows`` counts what is left out. ``wanted`` says only where reading may begin.
    """

    def of_one(source: Source) -> Iterator[tuple[str, Fill]]:
        for entry in source.entries("fills", wanted.since_ms):
            for fill_id, line in entry.records:
                if not wanted.of(fill_id.rpartition("-")[0]):
                    continue
                try:
                    fill = Fill.parse(fill_id, line)
                    check_record(fill.symbol in symbols and 0 <= fill.ts_ms < NO_CALENDAR_MS)
                except ValueError:
                    rows.left_out += 1
                else:
                    yield entry.entry_id, fill

    return (fill for _, fill in merged(map(of_one, sources), lambda pair: pair[0]))


def fill_rows(sources: Sequence[Source], snapshot: Snapshot, wanted: Range) -> Rows:
    """The fills as rows. ``side`` is the order's; ``notional`` is money in ``currency``."""
    symbols, steps = symbols_of(snapshot)
    rows = Rows(
        (
            Column("time", "time", 0),
            Column("fill_id", rank=0),
            Column("symbol", rank=4),
            Column("side", rank=1),
            Column("quantity", "decimal", 1, steps.quantity),
            Column("price", "decimal", 1, steps.price),
            Column("notional", "decimal", 2, steps.money),
            Column("currency", rank=3),
            Column("spread", "decimal", 3, steps.price),
            Column("client_id", rank=4),
            Column("order_id", rank=4),
            Column("quote_id", rank=4),
        )
    )
    fills = ledger(sources, wanted, symbols, rows)
    rows.rows = (
        _fill_row(snapshot.config, symbols[fill.symbol], fill)
        for fill in fills
        if wanted.has(fill.ts_ms, fill.symbol)
    )
    return rows


def _fill_row(config: Config, symbol: Symbol, fill: Fill) -> Row:
    return (
        fill.ts_ms,
        fill.fill_id,
        fill.symbol,
        fill.side,
        symbol.quantity(fill.qty_lots),
        symbol.price(fill.price_ticks),
        symbol.money(fill.price_ticks * fill.qty_lots),
        config.currency_of(symbol) or None,
        None if fill.spread_ticks is None else symbol.price(fill.spread_ticks),
        fill.client_id,
        fill.order_id,
        fill.quote_id,
    )
