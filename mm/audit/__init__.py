"""The audit: every invariant, judged of one instant."""

from mm.audit.invariants import INVARIANTS, Audit, audit
from mm.audit.tally import Check

__all__ = [
    "INVARIANTS",
    "Audit",
    "Check",
    "audit",
]
