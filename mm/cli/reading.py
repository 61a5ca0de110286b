"""The reading commands: each takes a snapshot or a story and shows it."""

from __future__ import annotations

import sys

import click

from mm.audit import audit
from mm.cli.completing import complete_symbol
from mm.cli.options import json_option, system_options
from mm.cli.past_options import Asked, past_options
from mm.cli.records import show_quote_events
from mm.cli.showing import show, to_read
from mm.errors import UsageError
from mm.explain import asked_story, check_asked
from mm.facts import STOPPED, exposure_facts, positions_facts, quotes_facts, status_facts, tracks_of
from mm.host import System
from mm.interrupts import stop_on_signals
from mm.market import parse_instant
from mm.store import UPDATES_READ, latest_commits, read_placement, server_ms, take_snapshot
from mm.terminal import (
    History,
    Parts,
    PositionsTable,
    SnapshotSource,
    audit_table,
    exposure_table,
    make_console,
    nodes_table,
    partitions_table,
    processes_table,
    progress,
    quotes_table,
    run_watch,
    stacked,
    status_line,
    story_table,
)


@click.command("status")
@json_option
@system_options
def status_command(as_json: bool, system: System) -> None:
    """Show the system's state, its processes, partitions and nodes.

    Exit status 1 while something stops trading: a server that refuses writes, a kind of process of
    which none is live, a halted symbol, a system that is stopped. What it is stands above the line.
    An archive that is in trouble is named there too, but stops no trading.
    """
    scripts = to_read(system)
    found = take_snapshot(scripts)
    placement = read_placement(scripts, found.config.partitions)
    shown = stacked(
        Parts(status_line(found, History())),
        processes_table(found),
        partitions_table(found, placement),
        nodes_table(placement),
    )
    stopped = show(as_json, status_facts(found, placement), shown, scripts)
    hinders = (not one.expected and not one.trades_on for one in stopped)
    if any(hinders) or any(one.cause == STOPPED for one in stopped):
        sys.exit(1)


@click.command("positions")
@json_option
@system_options
def positions_command(as_json: bool, system: System) -> None:
    """Show the committed positions."""
    scripts = to_read(system)
    found = take_snapshot(scripts)
    updates = [] if as_json else latest_commits(scripts, UPDATES_READ)
    table = PositionsTable(found, tracks_of(found, updates), len(updates))
    show(as_json, positions_facts(found), table, scripts)


@click.command("quotes")
@click.option(
    "--events", is_flag=True, help="Show every placement and end of a quote, as far as kept."
)
@past_options
@system_options
def quotes_command(events: bool, asked: Asked, system: System) -> None:
    """Show the active quotes.

    With --events it shows the past in their place, and only then the options of the past mean
    something: --since, --until, --symbol, --format, --output and --force.
    """
    if events:
        show_quote_events(asked, system)
        return
    if not asked.is_plain:
        raise UsageError(
            "--since, --until, --symbol, --format and --output are for the past: add --events"
        )
    as_json = asked.form == "json"
    scripts = to_read(system)
    found = take_snapshot(scripts)
    show(as_json, quotes_facts(found), quotes_table(found), scripts)


@click.command("exposure")
@json_option
@system_options
def exposure_command(as_json: bool, system: System) -> None:
    """Show both exposure budgets, reservations and waiting symbols."""
    scripts = to_read(system)
    found = take_snapshot(scripts)
    show(as_json, exposure_facts(found), exposure_table(found), scripts)


@click.command("audit")
@click.option(
    "--quiescent", is_flag=True, help="Also require that every order and fill is processed."
)
@click.option(
    "--since",
    "begin",
    help="Read the fills from about then on: 90s, 5m, 2h, 1d, or an ISO time.",
)
@json_option
@system_options
def audit_command(quiescent: bool, begin: str | None, as_json: bool, system: System) -> None:
    """Check every invariant at one instant; exit status 1 on any violation.

    With --since it begins at the newest marks of the archive before that time, and takes the
    positions there for granted. A whole audit compares the marks with the fills before them.
    """
    since = None if begin is None else parse_instant("--since", begin)
    scripts = to_read(system)
    since_ms = None if since is None else since.at(server_ms(scripts.client))
    with progress("auditing: every record is read"):
        result = audit(scripts, quiescent=quiescent, since_ms=since_ms)
    show(as_json, result.facts(), audit_table(result), scripts)
    if not result.ok:
        sys.exit(1)


@click.command("explain")
@click.argument("symbol", required=False, shell_complete=complete_symbol)
@click.option(
    "--last",
    type=click.IntRange(1, 10_000),
    default=10,
    show_default=True,
    help="Number of newest placements to show.",
)
@click.option("--short", "is_short", is_flag=True, help="A line a step, with arrows.")
@click.option("--since", "begin", help="Only what came since: 90s, 5m, 2h, 1d, or an ISO time.")
@click.option("--fill", "fill_id", help="Only what belongs to one fill, such as AAPL-7.")
@click.option("--order", "order", help="Only what belongs to the fill of one order, CLIENT/ID.")
@json_option
@system_options
def explain_command(
    symbol: str | None,
    last: int,
    is_short: bool,
    begin: str | None,
    fill_id: str | None,
    order: str | None,
    as_json: bool,
    system: System,
) -> None:
    """Show what happened to a symbol, and why: orders, fills, positions, quotes.

    With --fill or --order the symbol may be left out: the story is that of the fill, from the quote
    that it hit to the quote that answered it.
    """
    check_asked(symbol, begin, fill_id, order)
    first = None if begin is None else parse_instant("--since", begin)
    scripts = to_read(system)
    story = asked_story(scripts, symbol, last, first, fill_id, order)
    show(as_json, story.facts(), story_table(story, is_short), scripts)


@click.command("watch")
@system_options
def watch_command(system: System) -> None:
    """Show the live view of a running system; read-only.

    The key ? shows what the keys do.
    Without a terminal that can draw it prints a status line every 2 s. It then ends when its reader
    is gone, or when the system has not answered for 15 s.
    """
    stop = stop_on_signals()
    run_watch(
        SnapshotSource(system.url, system.keys, archives=system.archives), make_console(), stop
    )
