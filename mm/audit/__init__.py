"""The audit: every invariant, judged for one instant."""

from mm.audit.invariants import INVARIANTS, Audit
from mm.audit.tally import Check
from mm.audit.whole import audit

__all__ = [
    "INVARIANTS",
    "Audit",
    "Check",
    "audit",
]
