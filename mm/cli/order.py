"""``mm order``: one order by hand."""

from __future__ import annotations

import click

from mm.cli.main import fail
from mm.cli.options import Positive, json_option, system_options
from mm.cli.showing import show
from mm.errors import TimedOut
from mm.facts import stoppages_now
from mm.host import System
from mm.interrupts import Interrupted, interrupted_by_signals
from mm.market import CONFLICT, REASONS
from mm.orders import OrderClient, Ticket, first_order, report_facts
from mm.store import OPERATOR, partition_of, require_config
from mm.terminal import report_table


@click.command("order")
@click.argument("symbol")
@click.argument("side", type=click.Choice(["buy", "sell"]))
@click.argument("quantity")
@click.argument("limit_price")
@click.option(
    "--client-id", default="by-hand", show_default=True, help="Id of the sender of the order."
)
@click.option(
    "--order-id",
    help="Unique for the client. The same order again gets its first outcome; another order is"
    " rejected.  [default: a new one]",
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
    Exit status 1 when the order is rejected, or no report comes in time. An order with the id of
    another order of the client is rejected, and the other order is named.
    """
    ticket = Ticket.parse(client_id, order_id, symbol, side, quantity, limit_price)
    scripts = system.scripts(user=OPERATOR)
    config = require_config(scripts)
    order = ticket.order(config)
    try:
        with interrupted_by_signals():
            client = OrderClient(scripts.client, scripts.keys, client_id)
            report = client.submit(order, timeout)
    except Interrupted as error:
        fail(
            f"{error} while waiting for the report. The order may be executed: send it again with"
            f" --order-id {order.order_id} to learn more",
            error.exit_status,
        )
    except TimedOut as error:
        causes = "".join(f" {one.words}." for one in stoppages_now(scripts))
        raise TimedOut(f"{error}{causes}") from error
    first = first_order(partition_of(scripts, symbol), config, order, report)
    if first is not None:
        # Another sender with these ids may have got the report that was read.
        report = report.as_conflict()
    facts = report_facts(order, report, config.symbol(symbol))
    more = {}
    if first is not None:
        facts["first_order"], more["first_order"] = first.facts, first.words
    shown = report_table(order, report, config.symbol(symbol), more)
    show(as_json, facts, shown, scripts)
    if report.status == "rejected":
        why = REASONS.get(report.reason, "")
        if report.reason == CONFLICT:
            was = f": {first.words}" if first else ""
            why = f"order id {order.order_id} of client {client_id} was used before{was}"
        fail(f"the order was rejected and nothing was traded: {why}", 1)
