"""The account of a run: the audit before `mm up` starts anything, and what it says at its end."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from mm.audit import audit
from mm.errors import SystemRefused, Unavailable
from mm.facts import halts, mode_sentences, tracks_of
from mm.host import DataDir, Supervisor
from mm.store import UPDATES_READ, Scripts, latest_commits, release_expired
from mm.terminal import PositionsTable, SnapshotSource, audit_table, print_line, progress


@dataclass(frozen=True)
class Account:
    """How a run has ended.

    ``sound``: the audit found no violation. ``good``: besides, no integrity error has halted
    a symbol, and every child came up.
    """

    sound: bool
    good: bool


def give_account(
    source: SnapshotSource,
    supervisor: Supervisor,
    console: Console,
    drained: bool,
    elapsed_s: float,
) -> Account:
    """Print positions, what the children said and what became of them, and the audit.

    The drawdown is that of the run, which took ``elapsed_s``.
    With ``drained`` the audit requires that no order or fill waits. Unavailable when no server
    answers.
    """
    found = source.snapshot(max_symbols=0)
    if found is None:
        raise Unavailable(f"the final account cannot be given: {source.trouble}")
    durability = source.run_status().durability(found)
    if durability.warning:
        print_line(console, durability.warning, "bold red")
    since_ms = found.now_ms - int(1_000 * elapsed_s)
    updates = latest_commits(source.scripts, UPDATES_READ, since_ms)
    console.print(PositionsTable(found, tracks_of(found, updates), len(updates)))
    for name in supervisor.children:
        if name.startswith("publisher"):
            console.print(Text(supervisor.output(name)))
    for note in supervisor.notes:
        print_line(console, note)
    with progress("auditing: every record is read"):
        result = audit(source.scripts, quiescent=drained)
    console.print(audit_table(result))
    restarts = supervisor.restarts
    dead = [name for name, count in restarts.items() if count and name not in source.seen]
    for name in dead:
        print_line(console, f"{name} never came up; restarts: {restarts[name]}")
    halted = halts(found)
    for name, why in halted.items():
        print_line(console, f"{name} is halted and not quoted: {why}")
    for words in mode_sentences(found).values():
        print_line(console, words)
    return Account(result.ok, result.ok and not halted and not dead)


def check_loaded(scripts: Scripts, data_dir: DataDir) -> None:
    """Audit what the server has loaded after an unclean stop; SystemRefused on a violation.

    A log that the disk has damaged can load without an error and hold a wrong state.
    """
    release_expired(scripts)
    result = audit(scripts)
    if not result.ok:
        broken = [check for check in result.checks if check.violations]
        raise SystemRefused(
            f"{data_dir}: after an unclean stop the audit finds"
            f" {', '.join(check.name for check in broken)}: {broken[0].violations[0]}. Nothing was"
            " started. Restore the directory from a backup, or use another --data-dir."
        )
