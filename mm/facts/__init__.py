"""What a snapshot says, as plain numbers for every screen and for ``--json``."""

from mm.facts.positions import half_price, mark_of, number, positions_facts, profit_of
from mm.facts.processes import ProcessRow, process_rows, status_facts
from mm.facts.quotes import active_quotes, exposure_facts, halts, quotes_facts, symbol_count

__all__ = [
    "ProcessRow",
    "active_quotes",
    "exposure_facts",
    "half_price",
    "halts",
    "mark_of",
    "number",
    "positions_facts",
    "process_rows",
    "profit_of",
    "quotes_facts",
    "status_facts",
    "symbol_count",
]
