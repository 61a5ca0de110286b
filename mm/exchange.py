"""The exchange: matches external orders against the active quotes, and ends expired ones."""

from __future__ import annotations

import time
from typing import ClassVar

from mm.process import Process

#: Orders matched in one atomic step at most.
BATCH = 500
#: Pause between two full batches. Without it fills are always in flight under load, and makers
#: never find a moment in which all fills of a symbol are committed.
BREATH_S = 0.002


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

    def rest(self) -> None:
        """Give the state service and the makers their moment."""
        time.sleep(BREATH_S)
