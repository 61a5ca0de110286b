"""Everything that draws on a terminal."""

from mm.terminal.audit_table import audit_table
from mm.terminal.live import LiveView, run_watch
from mm.terminal.screen import History, RunStatus, market_screen, status_line
from mm.terminal.story_table import story_table
from mm.terminal.tables import exposure_table, positions_table, processes_table, quotes_table
from mm.terminal.watch import SnapshotSource

__all__ = [
    "History",
    "LiveView",
    "RunStatus",
    "SnapshotSource",
    "audit_table",
    "exposure_table",
    "market_screen",
    "positions_table",
    "processes_table",
    "quotes_table",
    "run_watch",
    "status_line",
    "story_table",
]
