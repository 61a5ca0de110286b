"""Every metric that is served: its name, its kind, its labels and its meaning.

The table in the reference is generated from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Metric:
    """One metric. ``labels`` are those of each of its series, in their order."""

    kind: Literal["gauge", "counter", "histogram"]
    meaning: str
    labels: tuple[str, ...] = ()


#: Name -> metric, in the order in which they are served. Names follow the conventions of
#: Prometheus: counters end in ``_total``, and a unit is part of the name.
METRICS: dict[str, Metric] = {
    "mm_system_up": Metric("gauge", "1 when the system's state could be read for this answer"),
    "mm_system_info": Metric(
        "gauge",
        "always 1: how exposure is counted, what one unit of it is, and the default currency",
        ("exposure_mode", "unit", "currency"),
    ),
    "mm_configuration_version": Metric("gauge", "the configuration's version"),
    "mm_durable": Metric("gauge", "1 when the server puts every acknowledged write on disk"),
    "mm_stoppages": Metric(
        "gauge",
        "how many things stop trading, as `mm status` names them; expected ones need nobody's help",
        ("expected",),
    ),
    "mm_orders_total": Metric("counter", "orders processed, resent ones included", ("partition",)),
    "mm_orders_rejected_total": Metric(
        "counter", "orders that this exchange rejected since its start", ("process",)
    ),
    "mm_orders_duplicate_total": Metric(
        "counter",
        "resent orders that this exchange answered once more since its start",
        ("process",),
    ),
    "mm_dead_letters_total": Metric(
        "counter",
        "rejected orders by reason, and fills that were not applied, since the reader's start",
        ("source", "reason"),
    ),
    "mm_fills_total": Metric("counter", "fills of the symbol in the ledger", ("symbol",)),
    "mm_fills_committed_total": Metric(
        "counter", "fills that state services have processed", ("partition",)
    ),
    "mm_quotes_total": Metric("counter", "quote versions of the symbol", ("symbol",)),
    "mm_quotes_expired_total": Metric(
        "counter",
        "expired quotes that this process released since its start; a placing script that comes"
        " before it releases some uncounted",
        ("process",),
    ),
    "mm_proposals_total": Metric(
        "counter",
        "proposals of this maker since its start that were not refused, by outcome",
        ("process", "outcome"),
    ),
    "mm_proposals_refused_total": Metric(
        "counter",
        "proposals of this maker since its start that were refused, by rule",
        ("process", "rule"),
    ),
    "mm_reader_up": Metric(
        "gauge",
        "1 while the reader follows orders and events through the streams; 0 while it cannot. Then"
        " what it counts stands still",
    ),
    "mm_order_report_seconds": Metric(
        "histogram", "from an order's entry to its report, of the orders that were followed"
    ),
    "mm_order_position_seconds": Metric(
        "histogram", "from an order's entry to the position that its fill is committed to"
    ),
    "mm_order_quote_seconds": Metric(
        "histogram", "from an order's entry to the first quote from that position, or a later one"
    ),
    "mm_latency_lost_total": Metric(
        "counter",
        "followed orders of which this time is not known: too much came at once, or nothing came"
        " for a minute",
        ("until",),
    ),
    "mm_follow_skips_total": Metric(
        "counter", "reads in which the reader left out a part of the stream", ("stream",)
    ),
    "mm_lag_seconds": Metric(
        "gauge",
        "how long the oldest record that the consumer has not processed has waited",
        ("partition", "consumer"),
    ),
    "mm_orders_waiting": Metric(
        "gauge",
        "orders that the exchange has not processed; counted up to 1,000, then more may wait",
        ("partition",),
    ),
    "mm_fills_waiting": Metric("gauge", "fills that are not committed", ("partition",)),
    "mm_fills_unarchived": Metric(
        "gauge", "committed fills that the archive does not have yet", ("partition",)
    ),
    "mm_exposure_limit_units": Metric("gauge", "the limit of each budget", ("budget",)),
    "mm_exposure_lease_units": Metric(
        "gauge", "the partition's part of the limit of each budget", ("partition",)
    ),
    "mm_exposure_reserved_units": Metric(
        "gauge", "what active quotes have reserved of the budget", ("partition", "budget")
    ),
    "mm_symbols": Metric("gauge", "configured symbols"),
    "mm_symbols_quoted": Metric("gauge", "symbols with an active quote"),
    "mm_symbols_waiting": Metric("gauge", "symbols that wait for exposure", ("budget",)),
    "mm_symbols_in_mode": Metric("gauge", "symbols by the trading mode that holds", ("mode",)),
    "mm_symbol_stopped": Metric(
        "gauge",
        "1 for a symbol that is not quoted freely, and why: integrity_error, protection, closed, or"
        " its trading mode. Others have no series",
        ("symbol", "why"),
    ),
    "mm_symbol_waiting": Metric(
        "gauge", "1 for a symbol that waits for exposure. Others have no series", ("symbol",)
    ),
    "mm_quote_active": Metric("gauge", "1 while the symbol has an active quote", ("symbol",)),
    "mm_position": Metric("gauge", "the committed net quantity", ("symbol",)),
    "mm_profit": Metric(
        "gauge",
        "profit at the mark, in two parts: spread (earned) and inventory",
        ("symbol", "currency", "part"),
    ),
    "mm_process_live": Metric(
        "gauge",
        "1 while the process is heard; 0 when it is silent, or wanted and never heard. An `mm up`"
        " that another one has replaced has no series",
        ("process", "kind"),
    ),
    "mm_process_silent_seconds": Metric(
        "gauge", "since the last heartbeat of the process", ("process",)
    ),
    "mm_process_restarts_total": Metric(
        "counter", "restarts of the process by its `mm up`", ("process",)
    ),
    "mm_archivist_trouble": Metric(
        "gauge",
        "1 while the archivist says that it cannot archive; that stops no trading",
        ("process",),
    ),
    "mm_lifecycle_events_total": Metric(
        "counter",
        "starts and ends of processes and of the server since the reader's start",
        ("event",),
    ),
    "mm_stream_entries": Metric("gauge", "entries of the stream", ("stream",)),
    "mm_replicas": Metric("gauge", "replicas that follow the partition's server", ("partition",)),
    "mm_replicas_wanted": Metric("gauge", "replicas that must follow", ("partition",)),
    "mm_audit_violations": Metric("gauge", "violations that the last audit found"),
    "mm_audit_timestamp_seconds": Metric("gauge", "when the last audit read the system"),
    "mm_scrape_seconds": Metric("gauge", "how long the figures of this answer took to gather"),
}
