"""The plots with bars, as plain data like the others: by symbol, and by class of time."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from mm.report.figures import Figure
from mm.report.latencies import CLASSES, Spread
from mm.report.past import Past
from mm.report.quoting import Quoted

#: The most bars of a plot that has one for each symbol.
MOST_BARS = 40


def uptime_figure(some: Sequence[Quoted]) -> Figure:
    """For each symbol the share of time with both sides, with one, and without a quote."""
    names = [one.symbol.name for one in some]
    whole = [max(one.two_ms + one.one_ms + one.none_ms, 1) for one in some]
    data: list[Figure] = []
    for title, values, color, pattern in (
        ("both sides", [one.two_ms for one in some], "@blue", ""),
        ("one side", [one.one_ms for one in some], "@sky", "/"),
        ("no quote", [one.none_ms for one in some], "@orange", "x"),
    ):
        share = [f"{value / of:.5f}" for value, of in zip(values, whole, strict=True)]
        data.append(_bars(title, names, share, color, pattern) | {"orientation": "h"})
    waits = [f"{one.waiting_ms / of:.5f}" for one, of in zip(some, whole, strict=True)]
    data.append(_diamonds("waited for exposure", waits, names, "%{x:.2%}"))
    layout = {
        "height": 110 + 24 * len(some),
        "barmode": "stack",
        "legend": {"traceorder": "normal"},
        "xaxis": {"range": [0, 1.01], "tickformat": ".0%", "fixedrange": True},
        "yaxis": _NAMES,
        "hovermode": "y unified",
    }
    return {"data": data, "layout": layout}


#: The axis of a plot that has a row for each symbol.
_NAMES = {"type": "category", "autorange": "reversed", "automargin": True, "fixedrange": True}


def _diamonds(title: str, x: list[str], names: list[str], shown: str) -> Figure:
    edge = {"width": 1, "color": "@paper"}
    return {
        "type": "scatter",
        "mode": "markers",
        "name": title,
        "x": x,
        "y": names,
        "hovertemplate": shown,
        "marker": {"symbol": "diamond", "size": 9, "color": "@ink", "line": edge},
    }


def _bars(title: str, names: list[str], share: list[str], color: str, pattern: str) -> Figure:
    return {
        "type": "bar",
        "name": title,
        "x": share,
        "y": names,
        "hovertemplate": "%{x:.2%}",
        "marker": {
            "color": color,
            "pattern": {"shape": pattern, "size": 5, "fillmode": "overlay", "fgcolor": "@paper"},
        },
    }


def latency_figure(spreads: Sequence[tuple[str, Spread]]) -> Figure:
    """How often each class of times was seen, in per cent of its kind."""
    data: list[Figure] = []
    looks = (("@blue", ""), ("@orange", "/"), ("@green", "."))
    for (title, spread), (color, pattern) in zip(spreads, looks, strict=True):
        total = max(spread.total, 1)
        y = [f"{count / total:.5f}" for count in spread.classes()]
        bars = _bars(title, y, _class_names(), color, pattern)
        data.append(bars | {"hovertemplate": "%{y:.2%}"})
    layout = {
        "height": 340,
        "barmode": "group",
        "bargap": 0.25,
        "xaxis": {"type": "category", "title": {"text": "milliseconds"}, "automargin": True},
        "yaxis": {"tickformat": ".0%", "rangemode": "tozero", "automargin": True},
        "hovermode": "x unified",
    }
    return {"data": data, "layout": layout}


def _class_names() -> list[str]:
    names, low = [], 0
    for most in CLASSES:
        names.append(str(most) if low == most else f"{low}-{most}")
        low = most + 1
    return [*names, f"over {CLASSES[-1]:,}"]


def split_figure(past: Past, currency: str) -> Figure:
    """What each symbol of a currency earned: its spread, its inventory profit, and the sum."""
    groups = [one for one in past.periods.groups if one.currency == currency]
    groups = sorted(groups, key=lambda one: -abs(Decimal(one.profit)))[:MOST_BARS]
    names = [one.symbol for one in groups]
    data = [
        _bars("spread earned", names, [one.spread for one in groups], "@blue", "")
        | {"orientation": "h", "hovertemplate": "%{x}"},
        _bars("inventory profit", names, [one.inventory for one in groups], "@orange", "/")
        | {"orientation": "h", "hovertemplate": "%{x}"},
        _diamonds("profit", [one.profit for one in groups], names, "%{x}"),
    ]
    layout = {
        "height": 120 + 24 * len(groups),
        "barmode": "relative",
        "xaxis": {"title": {"text": currency or "money"}, "automargin": True, "fixedrange": True},
        "yaxis": _NAMES,
        "hovermode": "y unified",
    }
    return {"data": data, "layout": layout}
