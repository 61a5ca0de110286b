"""The pace of a replay that waits for quotes: the next trade is sent when they have answered.

A quote answers a fill when a maker has placed one from a position that includes it. Who paces
learns this from the public stream of quote events, and from how long a quote still lives. It reads
no position and no price.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

import redis

from mm.errors import UsageError
from mm.market import Config, Side, Symbol
from mm.orders.tape import Tape
from mm.orders.unanswered import Answer
from mm.store import Keys, execute, parse_events, text

#: Events that are read back to learn what stands when a replay begins or goes on.
LOOK_BACK = 1_000


def check_paced(tape: object, partitions: int = 1) -> None:
    """Raise UsageError when nothing can be paced: without a tape, or with so many partitions."""
    if tape is None:
        raise UsageError("--paced: it is for a tape, which --tape names")
    if partitions > 1:
        raise UsageError(
            f"--paced: the system has {partitions} partitions, and units of the limit move between"
            " them by the clock, so no replay is reproducible. Use a system with one."
        )


def pacing_doubts(config: Config, tape: Tape) -> list[str]:
    """Why two paced replays of the tape may differ although nothing fails, in words.

    The shipped quote rule quotes no higher than the highest price of the tape, or the reference,
    plus the lean and the spread.
    """
    doubts = []
    asked = sum(
        symbol.size_lots * config.lot_units(symbol, _highest_ticks(symbol, tape))
        for symbol in config.traded
    )
    if asked > config.limit_units:
        doubts.append(
            f"the quotes may ask for {asked} units of exposure at once and the limit is"
            f" {config.limit_units}: which symbol waits for it follows the clock"
        )
    guarded = [
        one.name for one in config.traded if one.protection_lots or one.protection_loss_ticks
    ]
    if guarded:
        doubts.append(f"the protection of {' '.join(guarded[:10])} counts within a window of time")
    return doubts


def _highest_ticks(symbol: Symbol, tape: Tape) -> int:
    prices = [trade.price for trade in tape.by_symbol.get(symbol.name, ())]
    highest = max([symbol.reference_ticks, *(int(price / symbol.tick) for price in prices)])
    return highest + symbol.skew_ticks + symbol.spread_ticks


class Pacing:
    """Knows whether the quotes have answered every fill so far; for one publisher.

    It waits for an answer for ``wait_s`` at most. Then ``say`` gets a line, and the replay goes on.
    A quote to which an order is sent must live for ``least_life_ms`` more, else its renewal is
    waited for: makers renew it in time.
    """

    least_life_ms = 1

    def __init__(self, keys: Keys, wait_s: float, say: Callable[[str], None]) -> None:
        self._exceptions = 0
        self._keys = keys
        self._stream = keys.named("quotes")
        self._wait_s = wait_s
        self._say = say
        self._cursor: str | None = None
        #: Symbol -> the number of its newest fill, and the one that its newest quote has answered.
        self._fills: dict[str, int] = {}
        self._answered: dict[str, int] = {}
        #: Symbol and side of the orders that the newest quotes take; symbols without any quote.
        self._standing: set[tuple[str, Side]] = set()
        self._omitted: set[str] = set()
        self._given_up: set[str] = set()
        self._until_s: float | None = None

    def note(self, answers: Iterable[Answer]) -> None:
        """Take note of the reports of orders."""
        for answer in answers:
            order, report = answer.order, answer.report
            if report.fill_id:
                self._fills[order.symbol] = int(report.fill_id.rpartition("-")[2])
            elif report.reason == "no_quote" and (order.symbol, order.side) in self._standing:
                self._except(f"order {order.order_id} found no quote, although one had stood")

    def is_answered(self, client: redis.Redis, symbol: str, wait_ms: int) -> bool:
        """Whether an order of the symbol may be sent: every fill is answered, its quote lasts.

        Waits up to ``wait_ms`` for a quote event. Also true once the wait has become too long.
        """
        lack = "" if self._cursor is None else self._lack(client, symbol)
        if lack or self._cursor is None or self._given_up:
            self._read(client, wait_ms if lack else 0)
            lack = self._lack(client, symbol)
        if not lack:
            self._until_s = None
            return True
        if self._until_s is None:
            self._until_s = time.monotonic() + self._wait_s
        if time.monotonic() < self._until_s:
            return False
        self._except(f"{lack} within {self._wait_s:g} s, and the replay goes on")
        self._given_up |= {symbol, *self._unanswered()}
        return True

    def begin(self, config: Config, tape: Tape) -> None:
        """Take the configuration up. UsageError when it cannot be paced; doubts are said."""
        check_paced(tape, config.partitions)
        self.least_life_ms = max(1, config.refresh_ms // 2)
        for doubt in pacing_doubts(config, tape):
            self._except(doubt)

    def verdict(self) -> str:
        """At the end: whether the replay was paced throughout."""
        if not self._exceptions:
            return "paced: every trade was sent after the quotes had answered the one before"
        times = f"{self._exceptions} time{'s' * (self._exceptions != 1)}"
        return f"paced: but {times} another replay may have gone another way, as said above"

    def _unanswered(self) -> list[str]:
        return [
            name
            for name, fill in self._fills.items()
            if self._answered.get(name, 0) < fill and name not in self._given_up
        ]

    def _lack(self, client: redis.Redis, symbol: str) -> str:
        """What is waited for, in words; empty text for nothing."""
        unanswered = self._unanswered()
        if unanswered:
            name = unanswered[0]
            return f"no quote has answered the fill {name}-{self._fills[name]}"
        if symbol in self._omitted or symbol in self._given_up:
            return ""
        left_ms = int(execute(client, "PTTL", self._keys.member("quote:*", symbol)))
        return "" if left_ms >= self.least_life_ms else f"{symbol} has had no quote"

    def _read(self, client: redis.Redis, wait_ms: int) -> None:
        """Read new events, after waiting up to ``wait_ms`` for one."""
        if self._cursor is None:
            entries = execute(client, "XREVRANGE", self._stream, "+", "-", "COUNT", LOOK_BACK)
            self._cursor = text(entries[0][0]) if entries else "0-0"
            self._take(reversed(entries))
            return
        block: tuple[str | int, ...] = ("BLOCK", wait_ms) if wait_ms > 0 else ()
        where = ("STREAMS", self._stream, self._cursor)
        for _, entries in execute(client, "XREAD", "COUNT", LOOK_BACK, *block, *where) or []:
            self._cursor = text(entries[-1][0])
            self._take(entries)

    def _take(self, entries: Iterable[tuple[bytes, Mapping[bytes, bytes]]]) -> None:
        for event in parse_events(entries):
            if not event.is_placement:
                continue
            self._given_up.discard(event.symbol)
            symbol = event.symbol
            self._answered[symbol] = event.position_version
            self._standing -= {(symbol, "buy"), (symbol, "sell")}
            self._omitted.discard(symbol)
            if event.outcome == "omitted":
                self._omitted.add(symbol)
            elif event.ask.lots:
                self._standing.add((symbol, "buy"))
            if event.bid.lots:
                self._standing.add((symbol, "sell"))

    def _except(self, words: str) -> None:
        self._exceptions += 1
        self._say(f"paced: {words}; another replay may give other trades")
