"""The system that a section measures: a throwaway one, with the shipped settings of the server.

Automatic rewrites of the log are off by default, because a rewrite would slow one side of a
comparison and not the other. Everything else is as ``mm up`` starts it.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from mm.host import ChildPlan, ManagedServer, ThrowawaySystem
from mm.lab.bench.figure import Result
from mm.lab.bench.measured import REFERENCE_TICKS, Measured, audit_at_end
from mm.market import Config, Durability, Symbol

#: A day, so that quotes placed once last as long as a measurement without makers.
LONG_MS = 86_400_000
#: More than any run trades.
DEEP_LOTS = 10_000_000


def bench_symbols(symbol_count: int, size_lots: int) -> tuple[Symbol, ...]:
    """Symbols with ``size_lots`` on each side of a quote, and no position limit that matters."""
    return tuple(
        Symbol(
            name=f"S{number:05d}",
            tick=Decimal("0.01"),
            lot=Decimal(1),
            reference_ticks=REFERENCE_TICKS,
            spread_ticks=10,
            size_lots=size_lots,
            skew_ticks=5,
            position_limit_lots=10**10,
        )
        for number in range(symbol_count)
    )


def bench_config(
    symbol_count: int,
    size_lots: int,
    ttl_ms: int = 30_000,
    window_ms: int = LONG_MS,
    durability: Durability = "always",
) -> Config:
    """A configuration whose exposure limit fits every quote in full.

    ``ttl_ms`` is the lifetime of a quote, ``window_ms`` that of an order's id, both milliseconds.
    """
    limit = 2 * symbol_count * size_lots
    return Config(
        durability=durability,
        symbols=bench_symbols(symbol_count, size_lots),
        limit_units=limit,
        quote_ttl_ms=ttl_ms,
        dedup_window_ms=window_ms,
    )


def deep_config(symbol_count: int, window_ms: int = LONG_MS) -> Config:
    """A configuration whose quotes last, without makers, through every run of a section."""
    return bench_config(symbol_count, DEEP_LOTS, LONG_MS, window_ms)


class World(ThrowawaySystem[ManagedServer], Measured):
    """One system: a ``with`` block starts it and, when it ends without an error, audits it.

    Violations become problems of ``result``. ``rewrites`` leaves automatic rewrites of the log on,
    ``audited`` says whether there is something to audit at the end.
    """

    def __init__(
        self,
        result: Result,
        name: str,
        config: Config,
        binary: Path | None = None,
        *,
        rewrites: bool = False,
        audited: bool = True,
    ) -> None:
        super().__init__(partial(ManagedServer, binary=binary), "mm-bench-")
        self.result = result
        self.name = name
        self.config = config
        self._rewrites = rewrites
        self._audited = audited

    def __enter__(self) -> Self:
        try:
            self.start(self.config)
            if not self._rewrites:
                self.scripts.client.config_set("auto-aof-rewrite-percentage", 0)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None and self._audited:
                if self.supervisor.children:
                    self.wait(self.drained, "the last fills to be committed")
                self.supervisor.stop("")
                audit_at_end(self.scripts, self.result, self.name)
        finally:
            self.close()

    @property
    def makers(self) -> Sequence[str]:
        """The names of the makers that were started."""
        return [name for name in self.supervisor.children if name.startswith("maker")]

    def start_processes(self) -> None:
        """Start the children of ``mm up`` without a publisher, and wait for all quotes."""
        self.start_children(ChildPlan(publishers=0))
        self.wait(self.all_quoted, "every symbol to be quoted")

    def used_memory(self) -> int:
        """Bytes of memory that the server uses for data."""
        return int(self.scripts.client.info("memory")["used_memory"])

    def log_bytes(self) -> int:
        """Bytes of the append-only files."""
        files = (self.data_dir.path / "appendonlydir").glob("*")
        return sum(file.stat().st_size for file in files)
