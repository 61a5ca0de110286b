"""A throwaway system for a benchmark: a server with the shipped settings, and what is measured.

Automatic rewrites of the log are off unless asked for, since one would fall into one slice of a
comparison and not into its neighbour; everything else is as ``mm up`` starts it.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from mm.audit import audit
from mm.exchange import Exchange
from mm.host import DataDir, ManagedServer, Supervisor
from mm.lab.bench.figure import Result
from mm.market import Config, Durability, Prices, Proposal, Symbol
from mm.process import Process
from mm.state import StateService
from mm.store import Keys, Scripts, execute, open_client, text

REFERENCE_TICKS = 10_000
#: A day, so that quotes placed once last as long as a measurement without makers.
LONG_MS = 86_400_000
PATIENCE_S = 120.0


def symbols(count: int, size_lots: int) -> tuple[Symbol, ...]:
    """Symbols whose quotes are ``size_lots`` on each side and whose positions are not limited."""
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
        for number in range(count)
    )


def config(
    count: int,
    size_lots: int,
    ttl_ms: int = 30_000,
    window_ms: int = LONG_MS,
    durability: Durability = "always",
) -> Config:
    """A configuration whose exposure limit fits all quotes in full."""
    limit = 2 * count * size_lots
    return Config(
        durability=durability,
        symbols=symbols(count, size_lots),
        limit_units=limit,
        quote_ttl_ms=ttl_ms,
        dedup_window_ms=window_ms,
    )


@dataclass
class World:
    """One system: build with :meth:`start`, end with :meth:`close`, which audits it."""

    config: Config
    result: Result
    name: str
    server: ManagedServer
    directory: Path
    scripts: Scripts
    keys: Keys = field(default_factory=Keys)
    supervisor: Supervisor | None = None

    @classmethod
    def start(
        cls,
        result: Result,
        name: str,
        settings: Config,
        binary: Path | None = None,
        rewrites: bool = False,
    ) -> World:
        """A new system in a temporary directory, without processes."""
        directory = Path(tempfile.mkdtemp(prefix="mm-bench-"))
        data_dir = DataDir(directory / "data")
        data_dir.prepare()
        server = ManagedServer(data_dir, binary)
        try:
            server.start()
            client = open_client(server.url)
            if not rewrites:
                client.config_set("auto-aof-rewrite-percentage", 0)
            scripts = Scripts(client, Keys())
            scripts.setup(settings)
        except BaseException:
            server.stop()
            shutil.rmtree(directory, ignore_errors=True)
            raise
        return cls(settings, result, name, server, directory, scripts)

    @property
    def socket(self) -> Path:
        """The server's Unix socket."""
        return self.server.data_dir.socket

    @property
    def orders_key(self) -> str:
        """The stream of orders."""
        return self.keys.named("orders")

    def process(self, kind: type[Process]) -> Process:
        """A process object in this process, connected; the caller closes it."""
        made = kind(lambda: open_client(self.server.url), self.keys, "bench")
        made.open()
        return made

    def quote_all(self, size_lots: int) -> None:
        """Quote each symbol once, five ticks from the reference, as a maker would."""
        prices = Prices(REFERENCE_TICKS - 5, size_lots, REFERENCE_TICKS + 5, size_lots)
        names = [symbol.name for symbol in self.config.symbols]
        for start in range(0, len(names), 500):
            rows = self.scripts.survey(names[start : start + 500]).rows.values()
            self.scripts.place_many(
                [
                    Proposal(
                        row.symbol,
                        "bench",
                        "bootstrap",
                        row.position_version,
                        row.quote_version,
                        prices,
                    )
                    for row in rows
                ]
            )

    def start_processes(self, makers: int = 2) -> Supervisor:
        """Start exchange, state service and makers as ``mm up`` does, and wait for all quotes."""
        if self.supervisor is None:
            where = ["--data-dir", str(self.server.data_dir.path)]
            self.supervisor = Supervisor(self.server.data_dir.logs, "")
            self.supervisor.add("exchange-1", "exchange", "--id", "1", *where)
            self.supervisor.add("state-1", "state", "--id", "1", *where)
            for number in range(1, makers + 1):
                self.supervisor.add(f"maker-{number}", "maker", "--id", str(number), *where)
        self.wait(self.all_quoted, "every symbol to be quoted")
        return self.supervisor

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
        """Match the whole backlog with an exchange of this process; the seconds it took.

        Its steps follow each other at once: the pauses between them are for makers.
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
        """Commit all fills with a state service of this process; the seconds it took."""
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
        files = (self.server.data_dir.path / "appendonlydir").glob("*")
        return sum(file.stat().st_size for file in files)

    def kill_server(self) -> None:
        """Kill the server, as a crash would."""
        assert self.server.process is not None
        self.server.process.kill()
        self.server.process.wait()

    def stop_processes(self) -> None:
        """Stop the processes in order."""
        if self.supervisor is not None:
            self.supervisor.close()
            self.supervisor = None

    def close(self, audited: bool = True) -> None:
        """Stop the processes, audit unless told otherwise, stop the server, remove everything."""
        try:
            self.stop_processes()
            if audited:
                self._audit()
        finally:
            self.scripts.client.close()
            self.server.stop()
            shutil.rmtree(self.directory, ignore_errors=True)

    def _audit(self) -> None:
        found = audit(self.scripts, quiescent=True)
        self.result.audits += 1
        for check in found.checks:
            for violation in check.violations[:3]:
                self.result.problems.append(f"{self.name}: {check.name}: {violation}")


def close_all(worlds: Sequence[World], audited: bool = True) -> None:
    """Close every world, also when closing one fails."""
    for number, world in enumerate(worlds):
        try:
            world.close(audited)
        except BaseException:
            close_all(worlds[number + 1 :], False)
            raise
