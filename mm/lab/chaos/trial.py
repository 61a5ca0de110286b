"""What a chaos run harms, and how: a system on one server, or one on a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mm.errors import shown_path
from mm.host import Shape
from mm.interrupts import Stop
from mm.lab.chaos.faults import begin_fault
from mm.lab.chaos.harmed import Effect, HarmedSystem
from mm.lab.chaos.nodes import NodesSystem
from mm.lab.chaos.outages import begin_outage, kinds_of, plan_outages
from mm.lab.chaos.plan import KINDS, FaultEvent, plan_rounds
from mm.lab.chaos.system import ChaosSystem


@dataclass(frozen=True)
class ChaosOptions:
    """What to run: ``server`` is the program, ``seed`` decides the faults.

    With a ``shape`` the system is on a cluster. Without ``finality`` nothing waits for replicas
    there, which shows what goes wrong then.
    """

    server: Path
    rounds: int
    seed: int
    shape: Shape | None = None
    finality: bool = True

    def words(self) -> str:
        """The command that runs the same."""
        cluster = ""
        if self.shape is not None:
            cluster = f" --partitions {self.shape.partitions} --replicas {self.shape.replicas}"
        hasty = "" if self.finality else " --no-finality"
        return (
            f"mm chaos --rounds {self.rounds} --seed {self.seed}{cluster}{hasty}"
            f" --server {shown_path(self.server)}"
        )


@dataclass(frozen=True)
class Trial:
    """What a run harms, and how: kinds of fault, their plan, a new system, and how one begins."""

    kinds: Mapping[str, str]
    plan: Iterator[list[FaultEvent]]
    make: Callable[[int, Callable[[], None], Stop], HarmedSystem[Any]]
    begin: Callable[[Any, FaultEvent], Effect]


def trial_of(options: ChaosOptions, server: str) -> Trial:
    """What these options ask for; ``server`` is the name of the server."""
    shape, binary = options.shape, options.server
    if shape is None:
        return Trial(KINDS, plan_rounds(options.seed), partial(ChaosSystem, binary), begin_fault)
    return Trial(
        kinds_of(shape, server),
        plan_outages(options.seed, shape, server),
        partial(NodesSystem, binary, shape, options.finality),
        begin_outage,
    )
