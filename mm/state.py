"""The trading state service: applies each fill of the ledger to its position exactly once."""

from __future__ import annotations

from typing import ClassVar

from mm.consumer import CALLS, Consumer
from mm.order_lines import AnsweringQuotes, committed_fills
from mm.store import Committed, Scripts

#: The most fills that one atomic step applies.
BATCH = 1_000


class StateService(Consumer):
    """Runs ``commit.lua`` as fills arrive.

    ``count`` counts fills. Any number of state services may run at once.
    """

    kind: ClassVar[str] = "state"
    script: ClassVar[str] = "commit"
    stream: ClassVar[str] = "fills"
    batch: ClassVar[int] = BATCH
    _answers: AnsweringQuotes

    def attach(self, scripts: Scripts) -> None:
        """Use these scripts from now on; fills that wait for their quotes are followed no more."""
        super().attach(scripts)
        self._answers = AnsweringQuotes(scripts)

    def step(self, wait_ms: int = 0) -> bool:
        """Commit the next fills; wait up to ``wait_ms`` for one."""
        if wait_ms <= 0 or self._more:
            self._more = False
            self._record(self.scripts.commit(BATCH))
        else:
            for (reply,) in self.await_replies(wait_ms, CALLS):
                self._record(self.scripts.commit(BATCH, reply))
        self.detail_each("answered", self._answers.found())
        return self._more

    def _record(self, done: Committed) -> None:
        self._more = self._more or done.more
        self.count += done.fills
        if done.versions:
            self.done["fills"] += done.fills
            self.detail("committed", fills=done.fills, cursor=done.cursor)
            fills = committed_fills(self.scripts, self._logged_to, done)
            self.detail_each("applied", self._answers.expect(fills, done.now_ms))
        self._logged_to = done.cursor
        for symbol, why in done.halts.items():
            self.log.error("HALTED symbol=%s integrity error: %s", symbol, why)

    def rest_s(self, done: int, more: bool) -> float:
        """A time in which replies gather, unless more fills are ready."""
        return 0.0 if more else self.gather_s(done)
