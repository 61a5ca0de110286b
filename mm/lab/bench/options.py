"""What a run of the benchmark is to measure, and what its sections share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mm.lab.bench.figure import Result
from mm.lab.bench.world import World, bench_config
from mm.market import Config

#: Lots of a quote in the live sections: a tenth of a second of one side's flow at full load.
SIZE_LOTS = 1_250
SYMBOLS = 20


@dataclass(frozen=True)
class Size:
    """How much each section does, in orders if no other unit is named.

    ``symbol_counts`` are the numbers of symbols that section symbols compares, ``past_orders`` and
    ``ledger_fills`` what section history puts behind its systems. ``cpu_s`` and ``idle_s`` are the
    seconds of a window of section load with orders and without, ``rival_orders`` the orders that an
    alternative does in one repeat, ``starts`` how often section start starts each program in one,
    ``archived_fills`` the past of section archive.
    """

    orders: int = 100_000
    latency_orders: int = 3_000
    scale_orders: int = 50_000
    symbol_counts: Sequence[int] = (10, 100, 1_000, 10_000)
    past_orders: int = 1_000_000
    ledger_fills: int = 5_000_000
    cpu_s: float = 10.0
    idle_s: float = 20.0
    rival_orders: int = 8_000
    starts: int = 9
    archived_fills: int = 10_000_000


#: Checks that every section runs and keeps the invariants; its figures mean nothing.
QUICK = Size(2_000, 100, 1_000, (10, 50), 3_000, 5_000, 1.0, 1.0, 200, 1, 2_000)


@dataclass(frozen=True)
class BenchOptions:
    """What to measure and with which server; ``binary`` None is the package's Valkey.

    ``minutes`` is the length of section sustained, ``say`` gets each section's name as it begins.
    Without ``judged`` no figure has a target: the sizes are too small for figures that mean much.
    """

    binary: Path | None
    repeats: int
    seed: int
    sections: Sequence[str]
    size: Size
    minutes: float
    say: Callable[[str], None]
    judged: bool = True


@dataclass(frozen=True)
class BenchRun:
    """One run under way: its options, and the result that its sections add to."""

    options: BenchOptions
    result: Result

    @property
    def size(self) -> Size:
        """How much each section does."""
        return self.options.size

    @property
    def repeats(self) -> int:
        """Measurements of each figure."""
        return self.options.repeats

    @property
    def seed(self) -> int:
        """The seed of all orders."""
        return self.options.seed

    def world(self, name: str, config: Config | None = None, **settings: bool) -> World:
        """A system for one section, of the usual configuration unless another is given.

        ``settings`` are the keyword arguments of :class:`World`.
        """
        config = config or bench_config(SYMBOLS, SIZE_LOTS)
        return World(self.result, name, config, self.options.binary, **settings)
