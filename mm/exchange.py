"""The exchange: matches external orders against active quotes, and ends expired quotes."""

from __future__ import annotations

from typing import ClassVar

from mm.process import Consumer
from mm.store import Matched

#: The most orders that one atomic step matches.
BATCH = 1_000
#: Pause after a step, per order that it matched, and the longest pause. Without pauses some fills
#: of a symbol would always be uncommitted, and nine in ten proposals of the makers were refused.
#: The longest pause is the time of a commit, a survey and the placements. A step with one order
#: delays the next order by nothing.
REST_PER_ORDER_S, LONGEST_REST_S = 0.000_004, 0.003_5
#: After a step with at most this many orders the next two calls wait in the server. After a larger
#: step the next call is sent when the reply has been read and the pause is over.
FEW = 1


class Exchange(Consumer):
    """Runs ``match.lua`` as orders arrive and ``expire.lua`` at each expiry.

    ``count`` counts orders. Any number of exchanges may run at once.
    """

    kind: ClassVar[str] = "exchange"
    script: ClassVar[str] = "match"
    stream: ClassVar[str] = "orders"
    batch: ClassVar[int] = BATCH
    _to_expiry_ms: int | None = None
    _few = True

    def step(self, wait_ms: int = 0) -> bool:
        """Match the next orders; wait for one up to ``wait_ms``, but not past the next expiry."""
        if wait_ms <= 0 or self._more:
            self._record(self.scripts.match(BATCH))
            return self._more
        if self._to_expiry_ms is not None:
            wait_ms = min(wait_ms, max(self._to_expiry_ms, 1))
        replies = self.await_replies(wait_ms, second=self._few)
        before = self.count
        for reply in replies:
            self._record(self.scripts.match(BATCH, reply))
        self._few = self.count - before <= FEW
        if not replies:
            self._release_due()
        return self._more

    def _record(self, done: Matched) -> None:
        self._cursor, self._more = done.cursor, done.more
        self.count += done.orders
        if done.orders:
            self.done["orders"] += done.orders
            self.done["fills"] += done.fills
            self.done["duplicates"] += done.duplicates
            self.done["rejected"] += done.rejected
            self.log.debug(
                "matched orders=%d fills=%d duplicates=%d rejected=%d cursor=%s",
                done.orders,
                done.fills,
                done.duplicates,
                done.rejected,
                done.cursor,
            )
        self._to_expiry_ms = None
        if done.next_expiry_ms:
            self._to_expiry_ms = done.next_expiry_ms - done.now_ms
            if self._to_expiry_ms <= 0:
                self._release_due()

    def _release_due(self) -> None:
        self._to_expiry_ms = None
        self.release_expired()

    def rest_s(self, done: int, more: bool) -> float:
        """The time that the state service and the makers need; longer after a larger step."""
        return 0.0 if self.waiting else min(done * REST_PER_ORDER_S, LONGEST_REST_S)
