"""The exchange: matches external orders against the active quotes, and ends expired ones."""

from __future__ import annotations

from typing import ClassVar

from mm.process import Process

#: Orders matched in one atomic step at most.
BATCH = 1_000
#: Pause after a step, for each order that it matched, and the longest. An exchange that never
#: pauses always has fills in flight, and makers never find a moment in which all fills of a symbol
#: are committed: nine in ten of their proposals are refused. The longest is what a commit, a survey
#: and the placements take. A single order costs the next one nothing.
REST_S_AN_ORDER, LONGEST_REST_S = 0.000_004, 0.003_5


class Exchange(Process):
    """Runs ``match.lua`` as orders arrive and ``expire.lua`` at each deadline.

    It keeps no state: its cursor here only says from where to wait, the one that counts is in
    the keys. Any number may run at once.
    """

    kind: ClassVar[str] = "exchange"
    _cursor = "0-0"
    _to_expiry_ms: int | None = None

    def step(self, wait_ms: int = 0) -> bool:
        """Match the next batch; wait for an order until ``wait_ms`` or the next expiry."""
        if self._to_expiry_ms is not None:
            wait_ms = min(wait_ms, max(self._to_expiry_ms, 1))
        done = self.scripts.match(BATCH, self._cursor, wait_ms)
        self._cursor = done.cursor
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
                self.release_expired()
                self._to_expiry_ms = None
        return done.more

    def rest_s(self, done: int, more: bool) -> float:
        """The moment that the state service and the makers need, longer after a larger step."""
        return min(done * REST_S_AN_ORDER, LONGEST_REST_S)
