"""The dashboard and the alert rules: they use metrics that are served, in the right way."""

from __future__ import annotations

import re

import pytest

from mm.metrics import METRICS
from tests.metrics.rules import DASHBOARD, QUERIES, alerts

#: What Prometheus itself adds to every series.
OWN_LABELS = {"instance", "job"}
#: What must not go unnoticed: a part of an expression that only its alert has.
NEEDED = (
    "> on (instance, budget) mm_exposure_limit_units",
    "> on (instance, budget) 0.95 * mm_exposure_limit_units",
    "mm_quote_active == 0",
    'mm_lag_seconds{consumer="state"}',
    'mm_lag_seconds{consumer="exchange"}',
    "mm_process_live == 0",
    'mm_symbol_stopped{why="integrity_error"}',
    'mm_symbol_stopped{why=~"reducing|flattening|halted"}',
    "mm_audit_violations > 0",
    "mm_durable == 0",
    "increase(mm_process_restarts_total",
    "mm_system_up == 0",
    "mm_archivist_trouble == 1",
    "mm_fills_unarchived >",
)


def metric_of(name: str) -> str:
    """The metric that a series of this name is of."""
    found = re.sub(r"_(bucket|sum|count)$", "", name)
    return found if METRICS.get(found) and METRICS[found].kind == "histogram" else name


@pytest.mark.parametrize(("where", "expression", "shown"), QUERIES)
def test_an_expression_is_of_what_is_served(where: str, expression: str, shown: str) -> None:
    """Its metrics and their labels are served, and counters are only used as such."""
    names = re.findall(r"\bmm_\w+", expression)
    assert names, where
    labels = set(OWN_LABELS)
    for name in names:
        assert metric_of(name) in METRICS, f"{where}: {name}"
        about = METRICS[metric_of(name)]
        labels |= {*about.labels, *(["le"] if name.endswith("_bucket") else [])}
        counted = re.search(rf"(?:rate|increase)\({name}\b", expression) is not None
        assert counted == (about.kind != "gauge"), f"{where}: {name} is a {about.kind}"
    used = re.findall(r"(\w+)\s*(?:=~|!=|=)\s*\"", expression)
    for group in re.findall(r"\b(?:by|on) \(([^)]*)\)", expression):
        used += group.split(", ")
    used += re.findall(r"\{\{(\w+)\}\}", shown)
    assert set(used) <= labels, f"{where}: {set(used) - labels}"


@pytest.mark.parametrize("part", NEEDED)
def test_what_matters_has_an_alert(part: str) -> None:
    """What must not go unnoticed has exactly one alert."""
    assert len([name for name, (expr, _) in alerts().items() if part in expr]) == 1


def test_the_dashboard_shows_every_metric() -> None:
    """No figure is served for nothing."""
    text = " ".join(expression for _, expression, _ in QUERIES)
    unused = {name for name in METRICS if name not in text}
    assert unused == {"mm_system_info", "mm_configuration_version", "mm_audit_timestamp_seconds"}


def test_panels_have_places_of_their_own() -> None:
    """No two panels lie on each other, and each has an id of its own."""
    cells: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        own = {(at["x"] + i, at["y"] + j) for i in range(at["w"]) for j in range(at["h"])}
        assert not own & cells, panel["title"]
        assert at["x"] + at["w"] <= 24
        cells |= own
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
