"""How far a replay is: the time of the tape, per cent of its trades, and the time left."""

from __future__ import annotations

import time
from collections.abc import Callable

import redis

from mm.instant import timestamp
from mm.orders.resume import order_number
from mm.orders.tape import LAST_OWN_MS
from mm.store import Keys, execute, text


def answered_lately(
    client: redis.Redis, keys: Keys, client_id: str, run_id: str, entries: int = 1
) -> int:
    """The highest order number of the run in the client's newest report entries; 0 without."""
    stream = keys.member("reports:*", client_id)
    newest = execute(client, "XREVRANGE", stream, "+", "-", "COUNT", entries)
    found = [order_number(run_id, text(order_id)) for _, ids in newest for order_id in ids]
    return max(found, default=0)


class ReplayProgress:
    """Says how far a replay of ``trades`` trades up to ``last_ms`` is.

    ``speed`` is 0 when the pace is not that of the tape: flat out, or paced by the quotes. Then the
    time left follows from the trades since the first look.
    """

    def __init__(
        self, trades: int, last_ms: int, speed: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._trades, self._last_ms, self._speed = trades, last_ms, speed
        self._clock = clock
        self._first: tuple[float, int] | None = None

    def words(self, done: int, tape_ms: int) -> str:
        """The progress after ``done`` trades, the newest of which was at ``tape_ms``."""
        if not done:
            return "tape not begun"
        now = self._clock()
        if self._first is None:
            self._first = (now, done)
        at = timestamp(tape_ms) if tape_ms > LAST_OWN_MS else f"{tape_ms / 1000:.1f} s"
        parts = [f"tape {at}", f"{100 * done // self._trades} %"]
        left_s = self._left_s(now, done, tape_ms)
        if done >= self._trades:
            parts.append("at its end")
        elif left_s is not None:
            parts.append(f"{_span(left_s)} left")
        return ", ".join(parts)

    def _left_s(self, now: float, done: int, tape_ms: int) -> float | None:
        if self._speed:
            return (self._last_ms - tape_ms) / 1000 / self._speed
        assert self._first is not None
        began, before = self._first
        if done == before:
            return None
        return (self._trades - done) * (now - began) / (done - before)


def _span(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6_000 else f"{seconds / 3_600:.0f} h"
