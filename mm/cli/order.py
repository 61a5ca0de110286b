"""``mm order``: one order by hand, and the reports of a client."""

from __future__ import annotations

import re
import sys

import click
from rich.text import Text

from mm.cli.completing import complete_symbol
from mm.cli.main import fail
from mm.cli.options import Positive, json_option, system_options
from mm.cli.showing import show
from mm.errors import TimedOut, UsageError
from mm.facts import mark_of, stoppages_now
from mm.host import System
from mm.interrupts import Interrupted, interrupted_by_signals
from mm.market import CONFLICT, REASONS, Config, Order, check_id
from mm.orders import (
    OrderClient,
    Ticket,
    far_limit,
    first_order,
    report_facts,
    with_symbol,
)
from mm.store import OPERATOR, Scripts, partition_of, require_config, take_snapshot
from mm.terminal import report_lines, watch_reports

#: The exit status of an order of which nothing was filled, although nothing went wrong.
NOTHING_FILLED = 3
_NEGATIVE = re.compile(r"-[0-9.]+")


class OrderCommand(click.Command):
    """A command whose arguments are numbers: a negative one is explained, and is no option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the words; UsageError for a negative number among them."""
        for word in args:
            if _NEGATIVE.fullmatch(word):
                raise UsageError(
                    f"{word}: quantities and prices are above 0; `sell` says that it is a sale"
                )
        return super().parse_args(ctx, args)


@click.command("order", cls=OrderCommand)
@click.argument("symbol", required=False, shell_complete=complete_symbol)
@click.argument("side", required=False)
@click.argument("quantity", required=False)
@click.argument("limit_price", required=False)
@click.option(
    "--market",
    "at_market",
    is_flag=True,
    help="Take any price, in place of LIMIT_PRICE: the limit is 10 % beyond the mark, and is said.",
)
@click.option(
    "--watch",
    "watches",
    is_flag=True,
    help="Show the reports of the client as they come, until Ctrl-C; with an order, its own first.",
)
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
    symbol: str | None,
    side: str | None,
    quantity: str | None,
    limit_price: str | None,
    at_market: bool,
    watches: bool,
    client_id: str,
    order_id: str | None,
    timeout: float,
    as_json: bool,
    system: System,
) -> None:
    """Send an immediate-or-cancel order and show its execution report.

    SIDE is buy or sell, or b or s. QUANTITY and LIMIT_PRICE are decimals, such as 10 and 187.52;
    they must be whole lots and ticks. Exit status 0 when something was filled, 3 when nothing was,
    and 1 when the order is rejected or no report comes in time. An order with the id of another
    order of the client is rejected, and the other order is named.
    """
    if symbol is None and watches:
        check_id("client-id", client_id)
        scripts = system.scripts(user=OPERATOR)
        require_config(scripts)
        _watch(scripts, client_id)
        return
    if symbol is None or side is None or quantity is None or (limit_price is None) != at_market:
        raise UsageError(
            "an order is SYMBOL SIDE QUANTITY LIMIT_PRICE, such as `mm order AAPL buy 5 200`, or"
            " `mm order AAPL buy 5 --market`"
        )
    ticket = Ticket.parse(client_id, order_id, symbol, side, quantity, limit_price)
    scripts = system.scripts(user=OPERATOR)
    config = require_config(scripts)
    ticket = with_symbol(ticket, config)
    if ticket.limit_price is None:
        ticket = _at_market(scripts, config, ticket, as_json)
    order = ticket.order(config)
    filled = _send(scripts, config, order, timeout, as_json)
    if watches:
        _watch(scripts, client_id)
    elif not filled:
        sys.exit(NOTHING_FILLED)


def _at_market(scripts: Scripts, config: Config, ticket: Ticket, as_json: bool) -> Ticket:
    """The ticket with a far limit, which is said."""
    state = take_snapshot(partition_of(scripts, ticket.symbol)).symbols[ticket.symbol]
    mark = mark_of(state)
    limit = far_limit(state.symbol, ticket.side, mark.twice_ticks)
    click.echo(f"at the market: limit {limit}, 10 % beyond the mark ({mark.source})", err=as_json)
    return ticket.limited(limit)


def _send(scripts: Scripts, config: Config, order: Order, timeout: float, as_json: bool) -> bool:
    """Send the order and show its report; whether something was filled."""
    client_id = order.client_id
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
    first = first_order(partition_of(scripts, order.symbol), config, order, report)
    if first is not None:
        # Another sender with these ids may have got the report that was read.
        report = report.as_conflict()
    symbol = config.symbol(order.symbol)
    facts = report_facts(order, report, symbol)
    shown = report_lines(order, report, symbol)
    if first is not None:
        facts["first_order"] = first.facts
        shown.append_text(Text(f"\nthe first order of this id: {first.words}"))
    show(as_json, facts, shown, scripts)
    if report.status == "rejected":
        why = REASONS.get(report.reason, "")
        if report.reason == CONFLICT:
            was = f": {first.words}" if first else ""
            why = f"order id {order.order_id} of client {client_id} was used before{was}"
        fail(f"the order was rejected and nothing was traded: {why}", 1)
    return report.cum_lots > 0


def _watch(scripts: Scripts, client_id: str) -> None:
    """Show the client's reports until a signal comes."""
    click.echo(f"reports of {client_id}, until Ctrl-C:", err=True)
    try:
        with interrupted_by_signals():
            watch_reports(scripts, client_id, click.echo)
    except Interrupted:
        return
