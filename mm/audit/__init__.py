"""The audit: every invariant, judged for one instant."""

from mm.audit.invariants import INVARIANTS, Audit, audit
from mm.audit.tally import Check

__all__ = [
    "INVARIANTS",
    "Audit",
    "Check",
    "audit",
]
