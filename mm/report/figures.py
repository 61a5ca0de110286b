"""The plots as plain data: what plotly draws, with the names of colours in place of colours.

A string such as ``@bid`` in the place of a colour is a name: the page has a light and a dark colour
for it. Money and quantities are exact decimal text, times are ms.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any, TypeAlias

from mm.instant import precise
from mm.market import Fill
from mm.report.incidents import Incident
from mm.report.ledger import Account, Earnings
from mm.report.past import Past
from mm.report.quoting import Quoted

Figure: TypeAlias = dict[str, Any]
#: The most incidents in a plot.
MOST_MARKS = 150


def _line(name: str, color: str, x: list[int], y: list[Any], **more: Any) -> Figure:
    line = {"color": color, "shape": "hv", "width": 2} | more.pop("line", {})
    return {"type": "scatter", "mode": "lines", "name": name, "x": x, "y": y, "line": line} | more


def _axis(title: str, domain: Sequence[float], **more: Any) -> Figure:
    return {"title": {"text": title}, "domain": list(domain), "automargin": True} | more


def _times(past: Past, **more: Any) -> Figure:
    return {"type": "date", "range": [past.begin_ms, past.end_ms]} | more


def profit_figure(past: Past, one: Earnings) -> Figure:
    """Profit, its two parts, and the drawdown under them; incidents above."""
    points, text = one.points.points(), one.purse.text
    x = [past.begin_ms, *(point.ts_ms for point in points), past.end_ms]
    shown = [point.shows for point in points]
    profit = [0, *(total.profit for total in shown), one.profit]
    spread = [0, *(total.spread for total in shown), one.spread]
    down = [0, *(total.drawdown for total in shown), one.highest - one.profit]
    inventory = [whole - part for whole, part in zip(profit, spread, strict=True)]
    data = [
        _line("profit", "@ink", x, list(map(text, profit)), line={"width": 2.5}),
        _line("spread earned", "@blue", x, list(map(text, spread)), line={"dash": "dash"}),
        _line("inventory profit", "@orange", x, list(map(text, inventory)), line={"dash": "dot"}),
        _line(
            "drawdown",
            "@red",
            x,
            [text(-units) for units in down],
            line={"width": 1},
            fill="tozeroy",
            yaxis="y2",
        ),
        *_marks(past.all_incidents, "y3"),
    ]
    unit = one.purse.currency or "money"
    layout = {
        "height": 460,
        "xaxis": _times(past, anchor="y2"),
        "yaxis": _axis(unit, (0.32, 0.93)),
        "yaxis2": _axis("drawdown", (0, 0.25), rangemode="tozero", nticks=4),
        "yaxis3": {"domain": [0.95, 1], "range": [0, 1], "visible": False, "fixedrange": True},
        "hovermode": "x unified",
    }
    return {"data": data, "layout": layout}


def _marks(incidents: Sequence[Incident], axis: str) -> list[Figure]:
    """The incidents as crosses on an axis of their own."""
    some = [one for one in incidents if one.grave][:MOST_MARKS]
    if not some:
        return []
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "name": "incident",
            "x": [one.ts_ms for one in some],
            "y": [0.5 for _ in some],
            "text": [_cut(one.text) for one in some],
            "hovertemplate": "%{text}<extra></extra>",
            "marker": {"symbol": "x", "size": 8, "color": "@red"},
            "yaxis": axis,
        }
    ]


def _cut(text: str, most: int = 70) -> str:
    """Text as plotly shows it, which reads some tags; broken into lines."""
    lines = [escape(text[at : at + most], quote=False) for at in range(0, len(text), most)]
    return "<br>".join(lines[:5])


def symbol_figure(past: Past, account: Account, quoted: Quoted) -> Figure:
    """The prices that were quoted, the fills on them, and the inventory under them."""
    symbol = account.symbol
    prices = quoted.prices.points()
    ends = [*(point.ts_ms for point in prices), past.end_ms]
    last = [prices[-1].shows] if prices else [(None, None)]
    sides = [*(point.shows for point in prices), *last]
    data = [
        _line(
            name,
            "@quote",
            ends,
            [None if pair[at] is None else symbol.price(pair[at] or 0) for pair in sides],
            line={"width": 1.3, "dash": dash},
            hovertemplate=f"{name} %{{y}}<extra></extra>",
        )
        for at, name, dash in ((0, "bid", "solid"), (1, "ask", "dot"))
    ]
    for name, thin, shape, color in (
        ("bought", account.bought, "triangle-up", "@blue"),
        ("sold", account.sold, "triangle-down", "@orange"),
    ):
        fills = [point.shows for point in thin.points()]
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": name,
                "x": [fill.ts_ms for fill in fills],
                "y": [symbol.price(fill.price_ticks) for fill in fills],
                "text": [_fill_text(name, account, fill) for fill in fills],
                "hovertemplate": "%{text}<extra></extra>",
                "marker": {
                    "symbol": shape,
                    "size": 7,
                    "color": color,
                    "line": {"width": 0.8, "color": "@paper"},
                },
            }
        )
    held = account.inventory.points()
    times = [past.begin_ms, *(point.ts_ms for point in held), past.end_ms]
    now = account.opening_lots if not held else held[-1].shows
    lots = [account.opening_lots, *(point.shows for point in held), now]
    net = list(map(symbol.quantity, lots))
    fill = {"fill": "tozeroy", "yaxis": "y2", "showlegend": False, "line": {"width": 1.5}}
    data.append(_line("inventory", "@green", times, net, **fill))
    edge = symbol.position_limit_lots
    if max(map(abs, lots)) * 4 >= edge:
        for limit in (edge, -edge):
            data.append(_limit(past, symbol.quantity(limit), "position limit", "y2"))
    layout = {
        "height": 500,
        "xaxis": _times(past, anchor="y2"),
        "yaxis": _axis(f"price {past.snapshot.config.currency_of(symbol)}".strip(), (0.38, 1)),
        "yaxis2": _axis("inventory", (0, 0.3), nticks=5),
        "hovermode": "closest",
    }
    return {"data": data, "layout": layout}


def _fill_text(name: str, account: Account, fill: Fill) -> str:
    symbol = account.symbol
    amount = f"{name} {symbol.quantity(fill.qty_lots)} at {symbol.price(fill.price_ticks)}"
    return _cut(f"{amount}, {fill.fill_id}") + f"<br>{precise(fill.ts_ms)}"


def _limit(past: Past, level: str, name: str, axis: str) -> Figure:
    x, line = [past.begin_ms, past.end_ms], {"width": 1.2, "dash": "dash"}
    return _line(name, "@red", x, [level, level], line=line, yaxis=axis, showlegend=False)


def exposure_figure(past: Past) -> Figure:
    """Long exposure above, short below, each against its limit."""
    amount = past.snapshot.config.exposure_amount
    points = past.quoting.exposure.points()
    x = [point.ts_ms for point in points]
    steps = [*past.limits, (past.end_ms, past.limits[-1][1])]
    at = [ms for ms, _ in steps]
    data: list[Figure] = []
    for name, side, sign, color in (("long", 0, 1, "@blue"), ("short", 1, -1, "@orange")):
        y = [amount(sign * point.shows[side]) for point in points]
        data.append(_line(name, color, x, y, fill="tozeroy", line={"width": 1.2}))
    for name, sign in (("limit", 1), ("limit of the short side", -1)):
        y = [amount(sign * units) for _, units in steps]
        line = {"dash": "dash", "width": 1.6}
        data.append(_line(name, "@red", at, y, line=line, showlegend=sign > 0))
    layout = {
        "height": 360,
        "xaxis": _times(past),
        "yaxis": _axis(past.snapshot.config.exposure_name, (0, 1)),
        "hovermode": "x unified",
    }
    return {"data": data, "layout": layout}
