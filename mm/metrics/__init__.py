"""The figures of a running system for Prometheus."""

from mm.metrics.exporter import Exporter
from mm.metrics.names import METRICS, Metric
from mm.metrics.text import content_type

__all__ = ["METRICS", "Exporter", "Metric", "content_type"]
