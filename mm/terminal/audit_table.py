"""The table that shows an audit."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from mm.audit import Audit


def audit_table(audit: Audit) -> Table:
    """One row for each invariant: its verdict, what was checked, and what was found."""
    failed = sum(not check.ok for check in audit.checks)
    title = f"audit: {failed} of {len(audit.checks)} invariants violated" if failed else "audit: ok"
    shown = Table(title=title, title_justify="left", title_style="bold red" if failed else "bold")
    shown.add_column("invariant", no_wrap=True)
    shown.add_column("verdict", no_wrap=True)
    shown.add_column("checked, and what was found", overflow="fold")
    for check in audit.checks:
        verdict = Text("ok", "green") if check.ok else Text(f"{check.total} violated", "bold red")
        findings = Text(", ".join(f"{number:,} {what}" for what, number in check.checked.items()))
        for line in check.violations:
            findings.append(f"\n{line}", "red")
        if check.total > len(check.violations):
            findings.append(f"\nand {check.total - len(check.violations):,} more", "red")
        for line in check.notes:
            findings.append(f"\n{line}", "dim")
        shown.add_row(check.name, verdict, findings)
    return shown
