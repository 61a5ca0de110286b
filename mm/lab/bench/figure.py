"""The result of a benchmark: figures with their spread and their targets."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One measured quantity: ``values`` has one item per repeat, in ``unit``.

    The median should be at least ``target``, or at most if ``at_most`` is set. ``milliseconds`` are
    the same measurements as times, where ``values`` are multiples of a time.
    """

    section: str
    name: str
    unit: str
    values: tuple[float, ...]
    target: float | None = None
    at_most: bool = False
    note: str = ""
    milliseconds: tuple[float, ...] = ()

    @property
    def median(self) -> float:
        """The median over the repeats."""
        return statistics.median(self.values)

    @property
    def met(self) -> bool | None:
        """Whether the median reaches the target; None without one."""
        if self.target is None:
            return None
        return self.median <= self.target if self.at_most else self.median >= self.target

    def as_dict(self) -> dict[str, Any]:
        """The figure for ``--json``."""
        return {
            "section": self.section,
            "name": self.name,
            "unit": self.unit,
            "median": self.median,
            "min": min(self.values),
            "max": max(self.values),
            "repeats": len(self.values),
            "values": list(self.values),
            "milliseconds": list(self.milliseconds),
            "target": self.target,
            "target_is": None if self.target is None else "at most" if self.at_most else "at least",
            "met": self.met,
            "note": self.note,
        }


@dataclass(frozen=True)
class Samples:
    """The times of one slice of a latency figure, in seconds, an item for each order.

    ``two_trips_s`` are the seconds of two durable round trips at that time.
    """

    section: str
    name: str
    repeat: int
    two_trips_s: float
    seconds: Sequence[float]

    def as_dict(self) -> dict[str, Any]:
        """The samples for ``--json``.

        ``us`` has microseconds, rounded to their first three digits -> how many orders took it.
        """
        counts = Counter(_three_digits(round(1e6 * one)) for one in self.seconds)
        return {
            "section": self.section,
            "name": self.name,
            "repeat": self.repeat,
            "two_trips_us": round(1e6 * self.two_trips_s, 1),
            "orders": len(self.seconds),
            "us": {str(us): counts[us] for us in sorted(counts)},
        }


def _three_digits(number: int) -> int:
    """The number rounded to its first three digits."""
    return round(number, min(0, 3 - len(str(abs(number)))))


@dataclass
class Result:
    """Everything that one run of ``mm bench`` found.

    ``machine`` describes the machine. ``notes`` say what was left out and why. ``problems`` are
    violated invariants, failed checks and sections that failed. ``audits`` counts the systems that
    were audited. ``series`` are the samples of section sustained, ``samples`` those of section
    latency.
    """

    machine: dict[str, str] = field(default_factory=dict)
    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    audits: int = 0
    series: list[dict[str, float]] = field(default_factory=list)
    samples: list[Samples] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """The result for ``--json``."""
        return {
            "machine": self.machine,
            "figures": [figure.as_dict() for figure in self.figures],
            "notes": self.notes,
            "problems": self.problems,
            "audits": self.audits,
            "series": self.series,
            "samples": [one.as_dict() for one in self.samples],
        }


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile of one or more values in any order."""
    ordered = sorted(values)
    rank = math.ceil(percent / 100 * len(ordered))
    return ordered[max(rank, 1) - 1]
