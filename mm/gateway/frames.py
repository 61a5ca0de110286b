"""What a frame says of the market, or of one symbol: only what its page shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from mm.facts import (
    HALT,
    Stoppage,
    budgets,
    exposure_facts,
    positions_facts,
    process_rows,
    quotes_facts,
    stoppages,
    totals,
)
from mm.market import Fill, Symbol
from mm.store import Snapshot
from mm.terminal import SymbolPast, part_with

#: The most symbols of the market's page, and the newest fills and prices of a page.
MAX_SYMBOLS, FILLS, POINTS = 256, 12, 240
#: The most symbols that are named as those that wait for a budget.
WAITING_NAMED = 4
#: The facts that both pages show of a symbol's quote and of its position.
QUOTE_NAMES = (
    *("active", "bid", "bid_quantity", "ask", "ask_quantity", "outcome"),
    *("mode", "halted", "frozen", "retired"),
)
POSITION_NAMES = ("net_quantity", "average_cost", "profit", "mark")
#: The facts that its own page shows beside them.
OWN_QUOTE_NAMES = (*QUOTE_NAMES, "quote_id")
OWN_POSITION_NAMES = (
    *(*POSITION_NAMES, "currency", "mark_source"),
    *("spread_earned", "inventory_profit"),
)
EXPOSURE_NAMES = (
    *("exposure_mode", "currency", "limit", "long", "short"),
    *("limit_units", "long_units", "short_units"),
)


def market_frame(found: Snapshot) -> dict[str, object]:
    """What the market's page shows."""
    positions = {row["symbol"]: row for row in positions_facts(found)}
    rows = [
        _named(row, ("symbol", *QUOTE_NAMES)) | _named(positions[row["symbol"]], POSITION_NAMES)
        for row in quotes_facts(found)
    ][:MAX_SYMBOLS]
    symbols = {name: state.symbol for name, state in found.symbols.items()}
    return {
        "profit": [{"currency": one.currency, "total": one.total} for one in totals(found)],
        "exposure": _named(exposure_facts(found), EXPOSURE_NAMES),
        "waiting": [
            {"budget": one.name, "count": len(one.waiting), "first": one.waiting[:WAITING_NAMED]}
            for one in budgets(found)
        ],
        "rows": rows,
        "newest_fills": [
            _fill(one, symbols[one.symbol]) for one in found.fills if one.symbol in symbols
        ][:FILLS],
        "processes": [
            {"name": row.name, "state": row.state, "restarts": row.restarts, "count": row.count}
            for row in process_rows(found)
        ],
    }


def symbol_frame(found: Snapshot, past: SymbolPast) -> dict[str, object]:
    """What the page of the symbol shows: prices oldest first, fills newest first, story oldest."""
    name = past.symbol
    symbol = found.symbols[name].symbol
    quote = next(row for row in quotes_facts(found) if row["symbol"] == name)
    position = next(row for row in positions_facts(found) if row["symbol"] == name)

    def price(ticks: int | None) -> str | None:
        return None if ticks is None else symbol.price(ticks)

    return {
        "symbol": name,
        "quote": _named(quote, OWN_QUOTE_NAMES),
        "position": {
            **_named(position, OWN_POSITION_NAMES),
            "limit": symbol.quantity(symbol.position_limit_lots),
        },
        "waiting": _waits(found, name),
        "points": [[one.ts_ms, price(one.bid), price(one.ask)] for one in past.quotes[-POINTS:]],
        "newest_fills": [_fill(one, symbol) for one in reversed(past.fills[-FILLS:])],
        "story": [{"ts_ms": ts_ms, "text": text} for ts_ms, _, text in past.story],
        "unread": past.trouble,
    }


def own_stoppages(found: Snapshot, name: str) -> list[Stoppage]:
    """What stops the symbol alone; of many such symbols the market's own words name a few."""
    alone = replace(found, symbols={name: found.symbols[name]})
    causes = (f"{HALT} {name}", f"freeze {name}", f"mode {name}")
    return [one for one in stoppages(alone) if one.cause in causes]


def _waits(found: Snapshot, name: str) -> list[dict[str, object]]:
    """The places of the symbol in both queues for exposure; None where it does not wait."""
    return [
        {
            "budget": one.name,
            "place": one.waiting.index(name) + 1 if name in one.waiting else None,
            "count": len(one.waiting),
        }
        for one in budgets(part_with(found, name))
    ]


def _named(facts: Mapping[str, object], names: Sequence[str]) -> dict[str, object]:
    return {name: facts[name] for name in names}


def _fill(fill: Fill, symbol: Symbol) -> dict[str, object]:
    return {
        "ts_ms": fill.ts_ms,
        "fill_id": fill.fill_id,
        "symbol": fill.symbol,
        "side": fill.side,
        "quantity": symbol.quantity(fill.qty_lots),
        "price": symbol.price(fill.price_ticks),
        "client_id": fill.client_id,
    }
