"""The first quotes of a market, which a replay waits for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import redis

from mm.store import Keys, execute

#: Symbols that a line names; the others are counted.
MAX_NAMED = 10


class FirstQuotes:
    """Waits until each symbol has had a quote, or for ``wait_s``; ``say`` gets a line for people.

    The wait begins with the first call of :meth:`are_there`.
    """

    def __init__(self, symbols: Iterable[str], wait_s: float, say: Callable[[str], None]) -> None:
        self._missing = list(symbols)
        self._wait_s = wait_s
        self._say = say
        self._until_s: float | None = None

    def are_there(self, client: redis.Redis, keys: Keys) -> bool:
        """Whether the wait is over: each symbol has had a quote, or it has become too long."""
        waited = bool(self._missing)
        self._missing = [
            name
            for name in self._missing
            if not execute(client, "EXISTS", keys.member("quote:*", name))
        ]
        if self._until_s is None:
            self._until_s = time.monotonic() + self._wait_s
            if self._missing:
                self._say(f"the tape waits for a first quote of {self._named()}")
        if not self._missing:
            if waited:
                self._say("every symbol of the tape has had a quote: it begins")
            return True
        if time.monotonic() < self._until_s:
            return False
        self._say(f"no quote of {self._named()} within {self._wait_s:g} s: the tape begins anyway")
        return True

    def _named(self) -> str:
        more = len(self._missing) - MAX_NAMED
        return " ".join(self._missing[:MAX_NAMED]) + (f" and {more} more" if more > 0 else "")
