"""The order API from its sender's side: client, tickets, synthetic flow, tapes, journal."""

from mm.orders.client import Answer, OrderClient
from mm.orders.conflict import FirstOrder, first_order
from mm.orders.flow import FlowOptions, Intent, check_shared_rate, synthetic_orders
from mm.orders.journal import Journal, read_journal
from mm.orders.summary import OutcomeCounts, Summary
from mm.orders.tape import Tape, config_for_tape, config_to_replay, read_tape, tape_orders
from mm.orders.ticket import Ticket, report_facts

__all__ = [
    "Answer",
    "FirstOrder",
    "FlowOptions",
    "Intent",
    "Journal",
    "OrderClient",
    "OutcomeCounts",
    "Summary",
    "Tape",
    "Ticket",
    "check_shared_rate",
    "config_for_tape",
    "config_to_replay",
    "first_order",
    "read_journal",
    "read_tape",
    "report_facts",
    "synthetic_orders",
    "tape_orders",
]
