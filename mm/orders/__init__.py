"""The order API from its sender's side: client, tickets, synthetic flow, tapes, journal."""

from mm.orders.client import OrderClient
from mm.orders.conflict import FirstOrder, first_order, first_orders, waiting_order
from mm.orders.first_quotes import FirstQuotes
from mm.orders.flow import FlowOptions, Intent, check_shared_rate, synthetic_orders
from mm.orders.foreign_tape import Understood, read_foreign, rows_of
from mm.orders.journal import Journal, read_journal
from mm.orders.pacing import Pacing, check_paced, pacing_doubts
from mm.orders.partition_client import PartitionClient
from mm.orders.progress import ReplayProgress, answered_lately
from mm.orders.replay import check_speed, config_of_tape, config_to_replay, tape_orders
from mm.orders.resume import check_run_id, new_run_id, newest_answered, order_number
from mm.orders.sending import MAX_BATCH, PublisherOptions
from mm.orders.summary import OutcomeCounts, Summary
from mm.orders.tape import Tape, read_tape
from mm.orders.ticket import Ticket, report_facts
from mm.orders.typed import far_limit, with_symbol
from mm.orders.unanswered import Answer

__all__ = [
    "MAX_BATCH",
    "Answer",
    "FirstOrder",
    "FirstQuotes",
    "FlowOptions",
    "Intent",
    "Journal",
    "OrderClient",
    "OutcomeCounts",
    "Pacing",
    "PartitionClient",
    "PublisherOptions",
    "ReplayProgress",
    "Summary",
    "Tape",
    "Ticket",
    "Understood",
    "answered_lately",
    "check_paced",
    "check_run_id",
    "check_shared_rate",
    "check_speed",
    "config_of_tape",
    "config_to_replay",
    "far_limit",
    "first_order",
    "first_orders",
    "new_run_id",
    "newest_answered",
    "order_number",
    "pacing_doubts",
    "read_foreign",
    "read_journal",
    "read_tape",
    "report_facts",
    "rows_of",
    "synthetic_orders",
    "tape_orders",
    "waiting_order",
    "with_symbol",
]
