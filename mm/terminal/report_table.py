"""How an execution report looks."""

from __future__ import annotations

from collections.abc import Mapping

from rich.text import Text

from mm.instant import timestamp
from mm.market import Order, Report, Symbol
from mm.orders import report_facts
from mm.terminal.labelled import LabelledRows


def report_table(
    order: Order, report: Report, symbol: Symbol, more: Mapping[str, str] | None = None
) -> LabelledRows:
    """One row for each fact of an order and its report, and for ``more`` of them."""
    words = report_facts(order, report, symbol) | dict(more or {})
    words["duplicate"] = "yes" if report.duplicate else "no"
    if meaning := words.pop("reason_text"):
        words["reason"] = f"{report.reason}: {meaning}"
    del words["ts_ms"]
    words["time"] = timestamp(report.ts_ms)
    rows = [(Text(name, "dim"), Text(str(value) or "-")) for name, value in words.items()]
    return LabelledRows(Text("Execution report", "bold"), rows)
