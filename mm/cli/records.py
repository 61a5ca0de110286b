"""The commands that read the past: fills, orders, quote events, and profit over time."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from decimal import Decimal

import click

from mm.cli.options import system_options
from mm.cli.past_options import Asked, past_options
from mm.cli.showing import to_read
from mm.cli.writing import print_rows
from mm.errors import ValueRefused
from mm.facts import BY, Earned, Periods, profit_by
from mm.host import System
from mm.market import exact_product
from mm.records import (
    Column,
    Range,
    Row,
    Rows,
    Source,
    Steps,
    StreamName,
    fill_rows,
    ledger,
    order_rows,
    quote_rows,
    sources_of,
)
from mm.store import Snapshot, take_snapshot
from mm.terminal import progress

_HALF = Decimal("0.5")


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
    words = tuple(text.split(","))
    if not set(words) <= {*BY} or len({*words}) < len(words):
        raise ValueRefused(f"--by {text!r}: it must be some of {','.join(BY)}, each once")
    return words


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
    symbols = {name: state.symbol for name, state in snapshot.symbols.items()}
    rows = Rows(_pnl_columns(by, Steps(symbols.values())))
    fills = ledger(sources_of(scripts, snapshot), Range(symbols=wanted.symbols), symbols, rows)
    with progress("reading the ledger"):
        found = profit_by(fills, snapshot, by, wanted.since_ms, wanted.until_ms)
    rows.rows = (_pnl_row(by, one) for one in found.groups)
    print_rows(rows, f"Profit by {' and '.join(by)}", asked, scripts, _total_lines(found))
    _judge_left_out(rows, "fills")


def _pnl_columns(by: Sequence[str], steps: Steps) -> list[Column]:
    halves = tuple(exact_product(step, _HALF) for step in steps.money)
    found = [Column(word, rank=0) for word in ("day", "hour", "symbol") if word in by]
    found += [
        Column("currency", rank=0),
        Column("profit", "decimal", 0, halves, signed=True),
        Column("spread_earned", "decimal", 1, halves, signed=True),
        Column("inventory_profit", "decimal", 1, halves, signed=True),
        Column("fills", "integer", 2),
        Column("volume", "decimal", 2, halves),
    ]
    if "symbol" in by:
        found += [
            Column("quantity", "decimal", 3, steps.quantity),
            Column("net_quantity", "decimal", 3, steps.quantity, signed=True),
            Column("mark", "decimal", 3, steps.price),
        ]
    return found


def _pnl_row(by: Sequence[str], one: Earned) -> Row:
    where = {"day": one.day, "hour": one.hour, "symbol": one.symbol}
    amounts: Row = (one.profit, one.spread, one.inventory, one.fills, one.volume)
    row: Row = (*(where[word] for word in where if word in by), one.currency or None, *amounts)
    return (*row, one.quantity, one.net_quantity, one.mark) if "symbol" in by else row


def _total_lines(found: Periods) -> list[str]:
    return [
        f"total {one.profit} {one.currency}".rstrip()
        + f" = spread {one.spread} + inventory {one.inventory}; {one.fills:,} fills, volume"
        f" {one.volume}"
        for one in found.totals
    ]


def _say(text: str) -> None:
    click.echo(f"mm: {text}", err=True)
