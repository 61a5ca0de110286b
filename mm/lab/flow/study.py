"""The study: the same flow with other shares of informed senders, over several seeds."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path

from mm.host import ManagedServer, ThrowawaySystem
from mm.lab.flow.play import Played, play
from mm.market import Config
from mm.orders import FlowOptions
from mm.store import Scripts

#: Profits are per so many orders.
PER = 1_000


@dataclass(frozen=True)
class FlowStudy:
    """What to play: each share of ``informed`` percent with ``seeds`` seeds from ``seed`` on."""

    informed: Sequence[int]
    seeds: int
    orders: int
    seed: int


@dataclass(frozen=True)
class Earned:
    """What the rule earned at one share: the profit of each seed per :data:`PER` orders.

    ``spread`` is the mean of what the spread earned; the rest of the mean is inventory (R29).
    ``filled_percent`` is the share of the orders that filled at least in part.
    """

    informed: int
    profits: Sequence[Decimal]
    spread: Decimal
    filled_percent: int

    @property
    def mean(self) -> Decimal:
        """The mean over the seeds."""
        return statistics.mean(self.profits)

    @property
    def deviation(self) -> Decimal:
        """The standard deviation over the seeds; 0 of a single one."""
        return statistics.stdev(self.profits) if len(self.profits) > 1 else Decimal(0)


def run_study(
    study: FlowStudy, config: Config, binary: Path | None, say: Callable[[str], None]
) -> list[Earned]:
    """Play every share and seed on a throwaway server; ``say`` gets a line for each share.

    Raises what :func:`mm.lab.flow.play` raises.
    """
    found = []
    with ThrowawaySystem(partial(ManagedServer, binary=binary), "mm-flow-") as system:
        system.start()
        # Nothing of it is kept, and the disk would be what is measured.
        system.scripts.client.config_set("appendonly", "no")
        for informed in study.informed:
            say(f"{informed} % informed: {study.seeds} seeds of {study.orders:,} orders")
            found.append(earned(study, config, informed, partial(_emptied, system.scripts)))
    return found


def _emptied(scripts: Scripts) -> Scripts:
    scripts.client.flushall()
    return scripts


def earned(study: FlowStudy, config: Config, informed: int, empty: Callable[[], Scripts]) -> Earned:
    """What the rule earns at one share; ``empty`` gives the scripts of a server without keys."""
    played: list[Played] = []
    for seed in range(study.seed, study.seed + study.seeds):
        flow = FlowOptions(rate_per_s=0, seed=seed, informed_percent=informed)
        played.append(play(empty(), config, flow, study.orders))
    filled = sum(one.filled for one in played)
    return Earned(
        informed,
        [one.profit * PER / study.orders for one in played],
        statistics.mean(one.spread * PER / study.orders for one in played),
        round(100 * filled / (study.orders * study.seeds)),
    )
