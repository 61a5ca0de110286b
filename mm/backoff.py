"""How long to wait before an attempt is repeated: the one backoff of the program."""

from __future__ import annotations


class Backoff:
    """Delays in seconds between attempts: each is twice the last one, up to ``longest_s``.

    It never gives up: the caller repeats for ever, and says so. It has no clock: the caller waits.
    ``attempts`` counts the delays since the last success.
    """

    def __init__(self, first_s: float, longest_s: float) -> None:
        self.attempts = 0
        self._first_s = first_s
        self._longest_s = longest_s
        self._next_s = first_s

    def failed(self) -> float:
        """Count a failed attempt; the seconds to wait before the next one."""
        delay_s = self._next_s
        self.attempts += 1
        self._next_s = min(2 * delay_s, self._longest_s)
        return delay_s

    def succeeded(self) -> None:
        """Start again with the first delay."""
        self.attempts = 0
        self._next_s = self._first_s
