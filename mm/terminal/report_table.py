"""How an execution report looks."""

from __future__ import annotations

from collections.abc import Mapping

from rich.text import Text

from mm.terminal.labelled import LabelledRows


def report_table(facts: Mapping[str, object]) -> LabelledRows:
    """One row for each fact of an order and its report."""
    rows = [(Text(name, "dim"), Text(str(value) or "-")) for name, value in facts.items()]
    return LabelledRows(Text("Execution report", "bold"), rows)
