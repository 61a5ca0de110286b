"""How an execution report looks to the person who typed the order."""

from __future__ import annotations

from rich.text import Text

from mm.instant import local_time
from mm.market import REASONS, Order, Report, Symbol
from mm.terminal.draw import BAD, GOOD, QUIET, WARN

_STYLES = {
    "filled": f"bold {GOOD}",
    "partially_filled": f"bold {GOOD}",
    "canceled": f"bold {WARN}",
    "rejected": f"bold {BAD}",
}


def report_lines(order: Order, report: Report, symbol: Symbol) -> Text:
    """What became of an order: what was done at which price and when, and why no more was."""
    done = symbol.quantity(report.cum_lots)
    asked = symbol.quantity(order.qty_lots)
    verb = "bought" if order.side == "buy" else "sold"
    text = Text(report.status.replace("_", " "), _STYLES.get(report.status, ""))
    if report.cum_lots:
        of = "" if report.cum_lots == order.qty_lots else f" of {asked}"
        text.append(f": {verb} {done}{of} {order.symbol} at {symbol.price(report.price_ticks)}")
    else:
        text.append(f": nothing was traded of {order.side} {asked} {order.symbol}")
        text.append(f" at {symbol.price(order.limit_ticks)}")
    text.append(f", {local_time(report.ts_ms)}")
    if report.cum_lots < order.qty_lots and (why := REASONS.get(report.reason, "")):
        rest = "the rest was canceled" if report.cum_lots else "why"
        text.append(f"\n{rest}: {why}")
    words = [f"order {order.client_id}/{order.order_id}"]
    if report.fill_id:
        words.append(f"fill {report.fill_id} of quote {report.quote_id}")
    if report.duplicate:
        words.append("sent before: this is its first outcome")
    text.append(f"\n{', '.join(words)}", QUIET)
    return text
