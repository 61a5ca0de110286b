"""The alert rules and the dashboard, read from their files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
ALERTS = (DEPLOY / "prometheus" / "alerts.yml").read_text(encoding="utf-8")
DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana" / "mm.json").read_text(encoding="utf-8"))


def alerts() -> dict[str, tuple[str, str]]:
    """Each alert's expression and summary."""
    found = {}
    for text in ALERTS.split("      - alert: ")[1:]:
        name, _, rest = text.partition("\n")
        expression = re.search(r"^ {8}expr: (?:\|\n((?: {10}.*\n)+)|(.*)\n)", rest, re.MULTILINE)
        summary = re.search(r'^ {10}summary: "(.*)"$', rest, re.MULTILINE)
        assert expression and summary, name
        assert re.search(r"severity: (page|ticket) ", rest), name
        assert name not in found
        found[name] = (" ".join((expression[1] or expression[2]).split()), summary[1])
    return found


def queries() -> Iterator[tuple[str, str, str]]:
    """Where each expression stands, the expression, and the text that shows its labels."""
    for name, (expression, summary) in alerts().items():
        shown = re.sub(r"\{\{ \$labels\.(\w+) \}\}", r"{{\1}}", summary)
        yield name, expression, re.sub(r"\{\{ \$value \}\}", "", shown)
    for panel in DASHBOARD["panels"]:
        for one in panel["targets"]:
            yield panel["title"], one["expr"], one["legendFormat"]


QUERIES = list(queries())
