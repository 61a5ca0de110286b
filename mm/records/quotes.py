"""The placements and ends of quotes, as rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mm.market import Symbol
from mm.records.rows import NO_CALENDAR_MS, Column, Range, Row, Rows, check_record, symbols_of
from mm.records.source import Source, merged
from mm.store import EventSide, QuoteEvent, Snapshot, pairs


def quote_rows(sources: Sequence[Source], snapshot: Snapshot, wanted: Range) -> Rows:
    """Each placement and each end of a quote as a row.

    An end repeats its placement, as far as that is still kept.
    """
    symbols, steps = symbols_of(snapshot)
    sides = [
        column
        for rank, side in ((1, "bid"), (1, "ask"))
        for column in (
            Column(f"{side}_quantity", "decimal", rank, steps.quantity),
            Column(f"{side}_price", "decimal", rank, steps.price),
            Column(f"requested_{side}_quantity", "decimal", 4, steps.quantity),
        )
    ]
    rows = Rows(
        (
            Column("time", "time", 0),
            Column("event", rank=0),
            Column("symbol", rank=4),
            Column("quote_id", rank=0),
            Column("outcome", rank=2),
            *sides,
            Column("trigger", rank=3),
            Column("cause", rank=3),
            Column("mode", rank=4),
            Column("maker_id", rank=4),
            Column("position_version", "integer", 4),
            Column("expires", "time", 4),
        )
    )

    def of_one(source: Source) -> Iterator[tuple[str, Row]]:
        for entry in source.entries("quotes", wanted.since_ms):
            try:
                event = QuoteEvent.parse(entry.entry_id, pairs(entry.flat))
                check_record(event.symbol in symbols)
                check_record(0 <= event.ts_ms < NO_CALENDAR_MS > event.expires_ms >= 0)
            except (KeyError, ValueError):
                rows.left_out += 1
                continue
            if wanted.has(event.ts_ms, event.symbol):
                yield entry.entry_id, _quote_row(symbols[event.symbol], event)

    rows.rows = (row for _, row in merged(map(of_one, sources), lambda pair: pair[0]))
    return rows


def _quote_row(symbol: Symbol, event: QuoteEvent) -> Row:
    def side(one: EventSide) -> Row:
        if not event.outcome:
            return (None, None, None)
        price = symbol.price(one.ticks) if one.ticks else None
        return (symbol.quantity(one.lots), price, symbol.quantity(one.requested_lots))

    return (
        *(event.ts_ms, event.event, event.symbol, event.quote_id, event.outcome or None),
        *(*side(event.bid), *side(event.ask)),
        *(event.trigger or None, event.cause or None, event.mode or None, event.maker_id or None),
        event.position_version if event.outcome else None,
        event.expires_ms or None,
    )
