"""How a chaos run looks: a table by kind of fault while it runs, and the summary at its end."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

from rich.console import Group, RenderableType
from rich.text import Text

from mm.lab.chaos.check import Counts
from mm.lab.chaos.plan import FaultEvent
from mm.terminal import Column, FittedTable

RECENT = 8
#: The line of a round that took longer to converge says what was missing last.
SLOW_MS = 1_000


@dataclass
class Round:
    """One round.

    ``applied`` says for each fault that is over whether it could be applied, ``last`` what the
    system missed last before it had converged.
    """

    number: int
    faults: Sequence[FaultEvent]
    applied: Sequence[bool] = ()
    converged_ms: int | None = None
    last: str = ""
    violated: bool = False

    def line(self) -> str:
        """The round in one line."""
        words = " and ".join(
            fault.text() + ("" if applied is not False else " (struck nothing)")
            for fault, applied in zip_longest(self.faults, self.applied)
        )
        end = "VIOLATION" if self.violated else f"converged in {self.converged_ms} ms"
        if self.last and (self.converged_ms or 0) >= SLOW_MS:
            end += f"; last: {self.last}"
        return f"round {self.number}: {words}: {end}"


@dataclass
class Figures:
    """The counts of one system."""

    counts: Counts = field(default_factory=Counts)
    restarts: int = 0
    server_starts: int = 0
    killed_starting: int = 0
    readings: int = 0
    exact: int = 0
    refused: Counter[str] = field(default_factory=Counter)


@dataclass
class RunRecord:
    """Everything that happened in a run, for the table and the summary."""

    seed: int
    wanted: int
    server: str
    kinds: Sequence[str]
    rounds: list[Round] = field(default_factory=list)
    systems: list[Figures] = field(default_factory=list)
    elapsed_s: float = 0.0
    current: str = ""
    recent: deque[str] = field(default_factory=lambda: deque(maxlen=RECENT))

    def add(self, done: Round) -> None:
        """Add a round that is over."""
        self.rounds.append(done)
        self.recent.append(done.line())


def percentile(values: Sequence[int], percent: int) -> int:
    """The smallest value that ``percent`` % of the values do not exceed; 0 without values."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)] if ordered else 0


def table(record: RunRecord) -> FittedTable:
    """Rounds, faults that struck nothing, and times to converge, by kind and for all rounds."""
    rows: list[tuple[str, Sequence[Round], int | None]] = []
    for kind in record.kinds:
        of_kind = [one for one in record.rounds if any(fault.kind == kind for fault in one.faults)]
        missed = sum(
            fault.kind == kind and applied is False
            for one in of_kind
            for fault, applied in zip_longest(one.faults, one.applied)
        )
        rows.append((kind, of_kind, missed))
    rows.append(("all rounds", record.rounds, None))
    times = [
        [one.converged_ms for one in rounds if one.converged_ms is not None]
        for _, rounds, _ in rows
    ]

    def column(title: str, cells: Iterable[int | str | None], rank: int = 0) -> Column:
        return Column(title, [Text("" if cell is None else str(cell)) for cell in cells], rank)

    columns = [
        column("rounds", [len(rounds) for _, rounds, _ in rows]),
        column("struck\nnothing", [missed for *_, missed in rows], 4),
        column("p50 ms", [percentile(found, 50) if found else None for found in times], 2),
        column("p99 ms", [percentile(found, 99) if found else None for found in times], 3),
        column("max ms", [max(found, default=None) for found in times], 1),
    ]
    return FittedTable(
        f"mm chaos, seed {record.seed}, {record.server}",
        columns,
        [Text("ms: from the faults to a converged system", "italic")],
        Column("fault", [Text(name) for name, *_ in rows], right=False),
    )


def totals(record: RunRecord) -> str:
    """The counts of the run in a few lines."""
    counts = sum((one.counts for one in record.systems), Counts())
    restarts = sum(one.restarts for one in record.systems)
    starts = sum(one.server_starts for one in record.systems)
    killed = sum(one.killed_starting for one in record.systems)
    refused = sum((one.refused for one in record.systems), Counter[str]())
    readings = sum(one.readings for one in record.systems)
    exact = sum(one.exact for one in record.systems)
    watched = f"leases read {readings} times, {exact} of them exactly\n" if readings else ""
    rules = ", ".join(f"{rule} {count}" for rule, count in sorted(refused.items())) or "none"
    return (
        f"{len(record.rounds)} of {record.wanted} rounds in {record.elapsed_s:.0f} s"
        f" on {record.server}, {len(record.systems)} systems one after the other\n"
        f"{counts.orders} orders, {counts.fills} fills, {counts.acknowledged} acknowledged"
        f" outcomes compared, {counts.resends} resends, {counts.duplicates} duplicate reports\n"
        f"{restarts} restarts of processes, {starts} starts of the server, killed {killed} times"
        " before it had finished loading\n"
        f"{watched}"
        f"proposals refused: {rules}"
    )


def live(record: RunRecord) -> RenderableType:
    """What the screen shows while it runs."""
    return Group(
        table(record), Text(totals(record)), Text("\n".join(record.recent)), Text(record.current)
    )
