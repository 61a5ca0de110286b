"""Keeps the managed server running: restarts it after it died, with backoff, for ever."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from mm.backoff import Backoff
from mm.errors import SystemRefused
from mm.host.logs import rotate
from mm.host.server import ManagedServer
from mm.host.supervise import FIRST_DELAY_S, LONGEST_DELAY_S

#: Longest time that one turn spends on a start. A server with much data takes many turns.
TURN_S = 0.2


class ServerNurse:
    """Restarts one managed server, which the caller has started and will stop.

    ``say`` gets a line for people at each death, at each failed start, and when it is back.
    ``restarts`` counts how often it has come back.
    """

    def __init__(
        self,
        server: ManagedServer,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.server = server
        self.restarts = 0
        self._say = say
        self._clock = clock
        self._backoff = Backoff(FIRST_DELAY_S, LONGEST_DELAY_S)
        self._due_at = 0.0
        self._died_at = 0.0
        self._steps: Iterator[float] | None = None

    def tick(self) -> None:
        """Restart the server if it is dead and due, or go on with its start, for ``TURN_S``.

        While it runs its log is rotated. A failed start is not an error: the next one is due after
        a delay.
        """
        if self._steps is None:
            if self.server.running:
                rotate(self.server.log)
                return
            if not self._backoff.attempts:
                self._died_at = self._clock()
                words = self.server.last_words()
                self._say(f"the server died{f' ({words})' if words else ''}, restarting it")
            elif self._clock() < self._due_at:
                return
            self._steps = self.server.start_steps()
        try:
            if not self._go_on(self._steps):
                return
        except (SystemRefused, OSError) as error:
            delay_s = self._backoff.failed()
            self._due_at = self._clock() + delay_s
            self._say(
                f"the server does not start, attempt {self._backoff.attempts + 1} in"
                f" {delay_s:.1f} s and so on for ever: {error}"
            )
        else:
            self._backoff.succeeded()
            self.restarts += 1
            self._say(f"the server is back after {self._clock() - self._died_at:.1f} s")
        self._steps = None

    def _go_on(self, steps: Iterator[float]) -> bool:
        """Take further steps of a start for ``TURN_S``; whether it is complete."""
        until = self._clock() + TURN_S
        for pause_s in steps:
            if self._clock() >= until:
                return False
            time.sleep(pause_s)
        return True
