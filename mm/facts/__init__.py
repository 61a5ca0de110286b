"""What a snapshot says, as plain numbers: for the terminal and for ``--json``.

The ``..._facts`` functions return what ``--json`` prints. Names are stable snake_case. Prices,
quantities and money are exact decimals as text. Ticks, lots, units, versions, counts and
milliseconds are integers. What does not exist is None.
"""

from mm.facts.durability import FoundDurability, found_durability
from mm.facts.exposure import Budget, Reserved, budgets, exposure_facts, reservations, unit_text
from mm.facts.modes import change_text, control_lines
from mm.facts.partitions import NodeRow, PartitionRow, node_rows, partition_rows
from mm.facts.periods import BY, Earned, Periods, profit_by
from mm.facts.positions import average_cost, positions_facts
from mm.facts.processes import ProcessRow, process_rows
from mm.facts.profit import Mark, Profit, Total, mark_of, mark_price, profit_of, totals
from mm.facts.profit_track import ProfitTrack, SnapshotTracks, tracks_of
from mm.facts.quotes import (
    active_quotes,
    halts,
    modes_facts,
    operator_halts,
    placement_of,
    quotes_facts,
    symbol_count,
)
from mm.facts.recovery_log import Lost, RecoveryLog
from mm.facts.status import status_facts
from mm.facts.trouble import (
    HALT,
    Stoppage,
    mode_sentences,
    stoppages,
    stoppages_now,
    unreachable,
)
from mm.facts.trouble_log import TroubleLog

__all__ = [
    "BY",
    "HALT",
    "Budget",
    "Earned",
    "FoundDurability",
    "Lost",
    "Mark",
    "NodeRow",
    "PartitionRow",
    "Periods",
    "ProcessRow",
    "Profit",
    "ProfitTrack",
    "RecoveryLog",
    "Reserved",
    "SnapshotTracks",
    "Stoppage",
    "Total",
    "TroubleLog",
    "active_quotes",
    "average_cost",
    "budgets",
    "change_text",
    "control_lines",
    "exposure_facts",
    "found_durability",
    "halts",
    "mark_of",
    "mark_price",
    "mode_sentences",
    "modes_facts",
    "node_rows",
    "operator_halts",
    "partition_rows",
    "placement_of",
    "positions_facts",
    "process_rows",
    "profit_by",
    "profit_of",
    "quotes_facts",
    "reservations",
    "status_facts",
    "stoppages",
    "stoppages_now",
    "symbol_count",
    "totals",
    "tracks_of",
    "unit_text",
    "unreachable",
]
