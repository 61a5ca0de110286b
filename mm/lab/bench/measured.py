"""What the sections of the benchmark do with a system, or with one partition of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mm.audit import audit
from mm.exchange import Exchange
from mm.host import DataDir
from mm.lab.bench.figure import Result
from mm.market import Config, Prices, Proposal
from mm.process import Process
from mm.state import StateService
from mm.store import Keys, Scripts, execute, open_client, require_config, text

REFERENCE_TICKS = 10_000
PATIENCE_S = 120.0
_CONSUMERS = ("exchange", "state")


def audit_at_end(scripts: Scripts, result: Result, name: str) -> None:
    """Audit a system at rest; violations become problems of the result."""
    found = audit(scripts, quiescent=True)
    result.audits += 1
    for check in found.checks:
        for violation in check.violations[:3]:
            result.problems.append(f"{name}: {check.name}: {violation}")


class Measured:
    """A system under measurement: its keys, its server's socket, and its makers' names.

    ``result`` gets what goes wrong, under ``name``.
    """

    keys: Keys
    scripts: Scripts
    config: Config
    data_dir: DataDir
    result: Result
    name: str

    @property
    def socket(self) -> Path:
        """The Unix socket of the server that has the keys."""
        return self.data_dir.socket

    @property
    def makers(self) -> Sequence[str]:
        """The names of the makers."""
        raise NotImplementedError

    @property
    def orders_key(self) -> str:
        """The stream of orders."""
        return self.keys.named("orders")

    def process(self, kind: type[Process]) -> Process:
        """A process of this kind inside this one, connected; the caller closes it."""
        process = kind(
            lambda: open_client(self.data_dir.url, tag=self.keys.prefix), self.keys, "bench"
        )
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

    def drained(self) -> bool:
        """Whether every order is matched and every fill committed."""
        found = execute(self.scripts.client, "HMGET", self.keys.named("cursors"), *_CONSUMERS)
        ends = [self.end_of(self.keys.named(stream)) for stream in ("orders", "fills")]
        return [text(one or b"0-0") for one in found] == ends

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


class Part(Measured):
    """One partition of a running system in a data directory, with a connection of its own.

    ``makers`` are those of the partition.
    """

    def __init__(self, data_dir: DataDir, keys: Keys, result: Result, name: str) -> None:
        self.data_dir = data_dir
        self.keys = keys
        self.result = result
        self.name = name
        self.scripts = Scripts(open_client(data_dir.url, tag=keys.prefix), keys)
        self.config = require_config(self.scripts)

    @property
    def socket(self) -> Path:
        """The socket of the node that has the partition now."""
        connection: Any = self.scripts.client.connection_pool.get_connection()
        path = Path(connection.path)
        self.scripts.client.connection_pool.release(connection)
        return path

    @property
    def makers(self) -> Sequence[str]:
        """The names of the makers that have a heartbeat."""
        found = execute(self.scripts.client, "ZRANGE", self.keys.named("processes"), 0, -1)
        return [name for name in map(text, found) if name.startswith("maker")]

    def close(self) -> None:
        """Drop the connection."""
        self.scripts.client.close()
