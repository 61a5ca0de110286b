"""The balancer: moves units of the global limit to the partitions where symbols wait for them.

It keeps nothing that counts: all is in the treasury and in the leases, which only grow. So any
number of balancers may run, each may be killed at any instant, and without one the partitions trade
on within their leases.
"""

from __future__ import annotations

import time
from typing import ClassVar

from redis.exceptions import RedisError

from mm.errors import SystemRefused, Unavailable
from mm.market import Lease, Moves, balance
from mm.process import Process
from mm.store import Scripts, partitions_of, trouble_of

#: Seconds from one round to the next, and to the one that delivers what was granted.
ROUND_S, DELIVERY_S = 0.1, 0.005


class Balancer(Process):
    """Looks at every partition, then at the treasury, and moves what a partition lacks.

    With replicas it copies only what they have too: what a failover could undo is no news yet.

    ``count`` counts the units granted. A partition that does not answer keeps its lease, and gets
    nothing until it answers again.
    """

    kind: ClassVar[str] = "balancer"
    serves_all: ClassVar[bool] = True

    def attach(self, scripts: Scripts) -> None:
        """Use these scripts from now on, and find the partitions of their system.

        SystemRefused when it has none.
        """
        super().attach(scripts)
        self._partitions: list[Scripts] = partitions_of(self.scripts)
        if self._partitions == [self.scripts]:
            raise SystemRefused(
                f"the system under {self.keys.prefix} has no partitions, so nothing is balanced"
            )
        self._granted: tuple[int, ...] = (0,) * len(self._partitions)
        self._dues: dict[int, int] = {}
        self._unheard: dict[int, str] = {}
        self._moves = Moves({}, {})
        self._replicas = self.stored_config().replicas

    def release_expired(self) -> float | None:
        """Nothing: what the partitions have in common has no quotes."""
        return None

    def step(self, wait_ms: int = 0) -> bool:
        """One round, after a pause; whether something was granted that is to be delivered."""
        time.sleep(min(wait_ms / 1000, DELIVERY_S if self._moves.grants else ROUND_S))
        leases = self._leases()
        before = self.scripts.treasury(
            [(number, lease.returned, 0, 0) for number, lease in leases.items()], self._replicas
        )
        self._moves = balance(before, leases)
        after = before
        if self._moves.grants:
            moves = [
                (number, 0, before.granted[number], units)
                for number, units in self._moves.grants.items()
            ]
            after = self.scripts.treasury(moves, self._replicas)
            self._note(before.granted, after.granted)
        self._granted, self._dues = after.granted, self._moves.dues
        return False

    def _leases(self) -> dict[int, Lease]:
        """Deliver what is known to each partition; how those stand that answer."""
        found: dict[int, Lease] = {}
        for number, scripts in enumerate(self._partitions):
            try:
                due = self._dues.get(number, 0)
                found[number] = scripts.lease(self._granted[number], due, self._replicas)
                if self._unheard.pop(number, None):
                    self.log.info("partition %d answers again", number)
            except (RedisError, Unavailable, OSError) as error:
                words = trouble_of(error).words
                if self._unheard.get(number) != words:
                    self.log.warning("partition %d keeps its lease: %s", number, words)
                self._unheard[number] = words
        return found

    def _note(self, before: tuple[int, ...], after: tuple[int, ...]) -> None:
        units = [new - old for old, new in zip(before, after, strict=True)]
        self.count += sum(units)
        self.done["units granted"] += sum(units)
        self.log.debug("granted %s", units)
