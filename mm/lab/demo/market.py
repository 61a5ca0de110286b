"""The market of the demonstration: a server and three processes, each of which can be killed."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from decimal import Decimal

from redis.exceptions import RedisError
from rich.console import Console

from mm.audit import audit
from mm.errors import MMError
from mm.host import ManagedServer, ThrowawaySystem, module_command, module_environment
from mm.market import Config, Symbol
from mm.store import SymbolState, take_snapshot

PROCESSES = ("exchange", "state", "maker")
#: The names that people use for processes, where they differ.
SPOKEN = {"state": "state service"}
CONFIG = Config(
    limit_units=20,
    quote_ttl_ms=8_000,
    refresh_ms=4_000,
    symbols=(
        Symbol(
            name="AAPL",
            tick=Decimal("0.01"),
            lot=Decimal(1),
            reference_ticks=18_750,
            spread_ticks=4,
            size_lots=13,
            skew_ticks=12,
            position_limit_lots=100,
        ),
    ),
)
#: The longest wait for anything; the machine may be busy.
PATIENCE_S = 40.0


class FactFailed(Exception):
    """A fact that should hold does not."""


class Market(ThrowawaySystem[ManagedServer]):
    """A throwaway system with one symbol; what it starts, kills and runs is shown."""

    def __init__(self, console: Console) -> None:
        super().__init__(ManagedServer, "mm-demo-")
        self.console = console

    def start_processes(self, *kinds: str) -> None:
        """Start a process of each kind."""
        for kind in kinds:
            self.supervisor.add(kind, kind, "--data-dir", str(self.data_dir.path))
            self.console.print(f"[dim]started {kind}, pid {self._process(kind).pid}[/]")

    def kill(self, kind: str) -> None:
        """Kill a process, or the server, with -9."""
        process = self._process(kind)
        self.console.print(
            f"[bold red]$ kill -9 {process.pid}[/]   [dim]# the {SPOKEN.get(kind, kind)}[/]"
        )
        process.kill()
        process.wait()

    def _process(self, kind: str) -> subprocess.Popen[bytes]:
        child = self.supervisor.children.get(kind)
        process = self.server.process if child is None else child.process
        assert process is not None
        return process

    def aapl(self) -> tuple[SymbolState, int]:
        """The symbol, and whether an order waits for the exchange (0 or 1)."""
        found = take_snapshot(self.scripts)
        return found.symbols["AAPL"], int(found.lag_ms["exchange"] > 0)

    def version(self) -> int:
        """The committed position version."""
        return self.aapl()[0].position.position_version

    def quoted(self, version: int) -> bool:
        """Whether a live quote is based on this position version."""
        quote = self.aapl()[0].quote
        return quote is not None and quote.position_version == version

    def clean(self) -> bool:
        """Whether the audit finds no violation."""
        return audit(self.scripts).ok

    def wait(self, what: str, condition: Callable[[], bool]) -> None:
        """Wait until the condition holds; FactFailed when it does not in time."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            try:
                if condition():
                    return
            except (RedisError, MMError, OSError):
                pass
            time.sleep(0.02)
        raise FactFailed(f"waited {PATIENCE_S:.0f} s in vain for: {what}")

    def mm(self, *words: str) -> None:
        """Run a command on this terminal and show it; FactFailed when its status is not 0."""
        process = self.begin(*words)
        if process.wait(PATIENCE_S) != 0:
            raise FactFailed(f"mm {' '.join(words)} ended with {process.returncode}")

    def begin(self, *words: str) -> subprocess.Popen[bytes]:
        """Start a command on this terminal and show it."""
        self.console.print(f"[bold]$ mm {' '.join(words)}[/]")
        command = [*module_command("mm"), *words, "--data-dir", str(self.data_dir.path)]
        return subprocess.Popen(command, env=module_environment())
