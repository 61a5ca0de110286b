"""Keeps the managed server running: restarts it after it died, with backoff, for ever."""

from __future__ import annotations

import time
from collections.abc import Callable

from mm.backoff import Backoff
from mm.errors import SystemRefused
from mm.host.server import ManagedServer
from mm.host.supervise import FIRST_DELAY_S, LONGEST_DELAY_S


class ServerNurse:
    """Restarts one managed server, which the caller has started and will stop.

    ``say`` gets a line for people at each death, at each failed start, and when it is back.
    """

    def __init__(
        self,
        server: ManagedServer,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.server = server
        self._say = say
        self._clock = clock
        self._backoff = Backoff(FIRST_DELAY_S, LONGEST_DELAY_S)
        self._due_at = self._died_at = 0.0

    def tick(self) -> None:
        """Restart the server if it is dead and due; returns once it serves or has failed.

        A failed start is not an error: the next one is due after a delay.
        """
        if self.server.running:
            return
        if not self._backoff.attempts:
            words = self.server.last_words()
            self._say(f"the server died{f' ({words})' if words else ''}, restarting it")
            self._died_at = self._clock()
        elif self._clock() < self._due_at:
            return
        try:
            self.server.start()
        except SystemRefused as error:
            delay_s = self._backoff.failed()
            self._due_at = self._clock() + delay_s
            self._say(
                f"the server does not start, attempt {self._backoff.attempts + 1} in"
                f" {delay_s:.1f} s and so on for ever: {error}"
            )
        else:
            self._backoff.succeeded()
            self._say(f"the server is back after {self._clock() - self._died_at:.1f} s")
