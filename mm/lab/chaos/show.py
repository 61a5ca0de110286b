"""How a chaos run looks: a table by kind of fault while it runs, and the summary at its end."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mm.lab.chaos.check import Counts
from mm.lab.chaos.plan import KINDS, FaultEvent

RECENT = 8
#: A round that takes longer to converge says what came last.
SLOW_MS = 1_000


@dataclass
class Round:
    """One round.

    ``struck`` says of each strike that has ended whether it found its victim, ``last`` what was
    the last to come right again.
    """

    number: int
    strikes: Sequence[FaultEvent]
    struck: Sequence[bool] = ()
    converged_ms: int | None = None
    last: str = ""
    violated: bool = False

    def line(self) -> str:
        """The round in a line."""
        words = " and ".join(
            strike.text() + ("" if struck is not False else " (missed)")
            for strike, struck in zip_longest(self.strikes, self.struck)
        )
        end = "VIOLATION" if self.violated else f"converged in {self.converged_ms} ms"
        if self.last and (self.converged_ms or 0) >= SLOW_MS:
            end += f"; last: {self.last}"
        return f"round {self.number}: {words}: {end}"


@dataclass
class Figures:
    """What one system has lived through."""

    counts: Counts = field(default_factory=Counts)
    restarts: int = 0
    server_starts: int = 0
    killed_starting: int = 0
    refused: Counter[str] = field(default_factory=Counter)


@dataclass
class RunRecord:
    """All that has happened: what the table and the summary are drawn from."""

    seed: int
    wanted: int
    server: str
    rounds: list[Round] = field(default_factory=list)
    systems: list[Figures] = field(default_factory=list)
    elapsed_s: float = 0.0
    doing: str = ""
    recent: deque[str] = field(default_factory=lambda: deque(maxlen=RECENT))

    def add(self, done: Round) -> None:
        """Add a round that is over."""
        self.rounds.append(done)
        self.recent.append(done.line())


def percentile(values: Sequence[int], percent: int) -> int:
    """The smallest of the values that so many percent of them do not exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)] if ordered else 0


def table(tale: RunRecord) -> Table:
    """Rounds and times to converge by kind of fault, and of all rounds."""
    shown = Table(title=f"mm chaos, seed {tale.seed}, {tale.server}")
    shown.add_column("fault")
    for name in ("rounds", "missed", "p50 ms", "p99 ms", "max ms"):
        shown.add_column(name, justify="right")
    for kind in KINDS:
        of_kind = [one for one in tale.rounds if any(s.kind == kind for s in one.strikes)]
        missed = sum(
            strike.kind == kind and struck is False
            for one in of_kind
            for strike, struck in zip_longest(one.strikes, one.struck)
        )
        _row(shown, kind, of_kind, missed)
    shown.add_section()
    _row(shown, "all rounds", tale.rounds, None)
    return shown


def _row(shown: Table, name: str, rounds: Sequence[Round], missed: int | None) -> None:
    times = [one.converged_ms for one in rounds if one.converged_ms is not None]
    figures = [percentile(times, 50), percentile(times, 99), max(times, default=0)]
    cells = [str(figure) if times else "" for figure in figures]
    shown.add_row(name, str(len(rounds)), "" if missed is None else str(missed), *cells)


def totals(tale: RunRecord) -> str:
    """The run in a few lines."""
    counts = sum((one.counts for one in tale.systems), Counts())
    restarts = sum(one.restarts for one in tale.systems)
    starts = sum(one.server_starts for one in tale.systems)
    killed = sum(one.killed_starting for one in tale.systems)
    refused = sum((one.refused for one in tale.systems), Counter[str]())
    rules = ", ".join(f"{rule} {count}" for rule, count in sorted(refused.items())) or "none"
    return (
        f"{len(tale.rounds)} of {tale.wanted} rounds in {tale.elapsed_s:.0f} s on {tale.server},"
        f" {len(tale.systems)} systems one after the other\n"
        f"{counts.orders} orders, {counts.fills} fills, {counts.acknowledged} acknowledged"
        f" outcomes compared, {counts.resends} resends, {counts.duplicates} duplicate reports\n"
        f"{restarts} restarts of processes, {starts} starts of the server, killed {killed} times"
        " before it had finished loading\n"
        f"proposals refused: {rules}"
    )


def live(tale: RunRecord) -> RenderableType:
    """What the screen shows while it runs."""
    return Group(table(tale), Text(totals(tale)), Text("\n".join(tale.recent)), Text(tale.doing))
