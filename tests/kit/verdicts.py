"""What an audit says, in short."""

from __future__ import annotations

from mm.audit import audit
from mm.audit.invariants import Audit
from tests.kit.world import World


def failed(world: World, quiescent: bool = True) -> set[str]:
    """The names of the invariants that the audit reports as violated."""
    result = audit(world.scripts, quiescent)
    for check in result.checks:
        assert check.ok == (check.total == 0)
    return {check.name for check in result.checks if not check.ok}


def violations(result: Audit) -> str:
    """All texts of all violations."""
    return "\n".join(line for check in result.checks for line in check.violations)
