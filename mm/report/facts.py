"""The figures of a report as plain facts, for ``--json``."""

from __future__ import annotations

from dataclasses import asdict

from mm.report.past import Past


def report_facts(past: Past) -> dict[str, object]:
    """What the tables of the page say. Amounts are exact decimal text, times are ms."""
    found, quoted = past.reconciliation, past.quoting.quoted
    amount = past.snapshot.config.exposure_amount
    spreads = {
        "order_to_fill": past.latencies.taken,
        "fill_to_commit": past.latencies.committed,
        "fill_to_quote": past.latencies.quoted,
    }
    return {
        "since_ms": past.begin_ms,
        "until_ms": past.end_ms,
        "symbols": past.names,
        "agrees": found.agrees,
        "differences": found.all_differences,
        "reconciliation": [asdict(row) for row in found.rows],
        "profit": [
            {
                "currency": one.currency or None,
                "profit": one.profit,
                "spread_earned": one.spread,
                "inventory_profit": one.inventory,
                "largest_drawdown": past.ledger.largest_drawdown(one.currency),
                "fills": one.fills,
                "volume": one.volume,
            }
            for one in past.periods.totals
        ],
        "exposure": {
            "limit": amount(past.limits[-1][1]),
            "highest_long": amount(past.quoting.highest[0]),
            "highest_short": amount(past.quoting.highest[1]),
        },
        "quotes": [
            {
                "symbol": name,
                "both_sides_ms": one.two_ms,
                "one_side_ms": one.one_ms,
                "no_quote_ms": one.none_ms,
                "longest_without_ms": one.longest_ms,
                "waiting_ms": one.waiting_ms,
                "placements": one.placements,
                "less_than_asked": one.short_of,
            }
            for name, one in quoted.items()
        ],
        "latencies_ms": {
            name: {
                "measured": spread.total,
                **{f"p{percent}": spread.percentile(percent) for percent in (50, 95, 99)},
                "longest": spread.percentile(100),
            }
            for name, spread in spreads.items()
        },
        "incidents": [asdict(one) for one in past.all_incidents],
        "dead_letters": [asdict(one) for one in past.rejected],
        "no_longer_kept": sorted(past.lacking),
    }
