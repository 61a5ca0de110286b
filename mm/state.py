"""The trading state service: applies each fill of the ledger to its position exactly once."""

from __future__ import annotations

from typing import ClassVar

from mm.process import Process

#: Fills applied in one atomic step at most.
BATCH = 1_000
#: Pause after having applied a few fills: those that come meanwhile are applied together, which
#: saves work. After many there is none: makers wait for the next commit, and the exchange pauses.
FEW, REST_AFTER_FEW_S = 50, 0.02


class State(Process):
    """Runs ``commit.lua`` as fills arrive. It keeps no state; any number may run at once."""

    kind: ClassVar[str] = "state"
    _cursor = "0-0"

    def step(self, wait_ms: int = 0) -> bool:
        """Commit the next fills, waiting up to ``wait_ms`` for one."""
        done = self.scripts.commit(BATCH, self._cursor, wait_ms)
        self._cursor = done.cursor
        self.count += done.fills
        if done.versions:
            versions = " ".join(f"{symbol}={version}" for symbol, version in done.versions.items())
            self.log.info("committed fills=%d cursor=%s %s", done.fills, done.cursor, versions)
        for symbol, why in done.halts.items():
            self.log.error("HALTED symbol=%s integrity error: %s", symbol, why)
        return done.more

    def rest_s(self, done: int, more: bool) -> float:
        """A moment for the next fills to gather, unless they have."""
        return REST_AFTER_FEW_S if 0 < done < FEW and not more else 0.0
