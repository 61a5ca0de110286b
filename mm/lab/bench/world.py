"""The system that a section measures: a throwaway one, with the shipped settings of the server.

Automatic rewrites of the log are off by default, because a rewrite would slow one side of a
comparison and not the other. Everything else is as ``mm up`` starts it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from mm.audit import audit
from mm.exchange import Exchange
from mm.host import ChildPlan, ManagedServer, ThrowawaySystem
from mm.lab.bench.figure import Result
from mm.market import Config, Durability, Prices, Proposal, Symbol
from mm.process import Process
from mm.state import StateService
from mm.store import execute, open_client, text

REFERENCE_TICKS = 10_000
#: A day, so that quotes placed once last as long as a measurement without makers.
LONG_MS = 86_400_000
#: More than any run trades.
DEEP_LOTS = 10_000_000
PATIENCE_S = 120.0


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


class World(ThrowawaySystem[ManagedServer]):
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
                self.supervisor.stop("")
                self._audit()
        finally:
            self.close()

    @property
    def socket(self) -> Path:
        """The server's Unix socket."""
        return self.data_dir.socket

    @property
    def orders_key(self) -> str:
        """The stream of orders."""
        return self.keys.named("orders")

    def process(self, kind: type[Process]) -> Process:
        """A process of this kind inside this one, connected; the caller closes it."""
        process = kind(lambda: open_client(self.data_dir.url), self.keys, "bench")
        process.open()
        return process

    def quote_all(self, size_lots: int) -> None:
        """Quote each symbol once, five ticks from the reference, as a maker would."""
        prices = Prices(REFERENCE_TICKS - 5, size_lots, REFERENCE_TICKS + 5, size_lots)
        names = [symbol.name for symbol in self.config.symbols]
        for start in range(0, len(names), 500):
            rows = self.scripts.survey(names[start : start + 500]).rows.values()
            self.scripts.place_many(
                [
                    Proposal(
                        symbol=row.symbol,
                        maker_id="bench",
                        trigger="bootstrap",
                        position_version=row.position_version,
                        quote_version=row.quote_version,
                        prices=prices,
                        config_version=1,
                    )
                    for row in rows
                ]
            )

    def start_processes(self) -> None:
        """Start the children of ``mm up`` without a publisher, and wait for all quotes."""
        self.start_children(ChildPlan(publishers=0))
        self.wait(self.all_quoted, "every symbol to be quoted")

    def all_quoted(self) -> bool:
        """Whether each symbol has an active quote."""
        quoted = execute(self.scripts.client, "ZCARD", self.keys.named("expiry"))
        return bool(quoted == len(self.config.symbols))

    def end_of(self, key: str) -> str:
        """The id of a stream's newest entry, or ``0-0``."""
        last = execute(self.scripts.client, "XREVRANGE", key, "+", "-", "COUNT", 1)
        return text(last[0][0]) if last else "0-0"

    def cursor(self, name: str) -> int:
        """A number of the cursors hash, such as ``exchange_records``."""
        value = execute(self.scripts.client, "HGET", self.keys.named("cursors"), name)
        return int(value or 0)

    def wait(self, done: Callable[[], bool], what: str, patience_s: float = PATIENCE_S) -> None:
        """Wait until ``done()``; TimeoutError after ``patience_s``."""
        deadline = time.monotonic() + patience_s
        while not done():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.name}: waited {patience_s:.0f} s for {what}")
            time.sleep(0.002)

    def match_all(self) -> float:
        """Match the whole backlog with an exchange inside this process; returns the seconds.

        Steps follow each other at once: the usual pauses between them serve makers, and none run.
        """
        exchange = self.process(Exchange)
        try:
            began = time.perf_counter()
            while exchange.step(0):
                pass
            return time.perf_counter() - began
        finally:
            exchange.close()

    def commit_all(self) -> float:
        """Commit all fills with a state service inside this process; returns the seconds."""
        state = self.process(StateService)
        try:
            began = time.perf_counter()
            while state.step(0):
                pass
            return time.perf_counter() - began
        finally:
            state.close()

    def quote_versions(self) -> int:
        """The sum of all quote versions: how many proposals have been accepted."""
        return self._sum("symbol:*", "quote_version")

    def position_versions(self) -> int:
        """The sum of all position versions: how many fills have been committed."""
        return self._sum("position:*", "position_version")

    def _sum(self, member: str, field_name: str) -> int:
        pipeline = self.scripts.client.pipeline(transaction=False)
        for symbol in self.config.symbols:
            execute(pipeline, "HGET", self.keys.member(member, symbol.name), field_name)
        return sum(int(value or 0) for value in pipeline.execute())

    def used_memory(self) -> int:
        """Bytes of memory that the server uses for data."""
        return int(self.scripts.client.info("memory")["used_memory"])

    def log_bytes(self) -> int:
        """Bytes of the append-only files."""
        files = (self.data_dir.path / "appendonlydir").glob("*")
        return sum(file.stat().st_size for file in files)

    def _audit(self) -> None:
        found = audit(self.scripts, quiescent=True)
        self.result.audits += 1
        for check in found.checks:
            for violation in check.violations[:3]:
                self.result.problems.append(f"{self.name}: {check.name}: {violation}")
