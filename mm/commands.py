"""The reading commands, `mm order` and `mm config`: each a thin way to a module that does it."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from mm import audit as audits
from mm import explain as stories
from mm import view
from mm.client import OrderClient
from mm.config import TEMPLATE, load
from mm.errors import SystemRefused, UsageError
from mm.model import (
    REASONS,
    Order,
    Report,
    Symbol,
    check_id,
    check_symbol,
    parse_decimal,
    to_steps,
)
from mm.options import Positive, System, json_option, show, system_options
from mm.snapshot import read_config, take
from mm.watch import Reader


@click.command()
@json_option
@system_options
def status(as_json: bool, system: System) -> None:
    """Say in a line how the system does, and show its processes."""
    found = take(system.scripts())
    if as_json:
        show(Console(), True, view.status_facts(found), "")
        return
    reader = Reader(system.url, system.keys)
    reader.snapshot(recent=0, most=1)
    click.echo(view.status_line(found, view.History(), reader.supervision()))
    Console().print(view.processes_table(found))


@click.command()
@json_option
@system_options
def positions(as_json: bool, system: System) -> None:
    """Show the committed positions."""
    found = take(system.scripts())
    show(Console(), as_json, view.positions_facts(found), view.positions_table(found))


@click.command()
@json_option
@system_options
def quotes(as_json: bool, system: System) -> None:
    """Show the active quotes."""
    found = take(system.scripts())
    show(Console(), as_json, view.quotes_facts(found), view.quotes_table(found))


@click.command()
@json_option
@system_options
def exposure(as_json: bool, system: System) -> None:
    """Show both exposure budgets, the reservations, and who waits."""
    found = take(system.scripts())
    show(Console(), as_json, view.exposure_facts(found), view.exposure_table(found))


@click.command()
@click.argument("symbol")
@click.argument("side", type=click.Choice(["buy", "sell"]))
@click.argument("quantity")
@click.argument("limit_price")
@click.option(
    "--client-id", default="by-hand", show_default=True, help="Who sends; reports go by it."
)
@click.option(
    "--order-id", help="Unique a client; again, it asks for the first outcome.  [default: new]"
)
@click.option(
    "--timeout",
    type=Positive(),
    default=10,
    show_default=True,
    help="Seconds to wait for the report.",
)
@json_option
@system_options
def order(
    symbol: str,
    side: str,
    quantity: str,
    limit_price: str,
    client_id: str,
    order_id: str | None,
    timeout: float,
    as_json: bool,
    system: System,
) -> None:
    """Send an immediate-or-cancel order and show its execution report.

    QUANTITY and LIMIT_PRICE are decimals, such as 10 and 187.52; they must be whole lots and ticks.
    """
    check_id("client-id", client_id)
    if order_id is not None:
        check_id("order-id", order_id)
    check_symbol(symbol)
    amount = parse_decimal("quantity", quantity)
    limit = parse_decimal("limit price", limit_price)
    scripts = system.scripts()
    config = read_config(scripts)
    if config is None:
        take(scripts)
        raise SystemRefused(f"no system runs under the key prefix {system.keys.prefix}")
    traded = config.symbol(symbol)
    lots = to_steps("quantity", amount, traded.lot, "lot")
    ticks = to_steps("limit price", limit, traded.tick, "tick")
    client = OrderClient(scripts.client, system.keys, client_id)
    wanted = order_id or f"hand-{secrets.token_hex(6)}"
    sent = Order(client_id, wanted, symbol, side, lots, ticks)  # type: ignore[arg-type]  # a Choice
    report = client.submit(sent, timeout)
    facts = _report_facts(sent, report, traded)
    table = Table("", "", show_header=False, title="Execution report")
    for name, value in facts.items():
        table.add_row(name, str(value))
    show(Console(), as_json, facts, table)


def _report_facts(sent: Order, report: Report, traded: Symbol) -> dict[str, object]:
    why = REASONS.get(report.reason, "")
    return {
        "client_id": sent.client_id,
        "order_id": sent.order_id,
        "symbol": sent.symbol,
        "side": sent.side,
        "quantity": traded.quantity(sent.qty_lots),
        "limit_price": traded.price(sent.limit_ticks),
        "status": report.status,
        "reason": report.reason + (f": {why}" if why else ""),
        "filled_quantity": traded.quantity(report.cum_lots),
        "leaves_quantity": traded.quantity(0),
        "canceled_quantity": traded.quantity(sent.qty_lots - report.cum_lots),
        "price": traded.price(report.price_ticks) if report.cum_lots else "",
        "fill_id": report.fill_id,
        "quote_id": report.quote_id,
        "duplicate": report.duplicate,
        "ts_ms": report.ts_ms,
    }


@click.command()
@click.option("--quiescent", is_flag=True, help="Also require that nothing waits to be processed.")
@json_option
@system_options
def audit(quiescent: bool, as_json: bool, system: System) -> None:
    """Check every invariant at one instant; exit status 1 on any violation."""
    result = audits.audit(system.scripts(), quiescent=quiescent)
    show(Console(), as_json, result.facts(), audits.table(result))
    if not result.ok:
        sys.exit(1)


@click.command()
@click.argument("symbol")
@click.option(
    "--last",
    type=click.IntRange(1, 10_000),
    default=10,
    show_default=True,
    help="How many of the newest events to tell.",
)
@json_option
@system_options
def explain(symbol: str, last: int, as_json: bool, system: System) -> None:
    """Tell what happened to a symbol: order, fill, position, quote, and why."""
    check_symbol(symbol)
    story = stories.explain(system.scripts(), symbol, last=last)
    show(Console(), as_json, story.facts(), story)


@click.group()
def config() -> None:
    """Write or judge a configuration file."""


@config.command("init")
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False), default="mm.toml")
@click.option("--force", is_flag=True, help="Overwrite an existing file.")
def config_init(path: Path, force: bool) -> None:
    """Write a commented configuration with the defaults."""
    try:
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(TEMPLATE)
    except FileExistsError as error:
        raise UsageError(f"{path}: it exists already; --force overwrites it") from error
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from error
    click.echo(f"wrote {path}; judge it with `mm config check {path}`, use it with --config {path}")


@config.command("check")
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False), default="mm.toml")
def config_check(path: Path) -> None:
    """Judge a configuration file: exit status 2 and the first fault, or what it asks for."""
    found = load(path)
    asked = sum(symbol.size_lots for symbol in found.symbols)
    click.echo(
        f"{path}: good. {len(found.symbols)} symbols ask for {asked} lots a side, the exposure"
        f" limit is {found.limit_units} units ({found.exposure_mode})."
    )


def add_to(group: click.Group) -> None:
    """Register these commands."""
    for command in (status, positions, quotes, exposure, order, audit, explain, config):
        group.add_command(command)
