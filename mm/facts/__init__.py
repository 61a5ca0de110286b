"""What a snapshot says, as plain numbers: for the terminal and for ``--json``.

The ``..._facts`` functions return what ``--json`` prints. Names are stable snake_case. Prices,
quantities and money are exact decimals as text. Ticks, lots, units, versions, counts and
milliseconds are integers. What does not exist is None.
"""

from mm.facts.exposure import Budget, budgets, exposure_facts
from mm.facts.positions import (
    Mark,
    Profit,
    mark_of,
    mark_price,
    positions_facts,
    profit_of,
    total_profit,
)
from mm.facts.processes import ProcessRow, process_rows
from mm.facts.quotes import active_quotes, halts, quotes_facts, symbol_count
from mm.facts.status import status_facts

__all__ = [
    "Budget",
    "Mark",
    "ProcessRow",
    "Profit",
    "active_quotes",
    "budgets",
    "exposure_facts",
    "halts",
    "mark_of",
    "mark_price",
    "positions_facts",
    "process_rows",
    "profit_of",
    "quotes_facts",
    "status_facts",
    "symbol_count",
    "total_profit",
]
