"""The page: one HTML file that has everything in it and loads nothing."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from html import escape
from importlib.resources import files
from string import Template

from mm.instant import timestamp
from mm.report.closing import (
    about_section,
    incidents_section,
    latencies_section,
    reconciliation_section,
)
from mm.report.figures import Figure
from mm.report.past import Past
from mm.report.plots import plot_script
from mm.report.sections import (
    exposure_section,
    headline,
    prices_section,
    profit_section,
    quotes_section,
)

#: The sections in their order: the name of each, its title in the navigation, and what makes it.
SECTIONS = (
    ("profit", "Profit", profit_section),
    ("prices", "Prices and inventory", prices_section),
    ("exposure", "Exposure", exposure_section),
    ("quotes", "Quotes", quotes_section),
    ("latencies", "Latencies", latencies_section),
    ("incidents", "Incidents", incidents_section),
    ("reconciliation", "Reconciliation", reconciliation_section),
    ("about", "About", about_section),
)


def page(past: Past, version: str, system: str) -> str:
    """The report as the text of an HTML file.

    ``version`` is that of this package, and ``system`` the id of the system. No part of the page
    comes from elsewhere: its policy forbids every load, and every script but its own two.
    """
    room = files("mm.report")
    script = room.joinpath("page.js").read_text("utf-8")
    library = plot_script()
    figures: dict[str, Figure] = {}
    body, links = [headline(past)], []
    for name, title, make in SECTIONS:
        made = make(past, figures)
        if made:
            body.append(made)
            links.append(f'<a href="#{name}">{escape(title)}</a>')
    first, last = timestamp(past.begin_ms), timestamp(past.end_ms)
    symbols = f"{len(past.names)} symbol{'' if len(past.names) == 1 else 's'}"
    made_at = timestamp(past.snapshot.now_ms)
    return Template(room.joinpath("page.html").read_text("utf-8")).substitute(
        policy=_policy(script, library),
        title=escape(f"mm report, {first} to {last}"),
        style=room.joinpath("page.css").read_text("utf-8"),
        heading="What the market maker did",
        range=escape(f"{first} to {last}, {symbols}"),
        nav="\n".join(links),
        body="\n".join(body),
        footer=escape(f"mm {version}, system {system or 'without an id'}, read at {made_at}")
        + "<br>All times are UTC. Plots: plotly.js, under the MIT license.",
        figures=_json(figures),
        library=base64.b64encode(gzip.compress(library.encode(), mtime=0)).decode(),
        script=script,
    )


def _policy(script: str, library: str) -> str:
    """What the page may do: run its two scripts, and nothing else that loads or sends."""
    # In the page a line break stands before and behind the script.
    sums = (
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        for text in (f"\n{script}\n", library)
    )
    scripts = " ".join(f"'sha256-{one}'" for one in sums)
    return (
        f"default-src 'none'; script-src {scripts}; style-src 'unsafe-inline';"
        " img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _json(value: object) -> str:
    """JSON that cannot end the element that holds it."""
    text = json.dumps(value, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
