"""The most telling failures on a throwaway market: fill, kill, recovery, and what the state is.

What is shown is what the shipped commands print. Each scene also checks its facts: exit status 1
when one of them does not hold.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import click
from redis.exceptions import RedisError
from rich.console import Console
from rich.panel import Panel

from mm.audit import audit
from mm.errors import MMError
from mm.host import LEASH_FD, LEASH_SERVER, DataDir, ManagedServer
from mm.store import Keys, Scripts, SymbolState, open_client, take_snapshot

MM = [sys.executable, "-m", "mm"]
PROCESSES = ("exchange", "state", "maker")
#: What people call them.
SPOKEN = {"state": "state service"}
CONFIG = """\
[market]
limit_units = 20
quote_ttl_ms = 8000
refresh_ms = 4000

[[symbol]]
name = "AAPL"
tick = "0.01"
lot = "1"
reference = "187.50"
spread_ticks = 4
size_lots = 13
skew_ticks = 12
position_limit_lots = 100
"""
#: Longest wait for anything; the machine may be busy.
PATIENCE_S = 40.0
#: Time to read a scene on a terminal.
READING_S = 3.0


class Failed(Exception):
    """A fact that should hold does not."""


class Market:
    """A server and three processes in a throwaway directory, each of which can be killed."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.data = DataDir(Path(tempfile.mkdtemp(prefix="mm-demo-")))
        self.data.prepare()
        self.config = self.data.path / "demo.toml"
        self.config.write_text(CONFIG, encoding="utf-8")
        self.server = ManagedServer(self.data)
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        # Should this program be killed itself, its end of the pipe closes and they all end.
        self._leash, self._hold = os.pipe()
        environment = {LEASH_FD: str(self._leash), LEASH_SERVER: self.data.url}
        self._environment = os.environ | environment

    def start(self, *kinds: str) -> None:
        """Start a process of each kind, in a session of its own: Ctrl-C is for this program."""
        for kind in kinds:
            with (self.data.logs / f"{kind}.out").open("ab") as out:
                self.running[kind] = subprocess.Popen(
                    [*MM, kind, "--config", self.config, "--data-dir", self.data.path],
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=out,
                    env=self._environment,
                    pass_fds=(self._leash,),
                    start_new_session=True,
                )
            self.console.print(f"[dim]started {kind}, pid {self.running[kind].pid}[/]")

    def kill(self, kind: str) -> None:
        """Kill a process, or the server, with -9."""
        process = self.server.process if kind == "server" else self.running.pop(kind)
        assert process is not None
        self.console.print(
            f"[bold red]$ kill -9 {process.pid}[/]   [dim]# the {SPOKEN.get(kind, kind)}[/]"
        )
        process.kill()
        process.wait()

    def close(self) -> None:
        """End everything and remove the directory."""
        for process in self.running.values():
            process.terminate()
        for process in self.running.values():
            try:
                process.wait(8)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.server.stop()
        os.close(self._hold)
        os.close(self._leash)
        shutil.rmtree(self.data.path, ignore_errors=True)

    def scripts(self) -> Scripts:
        """The scripts on a connection of their own."""
        return Scripts(open_client(self.data.url), Keys())

    def aapl(self) -> tuple[SymbolState, int]:
        """The symbol, and the orders that wait for the exchange (0 or 1)."""
        found = take_snapshot(self.scripts())
        return found.symbols["AAPL"], int(found.lag_ms["exchange"] > 0)

    def version(self) -> int:
        """The committed position version."""
        return self.aapl()[0].position.position_version

    def quoted(self, version: int) -> bool:
        """Whether a live quote stands that is based on this position version."""
        quote = self.aapl()[0].quote
        return quote is not None and quote.position_version == version

    def clean(self) -> bool:
        """Whether the audit finds no violation."""
        return audit(self.scripts()).ok

    def wait(self, what: str, condition: Callable[[], bool]) -> None:
        """Wait until it holds; Failed when it does not come."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            try:
                if condition():
                    return
            except (RedisError, MMError, OSError):
                pass
            time.sleep(0.02)
        raise Failed(f"waited {PATIENCE_S:.0f} s in vain for: {what}")

    def mm(self, *words: str, status: int = 0) -> None:
        """Run a command on this terminal and show it; Failed on another exit status."""
        process = self.begin(*words)
        if process.wait(PATIENCE_S) != status:
            raise Failed(f"mm {' '.join(words)} ended with {process.returncode}")

    def begin(self, *words: str) -> subprocess.Popen[bytes]:
        """Start a command on this terminal."""
        self.console.print(f"[bold]$ mm {' '.join(words)}[/]")
        return subprocess.Popen([*MM, *words, "--data-dir", self.data.path])


class Demo:
    """The scenes, in their order."""

    def __init__(self, market: Market, console: Console) -> None:
        self.market, self.console = market, console

    def scene(self, title: str, *story: str) -> None:
        """A heading and what is about to happen."""
        self.console.print()
        self.console.print(Panel(" ".join(story), title=title, title_align="left"))
        self.pause()

    def so(self, *story: str) -> None:
        """What has been seen, and why it is right."""
        self.console.print(f"[green]{' '.join(story)}[/]")
        self.pause()

    def pause(self) -> None:
        """Time to read, on a terminal."""
        if self.console.is_terminal:
            time.sleep(READING_S)

    def check(self, fact: bool, what: str) -> None:
        """Failed, unless the fact holds."""
        if not fact:
            raise Failed(f"this should hold and does not: {what}")

    def play(self) -> None:
        """All scenes."""
        self.fill()
        self.state_dies()
        self.exchange_dies()
        self.server_dies()
        self.maker_dies()
        self.everything_dies()

    def fill(self) -> None:
        """An order trades, its fill is committed, and a new quote follows."""
        market = self.market
        self.scene(
            "1. A fill",
            "A server, an exchange, a state service and a maker start in a throwaway directory.",
            "An order buys 5 from the maker.",
        )
        market.server.start()
        market.start(*PROCESSES)
        market.wait("the first quote", lambda: market.quoted(0))
        market.mm("order", "AAPL", "buy", "5", "190", "--client-id", "you", "--order-id", "one")
        market.wait("a quote based on version 1", lambda: market.quoted(1))
        market.mm("explain", "AAPL", "--last", "2")
        self.check(market.aapl()[0].position.net_lots == -5, "the position is -5")
        self.so(
            "Order, fill AAPL-1, position version 1, and the quote computed from version 1:",
            "each step names the one before it.",
        )

    def state_dies(self) -> None:
        """The state service dies between a fill and its record."""
        market = self.market
        self.scene(
            "2. The state service dies between a fill and its record",
            "It is killed, then an order sells 3. The fill is on the ledger, the position knows",
            "nothing of it yet.",
        )
        market.kill("state")
        market.mm("order", "AAPL", "sell", "3", "180", "--client-id", "you", "--order-id", "two")
        market.mm("explain", "AAPL", "--last", "1")
        found, _ = market.aapl()
        self.check(found.fill_seq == 2, "the ledger holds 2 fills")
        self.check(found.position.position_version == 1, "the position is at version 1")
        self.check(market.clean(), "the audit is clean although a fill is not committed")
        self.so(
            "Nobody may quote from a position that lacks a fill: until AAPL-2 is committed,",
            "place.lua refuses every proposal (UNCOMMITTED_FILLS). What is active only shrinks or",
            "expires.",
        )
        market.start("state")
        market.wait("version 2", lambda: market.quoted(2))
        market.mm("explain", "AAPL", "--last", "1")
        self.check(market.aapl()[0].position.net_lots == -2, "the position is -2")
        self.so("A new state service went on after the cursor: AAPL-2 was applied, exactly once.")

    def exchange_dies(self) -> None:
        """The exchange is dead when an order comes, and its sender dies waiting."""
        market = self.market
        self.scene(
            "3. The exchange dies before an order, and the sender before its answer",
            "With the exchange dead an order is sent. Its sender is killed too, starts again, and",
            "sends the same order id, since it cannot know what became of the first.",
        )
        market.kill("exchange")
        words = ("order", "AAPL", "buy", "4", "190", "--client-id", "you", "--order-id", "three")
        sender = market.begin(*words)
        market.wait("the order to be on the stream", lambda: market.aapl()[1] == 1)
        self.console.print(f"[bold red]$ kill -9 {sender.pid}[/]   [dim]# the sender[/]")
        sender.kill()
        sender.wait()
        market.start("exchange")
        market.wait("the fill", lambda: market.version() == 3)
        market.mm(*words)
        found, _ = market.aapl()
        self.check(found.fill_seq == 3, "the order traded once")
        self.check(found.position.net_lots == -6, "the position is -6")
        self.so(
            "The order waited on the stream and was filled by the next exchange. Sent again it got",
            "its first outcome, marked duplicate: there is one fill AAPL-3.",
        )

    def server_dies(self) -> None:
        """The server is killed right after it acknowledged a fill."""
        market = self.market
        self.scene(
            "4. The server dies right after an answer",
            "An order is answered, and at once the server is killed with -9. It starts again on",
            "what is on its disk.",
        )
        market.wait("a quote based on version 3", lambda: market.quoted(3))
        words = ("order", "AAPL", "sell", "2", "180", "--client-id", "you", "--order-id", "four")
        market.mm(*words)
        market.kill("server")
        market.server.start()
        self.console.print(
            "[dim]the server is back; the processes have been trying all the time[/]"
        )
        market.mm(*words)
        market.wait("a quote based on version 4", lambda: market.quoted(4))
        market.mm("explain", "AAPL", "--last", "1")
        self.check(market.aapl()[0].position.net_lots == -4, "the position is -4")
        self.so(
            "The answer was given only after the fill was on disk (appendfsync always), so that",
            "sending it again finds the same fill AAPL-4, and the position holds it once.",
        )

    def maker_dies(self) -> None:
        """The maker dies with a quote active."""
        market = self.market
        self.scene(
            "5. The maker dies and leaves a quote",
            "Nobody refreshes the quote. It lives 8 s at most, and then nothing may stay reserved",
            "for it.",
        )
        market.kill("maker")
        market.mm("exposure")
        market.wait("the end of the quote", lambda: not market.quoted(4))
        market.wait("its release", lambda: take_snapshot(market.scripts()).exposure.bid_units == 0)
        market.mm("exposure")
        self.so(
            "The exchange ended the quote at its expiry and gave back both budgets in one step",
            "(expire.lua); every other process would have done it, too.",
        )
        market.start("maker")
        market.wait("a new quote", lambda: market.quoted(4))
        market.mm("explain", "AAPL", "--last", "2")

    def everything_dies(self) -> None:
        """Everything dies at once, with a fill that is not committed."""
        market = self.market
        self.scene(
            "6. Everything dies at once",
            "One more fill, then all processes and the server are killed, and started again.",
        )
        market.kill("state")
        market.mm("order", "AAPL", "buy", "3", "190", "--client-id", "you", "--order-id", "five")
        for kind in ("exchange", "maker", "server"):
            market.kill(kind)
        market.server.start()
        market.start(*PROCESSES)
        market.wait("a quote based on version 5", lambda: market.quoted(5))
        market.mm("explain", "AAPL", "--last", "1")
        self.check(market.aapl()[0].position.net_lots == -7, "the position is -7")
        market.mm("positions")
        market.mm("audit", "--quiescent")
        self.so(
            "Five orders, five fills, each applied once: -5 +3 -4 +2 -3 = -7. No process kept",
            "anything that the keys do not hold, so there was nothing to repair.",
        )


@contextmanager
def interrupted_by_signals() -> Iterator[None]:
    """SIGTERM ends this program as Ctrl-C does: in order.

    SIGINT is set too: a shell starts its background jobs with it ignored.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@click.command()
def main() -> None:
    """Play the most telling failures on a throwaway market; exit status 1 if a fact fails."""
    console = Console(highlight=False)
    status = 0
    with interrupted_by_signals():
        market = Market(console)
        try:
            Demo(market, console).play()
            console.print("\n[bold green]All facts held. Nothing is left behind.[/]")
        except (Failed, MMError, RedisError, OSError, subprocess.TimeoutExpired) as error:
            console.print(f"[bold red]{error}[/]", markup=True)
            status = 1
        except KeyboardInterrupt:
            console.print("\ninterrupted: ending everything")
            status = 130
        finally:
            market.close()
    sys.exit(status)


if __name__ == "__main__":
    main()
