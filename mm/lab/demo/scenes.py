"""The scenes of the demonstration: fill, kill, recovery, and the state that follows.

What is shown is what the shipped commands print. Each scene also checks its facts.
"""

from __future__ import annotations

import time

from rich.console import Console
from rich.panel import Panel

from mm.lab.demo.market import CONFIG, PROCESSES, FactFailed, Market
from mm.store import take_snapshot

#: Time to read a scene on a terminal.
READING_S = 3.0


def play(market: Market, console: Console) -> None:
    """Play all scenes in their order; FactFailed when a fact does not hold."""
    scenes = Scenes(market, console)
    scenes.fill()
    scenes.state_dies()
    scenes.exchange_dies()
    scenes.server_dies()
    scenes.maker_dies()
    scenes.everything_dies()


class Scenes:
    """The scenes; each goes on from the state in which the one before it ended."""

    def __init__(self, market: Market, console: Console) -> None:
        self.market, self.console = market, console

    def scene(self, title: str, *story: str) -> None:
        """Show a heading and what is about to happen."""
        self.console.print()
        self.console.print(Panel(" ".join(story), title=title, title_align="left"))
        self.pause()

    def conclude(self, *story: str) -> None:
        """Show what happened, and why it is right."""
        self.console.print(f"[green]{' '.join(story)}[/]")
        self.pause()

    def pause(self) -> None:
        """Give time to read, on a terminal."""
        if self.console.is_terminal:
            time.sleep(READING_S)

    def check(self, fact: bool, what: str) -> None:
        """Raise FactFailed, unless the fact holds."""
        if not fact:
            raise FactFailed(f"this should hold and does not: {what}")

    def fill(self) -> None:
        """An order trades, its fill is committed, and a new quote follows."""
        market = self.market
        self.scene(
            "1. A fill",
            "A server, an exchange, a state service and a maker start in a throwaway directory.",
            "An order buys 5 from the maker.",
        )
        market.start(CONFIG)
        market.start_processes(*PROCESSES)
        market.wait("the first quote", lambda: market.quoted(0))
        market.mm("order", "AAPL", "buy", "5", "190", "--client-id", "you", "--order-id", "one")
        market.wait("a quote based on version 1", lambda: market.quoted(1))
        # A quote that was refreshed since is one of the last two, and the one that was hit is not.
        market.mm("explain", "--fill", "AAPL-1")
        self.check(market.aapl()[0].position.net_lots == -5, "the position is -5")
        self.conclude(
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
        self.conclude(
            "Nobody may quote from a position that lacks a fill: until AAPL-2 is committed,",
            "place.lua refuses every proposal (UNCOMMITTED_FILLS). What is active only shrinks or",
            "expires.",
        )
        market.start_processes("state")
        market.wait("version 2", lambda: market.quoted(2))
        market.mm("explain", "AAPL", "--last", "1")
        self.check(market.aapl()[0].position.net_lots == -2, "the position is -2")
        self.conclude(
            "A new state service went on after the cursor: AAPL-2 was applied, exactly once."
        )

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
        market.start_processes("exchange")
        market.wait("the fill", lambda: market.version() == 3)
        market.mm(*words)
        found, _ = market.aapl()
        self.check(found.fill_seq == 3, "the order traded once")
        self.check(found.position.net_lots == -6, "the position is -6")
        self.conclude(
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
        self.conclude(
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
        market.wait("its release", lambda: take_snapshot(market.scripts).exposure.bid_units == 0)
        market.mm("exposure")
        self.conclude(
            "The exchange ended the quote at its expiry and gave back both budgets in one step",
            "(expire.lua); every other process would have done it, too.",
        )
        market.start_processes("maker")
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
        market.start_processes(*PROCESSES)
        market.wait("a quote based on version 5", lambda: market.quoted(5))
        market.mm("explain", "AAPL", "--last", "1")
        self.check(market.aapl()[0].position.net_lots == -7, "the position is -7")
        market.mm("positions")
        market.mm("audit", "--quiescent")
        self.conclude(
            "Five orders, five fills, each applied once: -5 +3 -4 +2 -3 = -7. No process kept",
            "anything that the keys do not hold, so there was nothing to repair.",
        )
