"""How an audit looks."""

from __future__ import annotations

import re

from rich.text import Text

from mm.audit import Audit, Check
from mm.instant import timestamp
from mm.terminal.columns import Column, FittedTable
from mm.terminal.draw import BAD, GOOD, QUIET


def audit_table(audit: Audit) -> FittedTable:
    """One row for each invariant: its verdict, what was checked, and what was found."""
    failed = sum(not check.ok for check in audit.checks)
    title = f"audit: {failed} of {len(audit.checks)} invariants violated" if failed else "audit: ok"
    columns = [
        Column("invariant", [Text(check.name) for check in audit.checks], right=False),
        Column("verdict", [_verdict(check) for check in audit.checks], right=False),
    ]
    return FittedTable(
        title,
        columns,
        [_identity(audit)] if audit.system_id else [],
        prose=Column("checked", [_findings(check) for check in audit.checks]),
        style=f"bold {BAD}" if failed else "bold",
    )


def _identity(audit: Audit) -> Text:
    """Which system was judged, and when."""
    made, judged = timestamp(audit.created_ms), timestamp(audit.now_ms)
    return Text(f"system {audit.system_id}, created {made}, judged at {judged}")


def _verdict(check: Check) -> Text:
    return Text("ok", GOOD) if check.ok else Text(f"{check.total:,} violated", f"bold {BAD}")


def _counted(number: int, what: str) -> str:
    """A count in words; the noun of ``what`` is its first word in the plural."""
    if number == 1:
        what = re.sub(r"s\b", "", what, count=1)
    return f"{number:,} {what}"


def _findings(check: Check) -> Text:
    """What was checked, and each violation and note on a line of its own."""
    counted = ", ".join(_counted(number, what) for what, number in check.checked.items())
    lines = [Text(counted)] if counted else []
    lines += [Text(line, BAD) for line in check.violations]
    if check.total > len(check.violations):
        lines.append(Text(f"and {check.total - len(check.violations):,} more", BAD))
    lines += [Text(line, QUIET) for line in check.notes]
    return Text("\n").join(lines)
