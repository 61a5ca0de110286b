"""Families in the text format of Prometheus, by its own library.

The package's extra ``serve`` brings the library. It is imported only when an answer is made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from mm.errors import ExtraMissing
from mm.metrics.families import Family
from mm.metrics.names import METRICS


class _Collected:
    """What the library asks for metrics."""

    def __init__(self, metrics: Sequence[Any]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Any]:
        """The metrics in their order."""
        return iter(self._metrics)


def content_type() -> str:
    """The content type of an answer; ExtraMissing without its library."""
    try:
        from prometheus_client import CONTENT_TYPE_LATEST
    except ImportError as error:
        raise ExtraMissing("/metrics: it", "prometheus-client", "serve") from error
    return CONTENT_TYPE_LATEST


def exposition(families: Sequence[Family]) -> bytes:
    """The families in the text format of Prometheus."""
    from prometheus_client import CollectorRegistry, generate_latest

    registry = CollectorRegistry()
    registry.register(_Collected([_metric(family) for family in families]))
    return generate_latest(registry)


def _metric(family: Family) -> Any:
    from prometheus_client.core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
    )

    about = METRICS[family.name]
    if family.histogram is not None:
        found = HistogramMetricFamily(family.name, about.meaning)
        found.add_metric((), family.histogram.cumulative(), family.histogram.sum_s)
        return found
    kind = {"gauge": GaugeMetricFamily, "counter": CounterMetricFamily}[about.kind]
    series = kind(family.name, about.meaning, labels=about.labels)
    for labels, value in family.rows:
        series.add_metric(labels, value)
    return series
