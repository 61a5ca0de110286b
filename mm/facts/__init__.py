"""What a snapshot says, as plain numbers: for the terminal and for ``--json``.

The ``..._facts`` functions return what ``--json`` prints. Names are stable snake_case. Prices,
quantities and money are exact decimals as text. Ticks, lots, units, versions, counts and
milliseconds are integers. What does not exist is None.
"""

from mm.facts.archives import archive_troubles
from mm.facts.durability import FoundDurability, found_durability
from mm.facts.exposure import Budget, Reserved, budgets, exposure_facts, reservations, unit_text
from mm.facts.modes import change_text, control_lines, controlled_facts
from mm.facts.partitions import NodeRow, PartitionRow, node_rows, partition_rows
from mm.facts.periods import BY, Earned, Periods, ProfitSums, profit_by
from mm.facts.positions import average_cost, positions_facts
from mm.facts.processes import ProcessRow, process_rows
from mm.facts.profit import (
    Mark,
    Profit,
    Purse,
    Total,
    mark_of,
    mark_price,
    profit_of,
    purses,
    totals,
    twice_profit,
)
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
from mm.facts.state import SystemState
from mm.facts.status import status_facts
from mm.facts.stoppage import Stoppage
from mm.facts.trouble import (
    HALT,
    STOPPED,
    TROUBLE,
    mode_sentences,
    stoppages,
    stoppages_at_rest,
    stoppages_now,
    unreachable,
)
from mm.facts.trouble_log import TroubleLog

__all__ = [
    "BY",
    "HALT",
    "STOPPED",
    "TROUBLE",
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
    "ProfitSums",
    "ProfitTrack",
    "Purse",
    "RecoveryLog",
    "Reserved",
    "SnapshotTracks",
    "Stoppage",
    "SystemState",
    "Total",
    "TroubleLog",
    "active_quotes",
    "archive_troubles",
    "average_cost",
    "budgets",
    "change_text",
    "control_lines",
    "controlled_facts",
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
    "purses",
    "quotes_facts",
    "reservations",
    "status_facts",
    "stoppages",
    "stoppages_at_rest",
    "stoppages_now",
    "symbol_count",
    "totals",
    "tracks_of",
    "twice_profit",
    "unit_text",
    "unreachable",
]
