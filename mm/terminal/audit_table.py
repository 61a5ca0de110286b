"""How an audit looks."""

from __future__ import annotations

import re

from rich.text import Text

from mm.audit import Audit, Check
from mm.instant import timestamp
from mm.terminal.draw import BAD, GOOD
from mm.terminal.labelled import LabelledRows


def audit_table(audit: Audit) -> LabelledRows:
    """One row for each invariant: its verdict, what was checked, and what was found."""
    failed = sum(not check.ok for check in audit.checks)
    title = f"audit: {failed} of {len(audit.checks)} invariants violated" if failed else "audit: ok"
    widest = max((len(check.name) for check in audit.checks), default=0)
    rows = [(_label(check, widest), _findings(check)) for check in audit.checks]
    if audit.system_id:
        rows.append((Text("system"), _identity(audit)))
    return LabelledRows(Text(title, f"bold {BAD}" if failed else "bold"), rows)


def _identity(audit: Audit) -> Text:
    """Which system was judged, and when."""
    made, judged = timestamp(audit.created_ms), timestamp(audit.now_ms)
    return Text(f"{audit.system_id}, created {made}, judged at {judged}")


def _label(check: Check, widest: int) -> Text:
    """The invariant and its verdict."""
    verdict = ("ok", GOOD) if check.ok else (f"{check.total:,} violated", f"bold {BAD}")
    return Text.assemble(f"{check.name:<{widest}}  ", verdict)


def _counted(number: int, what: str) -> str:
    """A count in words; the noun of ``what`` is its first word in the plural."""
    if number == 1:
        what = re.sub(r"s\b", "", what, count=1)
    return f"{number:,} {what}"


def _findings(check: Check) -> Text:
    """What was checked, and each violation and note on a line of its own."""
    findings = Text(", ".join(_counted(number, what) for what, number in check.checked.items()))
    for line in check.violations:
        findings.append(f"\n{line}", BAD)
    if check.total > len(check.violations):
        findings.append(f"\nand {check.total - len(check.violations):,} more", BAD)
    for line in check.notes:
        findings.append(f"\n{line}", "dim")
    return findings
