"""The balancer: moves units of the global limit to the partitions where symbols wait for them.

It keeps nothing that counts: all is in the treasury and in the leases, which only grow. So any
number of balancers may run, each may be killed at any instant, and without one the partitions trade
on within their leases.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import ClassVar

from redis.exceptions import RedisError

from mm.errors import SystemRefused, Unavailable
from mm.market import Lease, balance, round_s
from mm.process import Process
from mm.store import Scripts, partitions_of, trouble_of


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
        self._round_s = round_s(len(self._partitions))
        self._granted: tuple[int, ...] = (0,) * len(self._partitions)
        self._dues: dict[int, int] = {}
        self._unheard: dict[int, str] = {}
        self._due_at = 0.0
        self._replicas = self.stored_config().replicas

    def release_expired(self) -> float | None:
        """Nothing: what the partitions have in common has no quotes."""
        return None

    def step(self, wait_ms: int = 0) -> bool:
        """One round when it is due, else a pause; False, for no other round is due then."""
        left_s = self._due_at - time.monotonic()
        if wait_ms and left_s > 0:
            time.sleep(min(wait_ms / 1000, left_s))
            if wait_ms / 1000 < left_s:
                return False
        self._due_at = time.monotonic() + self._round_s
        leases = self._leases(range(len(self._partitions)))
        before = self.scripts.treasury(
            [(number, lease.returned, 0, 0) for number, lease in leases.items()], self._replicas
        )
        moves = balance(before, leases)
        after = before
        if moves.grants:
            found = [
                (number, 0, before.granted[number], units) for number, units in moves.grants.items()
            ]
            after = self.scripts.treasury(found, self._replicas)
            self._note(before.granted, after.granted)
        self._granted, self._dues = after.granted, moves.dues
        # What is news is delivered at once.
        self._leases(sorted({*moves.grants, *moves.dues}))
        return False

    def _leases(self, numbers: Iterable[int]) -> dict[int, Lease]:
        """Deliver what is known to these partitions; how those stand that answer."""
        found: dict[int, Lease] = {}
        for number in numbers:
            scripts = self._partitions[number]
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
        self.done["granted_units"] += sum(units)
        self.log.debug("granted %s", units)
