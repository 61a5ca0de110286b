"""The commands that read the past: fills, orders, quote events, and profit over time."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

import click

from mm.cli.options import system_options
from mm.cli.past_options import Asked, past_options
from mm.cli.showing import to_read
from mm.cli.writing import print_rows
from mm.facts import Periods
from mm.host import System
from mm.pnl import groups_of, pnl_rows
from mm.records import (
    Range,
    Rows,
    Source,
    StreamName,
    fill_rows,
    order_rows,
    quote_rows,
    sources_of,
)
from mm.store import Snapshot, take_snapshot
from mm.terminal import progress


@click.command("fills")
@past_options
@system_options
def fills_command(asked: Asked, system: System) -> None:
    """Show the fills of the ledger, or write them to a file.

    The side is the order's: after a sell the maker's position is larger. A table has the newest
    ones only, every other form has all.
    """
    _show_records("fills", "Fills", fill_rows, asked, system)


@click.command("orders")
@past_options
@system_options
def orders_command(asked: Asked, system: System) -> None:
    """Show the orders that the exchange took, with their outcomes, or write them to a file.

    The outcome is empty once the exchange has forgotten it. Malformed orders are dead letters and
    left out. A table has the newest ones only, every other form has all that are kept.
    """
    _show_records("orders", "Orders", order_rows, asked, system)


def show_quote_events(asked: Asked, system: System) -> None:
    """Show every placement and end of a quote, as `mm quotes --events` does."""
    _show_records("quotes", "Quote events", quote_rows, asked, system)


def _show_records(
    name: StreamName,
    title: str,
    read: Callable[[Sequence[Source], Snapshot, Range], Rows],
    asked: Asked,
    system: System,
) -> None:
    scripts = to_read(system)
    snapshot = take_snapshot(scripts)
    wanted = asked.range_in(snapshot)
    sources = sources_of(scripts, snapshot)
    rows = read(sources, snapshot, wanted)
    print_rows(rows, title, asked, scripts)
    if any(source.lacks(name, wanted.since_ms) for source in sources):
        _say(f"older {title.lower()} are no longer kept: these begin where the first one is")
    _judge_left_out(rows, name)


def _judge_left_out(rows: Rows, name: str) -> None:
    """Say that records were left out; exit status 1 but for orders, which anybody may send."""
    if not rows.left_out:
        return
    more = "the dead letters have them" if name == "orders" else "see `mm audit`"
    _say(f"left out of {name}, not what this system writes: {rows.left_out:,}; {more}")
    if name != "orders":
        sys.exit(1)


def _groups(_context: click.Context, _option: click.Parameter, text: str) -> tuple[str, ...]:
    return groups_of(text)


@click.command("pnl")
@click.option(
    "--by",
    default="day,symbol",
    show_default=True,
    callback=_groups,
    help="What to group by: day, hour, symbol, currency, with commas between. Days and hours are"
    " those of UTC. Two currencies are never one group.",
)
@past_options
@system_options
def pnl_command(by: tuple[str, ...], asked: Asked, system: System) -> None:
    """Show what each period earned: profit, its two parts, volume and fills.

    The profit of a period is what its fills changed, at the price of the symbol's last fill (R29).
    The periods sum to the whole exactly. A period without fills has no line. There are no fees.
    """
    scripts = to_read(system)
    snapshot = take_snapshot(scripts)
    wanted = asked.range_in(snapshot)
    with progress("reading the ledger"):
        rows, found = pnl_rows(scripts, snapshot, wanted, by)
    print_rows(rows, f"Profit by {' and '.join(by)}", asked, scripts, _total_lines(found))
    _judge_left_out(rows, "fills")


def _total_lines(found: Periods) -> list[str]:
    return [
        f"total {one.profit} {one.currency}".rstrip()
        + f" = spread {one.spread} + inventory {one.inventory}; {one.fills:,} fills, volume"
        f" {one.volume}"
        for one in found.totals
    ]


def _say(text: str) -> None:
    click.echo(f"mm: {text}", err=True)
