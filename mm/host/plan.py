"""The plan of a run: which children there are, and with which arguments each one starts."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from mm.host.locate import System
from mm.orders import check_shared_rate, new_run_id


@dataclass(frozen=True)
class PlannedChild:
    """One child: its name, such as ``maker-2``, and its arguments for ``mm``."""

    name: str
    arguments: tuple[str, ...]

    @property
    def finishes(self) -> bool:
        """Whether it ends by itself when its work is done; only publishers do."""
        return self.arguments[0] == "publisher"


@dataclass(frozen=True)
class ChildPlan:
    """How many children of which kind, and which orders the publishers send.

    ``rate`` is orders per second over all publishers. ``seed`` is that of the first publisher; each
    further one takes the next. A ``tape`` replaces that flow, at ``speed`` (1 is real time, 0 flat
    out), and has at most one publisher. A publisher that is restarted goes on with its run, whose
    id is ``run_id``. With ``log_detail`` all children log each step. Raises ValueRefused for a rate
    that the publishers would refuse: as children they would be restarted for ever.
    """

    makers: int = 2
    publishers: int = 1
    rate: float = 50.0
    seed: int = 1
    tape: Path | None = None
    speed: float = 1.0
    log_detail: bool = False
    run_id: str = field(default_factory=new_run_id)

    def __post_init__(self) -> None:
        check_shared_rate(self.rate, self.publishers)

    def children(self, system: System) -> list[PlannedChild]:
        """The children in the order of their start; the publishers are last."""
        planned: list[tuple[str, int, tuple[str, ...]]] = [("exchange", 1, ()), ("state", 1, ())]
        planned += [("maker", number, ()) for number in range(1, self.makers + 1)]
        planned += [("publisher", number, self._flow(number)) for number in self._publishers()]
        detail = ("--log-detail",) if self.log_detail else ()
        return [
            PlannedChild(
                f"{kind}-{number}",
                (kind, "--id", str(number), *options, *detail, *system.options()),
            )
            for kind, number, options in planned
        ]

    @property
    def clients(self) -> tuple[str, ...]:
        """The clients that the publishers are."""
        return tuple(f"publisher-{number}" for number in self._publishers())

    def _publishers(self) -> range:
        """The numbers of the publishers."""
        count = self.publishers if self.tape is None else min(self.publishers, 1)
        return range(1, count + 1)

    def _flow(self, number: int) -> tuple[str, ...]:
        """The options of a publisher that say what it sends."""
        run = ("--run-id", self.run_id)
        if self.tape is not None:
            return ("--tape", str(self.tape), "--speed", f"{self.speed:g}", *run)
        rate, seed = self.rate / self.publishers, self.seed + number - 1
        return ("--rate", f"{rate:g}", "--seed", str(seed), *run)
