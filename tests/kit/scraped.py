"""The answer to a scrape, as Prometheus reads it."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from mm.metrics import METRICS

Labels = tuple[tuple[str, str], ...]


class Served:
    """The series of one answer, as Prometheus reads them."""

    def __init__(self, answer: bytes) -> None:
        self.kinds: dict[str, str] = {}
        self.series: dict[str, dict[Labels, float]] = {}
        for family in text_string_to_metric_families(answer.decode()):
            name = f"{family.name}_total" if family.type == "counter" else family.name
            self.kinds[name] = family.type
            assert family.documentation == METRICS[name].meaning
            for sample in family.samples:
                found = self.series.setdefault(sample.name, {})
                labels = tuple(sorted(sample.labels.items()))
                assert labels not in found, f"{sample.name} {labels} twice"
                found[labels] = sample.value

    def __call__(self, name: str, **labels: str) -> float | None:
        """The figure of one series, None when there is none."""
        return self.series.get(name, {}).get(tuple(sorted(labels.items())))

    def of(self, name: str, label: str) -> dict[str, float]:
        """The figures of a metric by one of its labels."""
        return {dict(labels)[label]: value for labels, value in self.series.get(name, {}).items()}
