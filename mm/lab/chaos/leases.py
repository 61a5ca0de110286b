"""A watch over the escrow of a system under harm: it reads all leases again and again.

The leases are read, then the treasury, then the leases once more, each with a write that the
replicas have: so what a failover undoes is never judged. All counters only grow. Where a lease is
the same in both readings it was so at the instant of the treasury, and where all are, their sum at
that instant is known exactly.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor

from redis.exceptions import RedisError

from mm.errors import Unavailable
from mm.market import Lease, Treasury
from mm.store import Keys, Scripts, open_client, partitions_of

PAUSE_S = 0.03
TIMEOUT_S = 1.0
#: Seconds for which a reading that found no unit under way counts.
SETTLED_S = 1.0


def judge(first: Sequence[Lease], treasury: Treasury, last: Sequence[Lease]) -> list[str]:
    """What the three readings, in this order, show to be wrong."""
    found = []
    for number, (before, after) in enumerate(zip(first, last, strict=True)):
        granted, received = treasury.granted[number], treasury.received[number]
        if before.accepted > granted:
            found.append(f"partition {number} has accepted {before.accepted} units of {granted}")
        if received > after.returned:
            found.append(f"partition {number} has returned {after.returned}, not {received} units")
        for lease in (before, after):
            if lease.reserved > lease.units:
                found.append(
                    f"partition {number} has reserved {lease.reserved} of {lease.units} units"
                )
    outstanding = treasury.limit - treasury.free
    if is_exact(first, last) and sum_of(last) > outstanding:
        found.append(f"the leases are {sum_of(last)} units, of which {outstanding} are granted")
    return found


def is_exact(first: Sequence[Lease], last: Sequence[Lease]) -> bool:
    """Whether no lease has changed from one reading to the other."""
    counters = [[(one.accepted, one.returned) for one in leases] for leases in (first, last)]
    return counters[0] == counters[1]


def sum_of(leases: Sequence[Lease]) -> int:
    """The units that all partitions hold."""
    return sum(one.units for one in leases)


class LeaseWatch(threading.Thread):
    """Reads until it is stopped. ``readings`` counts them all, ``exact`` those that are so."""

    def __init__(self, url: str, replicas: int) -> None:
        super().__init__(daemon=True)
        self.readings = self.exact = 0
        self._url = url
        self._replicas = replicas
        self._violations: list[str] = []
        self._outstanding: int | None = None
        self._settled_at = 0.0
        self._over = threading.Event()

    def run(self) -> None:
        """Read again and again; where no answer comes, begin anew."""
        while not self._over.wait(PAUSE_S):
            root = Scripts(open_client(self._url, TIMEOUT_S), Keys())
            try:
                every = partitions_of(root)
                with ThreadPoolExecutor(len(every)) as hands:
                    while not self._over.wait(PAUSE_S):
                        self._read(root, every, hands)
            except (RedisError, Unavailable, OSError):
                # What is not replicated, or not served, is no reading.
                continue
            finally:
                root.client.close()

    def _read(self, root: Scripts, every: Sequence[Scripts], hands: Executor) -> None:
        def lease(scripts: Scripts) -> Lease:
            return scripts.lease(replicas=self._replicas)

        first = list(hands.map(lease, every))
        treasury = root.treasury(replicas=self._replicas)
        self.take_up(first, treasury, list(hands.map(lease, every)))

    def take_up(self, first: Sequence[Lease], treasury: Treasury, last: Sequence[Lease]) -> None:
        """Judge one reading."""
        found = judge(first, treasury, last)
        outstanding = treasury.limit - treasury.free
        before, self._outstanding = self._outstanding, outstanding
        if outstanding > treasury.limit and before is not None and outstanding > before:
            # After the limit was lowered more may be out than it allows, but never still more.
            found.append(f"{outstanding} units are granted, of a limit of {treasury.limit}")
        self.readings += 1
        if is_exact(first, last):
            self.exact += 1
            if sum_of(last) == outstanding:
                self._settled_at = time.monotonic()
        self._violations += [f"leases: {words}" for words in found]

    def why_not_settled(self) -> str:
        """Empty when lately no unit was on its way between treasury and partitions."""
        if time.monotonic() - self._settled_at < SETTLED_S:
            return ""
        return "units are on their way between the treasury and the partitions"

    def take_violations(self) -> list[str]:
        """What was found to be wrong since the last call."""
        found, self._violations = self._violations, []
        return found

    def stop(self) -> None:
        """End after the reading under way."""
        self._over.set()
        self.join()
