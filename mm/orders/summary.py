"""What became of a sender's orders, counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mm.orders.partition_client import PartitionClient
from mm.orders.unanswered import Answer


@dataclass(frozen=True)
class Summary:
    """The outcomes of all orders sent. Each order counts as one outcome, or as unanswered.

    ``first`` is the number of the first order sent; it is above 1 when a run was continued.
    ``resent`` counts sendings beyond the first, ``duplicate`` reports marked duplicate, and
    ``by_reason`` orders by the reason why they did not fill in full.
    """

    sent: int
    resent: int
    filled: int
    partially_filled: int
    canceled: int
    rejected: int
    duplicate: int
    unanswered: int
    filled_lots: int
    by_reason: Mapping[str, int]
    first: int = 1

    def text(self) -> str:
        """One line for a person."""
        reasons = ", ".join(f"{name} {count}" for name, count in sorted(self.by_reason.items()))
        since = f" from order {self.first} of the run on" if self.first > 1 else ""
        return (
            f"sent {self.sent}{since} (resent {self.resent}): filled {self.filled},"
            f" partially filled {self.partially_filled}, canceled {self.canceled},"
            f" rejected {self.rejected}, duplicate {self.duplicate}, unanswered {self.unanswered};"
            f" {self.filled_lots} lots filled" + (f"; reasons: {reasons}" if reasons else "")
        )


class OutcomeCounts:
    """Counts answers as they come."""

    def __init__(self) -> None:
        self._statuses: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        self._filled_lots = 0

    def add(self, answers: Iterable[Answer]) -> None:
        """Count some answers."""
        for answer in answers:
            self._statuses[answer.report.status] += 1
            self._filled_lots += answer.report.cum_lots
            if answer.report.reason:
                self._reasons[answer.report.reason] += 1

    def summary(self, sent: int, client: PartitionClient | None, first: int = 1) -> Summary:
        """The summary so far of ``sent`` orders; ``client`` is None before the first connection."""
        return Summary(
            sent=sent,
            resent=client.resent if client else 0,
            filled=self._statuses["filled"],
            partially_filled=self._statuses["partially_filled"],
            canceled=self._statuses["canceled"],
            rejected=self._statuses["rejected"],
            duplicate=client.duplicates if client else 0,
            unanswered=len(client.unanswered) if client else 0,
            filled_lots=self._filled_lots,
            by_reason=dict(self._reasons),
            first=first,
        )
