"""How a study of the flow looks: a table, or the same facts for JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

from rich.text import Text

from mm.lab.flow.study import PER, Earned, FlowStudy
from mm.terminal import Column, FittedTable


def _money(amount: Decimal) -> str:
    return f"{amount:+.2f}"


def flow_facts(rows: Sequence[Earned]) -> list[dict[str, object]]:
    """The rows as JSON has them; money is decimal text, per :data:`PER` orders."""
    return [
        {
            "informed_percent": row.informed,
            "seeds": len(row.profits),
            "mean": f"{row.mean:.4f}",
            "spread_earned": f"{row.spread:.4f}",
            "inventory_profit": f"{row.mean - row.spread:.4f}",
            "deviation": f"{row.deviation:.4f}",
            "least": f"{min(row.profits):.4f}",
            "most": f"{max(row.profits):.4f}",
            "filled_percent": row.filled_percent,
        }
        for row in rows
    ]


def flow_table(rows: Sequence[Earned], study: FlowStudy) -> FittedTable:
    """A row for each share of informed senders."""

    def column(title: str, cells: Iterable[str], rank: int = 0) -> Column:
        return Column(title, [Text(cell) for cell in cells], rank)

    seeds = f"{study.seeds} seed{'s' * (study.seeds != 1)}"
    return FittedTable(
        f"profit of the quote rule per {PER:,} orders: {seeds} of {study.orders:,} orders",
        [
            column("informed", (f"{row.informed} %" for row in rows)),
            column("mean", (_money(row.mean) for row in rows)),
            column("= spread", (_money(row.spread) for row in rows), 1),
            column("+ inventory", (_money(row.mean - row.spread) for row in rows), 1),
            column("deviation", (f"{row.deviation:.2f}" for row in rows), 1),
            column("least", (_money(min(row.profits)) for row in rows), 2),
            column("most", (_money(max(row.profits)) for row in rows), 2),
            column("filled", (f"{row.filled_percent} %" for row in rows), 3),
        ],
    )
