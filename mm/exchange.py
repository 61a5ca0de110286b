"""The exchange: matches external orders against active quotes, and ends expired quotes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, ClassVar

from mm.consumer import BLOCK_MS, CALLS, Consumer
from mm.order_lines import matched_orders
from mm.process import seconds_to_expiry
from mm.store import Matched, WaitingCalls

#: The most orders that one atomic step matches.
BATCH = 1_000
#: Pause after a step with many orders, per order that it matched, and the shortest and the longest
#: pause. Without pauses some fills of a symbol would always be uncommitted, and nine in ten
#: proposals of the makers were refused. The shortest pause is the time of a commit, a survey and
#: few placements, the longest that of many. A step with few orders delays the next by nothing.
REST_PER_ORDER_S, SHORTEST_REST_S, LONGEST_REST_S = 0.000_004, 0.001_8, 0.003_5
#: At most so many orders a reply are few: then calls wait in the server. After more of them none
#: waits, and this process decides when the next orders are matched.
FEW = 2


class Exchange(Consumer):
    """Runs ``match.lua`` as orders arrive and ``expire.lua`` at each expiry.

    When clients have inboxes, ``collect.lua`` runs before it and takes their orders. ``count``
    counts orders. Any number of exchanges may run at once.
    """

    kind: ClassVar[str] = "exchange"
    script: ClassVar[str] = "match"
    stream: ClassVar[str] = "orders"
    batch: ClassVar[int] = BATCH
    _clients: Sequence[str] = ()
    _calls_wanted = 1
    _expiry_s: float | None = None
    _due = False

    def announce(self) -> None:
        """Send the heartbeat, and look whose inboxes there are."""
        super().announce()
        clients = self.scripts.clients()
        if clients != self._clients:
            self.log.info("inboxes of %s", " ".join(clients) or "nobody")
            if self._calls is not None:
                # They wait for the inboxes of before.
                self._calls.close()
                self._calls = None
            self._clients = clients

    def start_calls(self) -> WaitingCalls:
        """New calls, of which none waits yet: for orders, and for those in the inboxes."""
        if not self._clients:
            return super().start_calls()
        streams = {self.keys.named(self.stream): "$"}
        # What has been taken from an inbox is deleted from it.
        streams |= {self.keys.member("inbox:*", client): "0-0" for client in self._clients}
        return self.scripts.waiting_calls(["collect", self.script], streams, BLOCK_MS, BATCH)

    def step(self, wait_ms: int = 0) -> bool:
        """Match the next orders; wait for one up to ``wait_ms``, but not past the next expiry."""
        before = self.count
        replies: list[list[Any]] = [[]]
        more, self._more = self._more, False
        if wait_ms > 0 and not more and (self._calls_wanted or self.waiting):
            if self._expiry_s is not None:
                to_expiry_ms = int(1000 * (self._expiry_s - time.monotonic()))
                wait_ms = min(wait_ms, max(to_expiry_ms, 1))
            replies = self.await_replies(wait_ms, self._calls_wanted)
        for reply in replies:
            self._take_turn(reply)
        self._choose_calls(self.count - before, len(replies))
        unheard = not replies and (self._expiry_s is None or self._expiry_s <= time.monotonic())
        if self._due or unheard:
            self.release_expired()
        return self._more

    def _take_turn(self, replies: Sequence[Any]) -> None:
        """Collect and match, or read the replies of a waiting call that did."""
        if not self._clients:
            self._record(self.scripts.match(BATCH, *replies))
            return
        if replies:
            taken = self.scripts.collect(BATCH, replies[0])
            matched = self.scripts.match(BATCH, replies[-1])
        else:
            taken, matched = self.scripts.collect_and_match(BATCH)
        # A server that had lost a script may have matched before it collected: then they wait.
        late = taken.orders > taken.refused and not matched.orders
        self._more = self._more or taken.more or late
        if taken.refused:
            self.done["foreign"] += taken.refused
        self._record(matched)

    def _choose_calls(self, orders: int, replies: int) -> None:
        """Many calls wait while orders are few, none while they are many, and one in between."""
        if orders > FEW * replies:
            self._calls_wanted = 0
        elif orders or not self._calls_wanted:
            self._calls_wanted = CALLS if self._calls_wanted else 1

    def _record(self, done: Matched) -> None:
        self._more = self._more or done.more
        self.count += done.orders
        if done.orders:
            self.done["orders"] += done.orders
            self.done["fills"] += done.fills
            self.done["duplicates"] += done.duplicates
            self.done["rejected"] += done.rejected
            self._detail(done)
        self._logged_to = done.cursor
        self._expect_expiry(seconds_to_expiry(done))

    def _detail(self, done: Matched) -> None:
        """Log the step, and what became of each of its orders."""
        self.detail(
            "matched",
            orders=done.orders,
            fills=done.fills,
            duplicates=done.duplicates,
            rejected=done.rejected,
            cursor=done.cursor,
        )
        self.detail_each("executed", matched_orders(self.scripts, self._logged_to, done))

    def release_expired(self) -> float | None:
        """Release and announce what is past its deadline, and note the next deadline."""
        seconds = super().release_expired()
        self._expect_expiry(seconds)
        return seconds

    def _expect_expiry(self, seconds: float | None) -> None:
        """Note the next deadline; it is due at once only by the clock of the server."""
        self._due = seconds is not None and seconds <= 0
        self._expiry_s = None if seconds is None else time.monotonic() + seconds

    def rest_s(self, done: int, more: bool) -> float:
        """The time that makers need after many orders; one in which replies gather after few."""
        if not self.waiting:
            if not done:
                return 0.0
            return min(max(done * REST_PER_ORDER_S, SHORTEST_REST_S), LONGEST_REST_S)
        return self.gather_s(done)
