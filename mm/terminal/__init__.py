"""Everything that draws on a terminal."""

from mm.terminal.audit_table import audit_table
from mm.terminal.columns import Column, FittedTable, stacked
from mm.terminal.console import Parts, can_draw, make_console, print_line, progress
from mm.terminal.controls import Controls, controls_as
from mm.terminal.draw import grouped_decimal, signed
from mm.terminal.history import History
from mm.terminal.live import LiveView, run_watch
from mm.terminal.partitions_table import nodes_table, partitions_table
from mm.terminal.positions_table import PositionsTable
from mm.terminal.records_table import records_table
from mm.terminal.report_lines import report_lines
from mm.terminal.report_watch import watch_reports
from mm.terminal.screen import RunStatus, market_screen, status_line
from mm.terminal.story_table import story_table
from mm.terminal.symbol_source import SymbolPast, SymbolSource, part_with
from mm.terminal.tables import exposure_table, processes_table, quotes_table
from mm.terminal.watch import SnapshotSource

__all__ = [
    "Column",
    "Controls",
    "FittedTable",
    "History",
    "LiveView",
    "Parts",
    "PositionsTable",
    "RunStatus",
    "SnapshotSource",
    "SymbolPast",
    "SymbolSource",
    "audit_table",
    "can_draw",
    "controls_as",
    "exposure_table",
    "grouped_decimal",
    "make_console",
    "market_screen",
    "nodes_table",
    "part_with",
    "partitions_table",
    "print_line",
    "processes_table",
    "progress",
    "quotes_table",
    "records_table",
    "report_lines",
    "run_watch",
    "signed",
    "stacked",
    "status_line",
    "story_table",
    "watch_reports",
]
