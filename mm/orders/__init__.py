"""The order API from its sender's side: client, synthetic flow, tapes, journal."""

from mm.orders.client import Answer, OrderClient
from mm.orders.flow import FlowOptions, Intent, check_shared_rate, synthetic_orders
from mm.orders.journal import Journal, read_journal
from mm.orders.tape import Tape, config_for_tape, config_to_replay, read_tape, tape_orders

__all__ = [
    "Answer",
    "FlowOptions",
    "Intent",
    "Journal",
    "OrderClient",
    "Tape",
    "check_shared_rate",
    "config_for_tape",
    "config_to_replay",
    "read_journal",
    "read_tape",
    "synthetic_orders",
    "tape_orders",
]
