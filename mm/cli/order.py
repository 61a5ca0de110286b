"""``mm order``: one order by hand."""

from __future__ import annotations

import secrets

import click
from rich.console import Console
from rich.table import Table

from mm.cli.options import Positive, json_option, show, system_options
from mm.errors import SystemRefused
from mm.host import System
from mm.market import (
    REASONS,
    Order,
    Report,
    Symbol,
    check_id,
    check_symbol,
    parse_decimal,
    to_steps,
)
from mm.orders import OrderClient
from mm.store import read_config, take_snapshot


@click.command("order")
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
def order_command(
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
    config_group = read_config(scripts)
    if config_group is None:
        take_snapshot(scripts)
        raise SystemRefused(f"no system runs under the key prefix {system.keys.prefix}")
    traded = config_group.symbol(symbol)
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
