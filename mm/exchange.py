"""The exchange: matches external orders against the active quotes, and ends expired ones."""

from __future__ import annotations

from typing import ClassVar

from mm.process import Consumer
from mm.store import Matched

#: Orders matched in one atomic step at most.
BATCH = 1_000
#: Pause after a step, for each order that it matched, and the longest. An exchange that never
#: pauses always has fills in flight, and makers never find a moment in which all fills of a symbol
#: are committed: nine in ten of their proposals are refused. The longest is what a commit, a survey
#: and the placements take. A single order costs the next one nothing.
REST_S_AN_ORDER, LONGEST_REST_S = 0.000_004, 0.003_5
#: After a step with so few orders the next two calls wait in the server; after a larger one a
#: call is sent only when its reply has been read and the pause is over.
FEW = 1


class Exchange(Consumer):
    """Runs ``match.lua`` as orders arrive and ``expire.lua`` at each deadline.

    Any number may run at once.
    """

    kind: ClassVar[str] = "exchange"
    script: ClassVar[str] = "match"
    stream: ClassVar[str] = "orders"
    batch: ClassVar[int] = BATCH
    _to_expiry_ms: int | None = None
    _few = True

    def step(self, wait_ms: int = 0) -> bool:
        """Match the next batch; wait for an order until ``wait_ms`` or the next expiry."""
        if wait_ms <= 0 or self._more:
            self._note(self.scripts.match(BATCH))
            return self._more
        if self._to_expiry_ms is not None:
            wait_ms = min(wait_ms, max(self._to_expiry_ms, 1))
        replies = self.await_replies(wait_ms, second=self._few)
        before = self.count
        for reply in replies:
            self._note(self.scripts.match(BATCH, reply))
        self._few = self.count - before <= FEW
        if not replies:
            self._end_expired()
        return self._more

    def _note(self, done: Matched) -> None:
        self._cursor, self._more = done.cursor, done.more
        self.count += done.orders
        if done.orders:
            self.log.info(
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
                self._end_expired()

    def _end_expired(self) -> None:
        self._to_expiry_ms = None
        self.release_expired()

    def rest_s(self, done: int, more: bool) -> float:
        """The moment that the state service and the makers need, longer after a larger step."""
        return 0.0 if self.waiting else min(done * REST_S_AN_ORDER, LONGEST_REST_S)
