"""The escrow of the global exposure limit: how much of it each partition has, and should have.

Each partition holds a lease, and reserves exposure within it. The treasury grants units, and gets
back what partitions return. All counters only grow, so a copy that is late, lost or repeated does
no harm. Sources: O'Neil, The Escrow Transactional Method, 1986; Balegas et al., Extending
Eventually Consistent Cloud Databases for Enforcing Numeric Invariants, 2015.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

#: Seconds from one round of a balancer to the next, and looks at partitions a second at most.
ROUND_S, LOOKS_PER_S = 0.1, 1_000


def round_s(partitions: int) -> float:
    """Seconds from one round of a balancer to the next, with so many partitions."""
    return max(ROUND_S, partitions / LOOKS_PER_S)


@dataclass(frozen=True)
class Lease:
    """What one partition says of itself, in units of exposure.

    ``accepted``, ``returned`` and ``due`` count all units ever: those that it took, those that it
    gave back, and those that it must have given back. ``reserved`` is the larger reserved total of
    its two sides. ``claimed`` is what it would have reserved on the side that wants most, if its
    symbols had all that they wait for. ``grain`` is what one lot more of a waiting symbol takes, 0
    when none waits.
    """

    accepted: int
    returned: int
    due: int
    reserved: int
    claimed: int
    grain: int

    @property
    def units(self) -> int:
        """The lease: the units that the partition holds."""
        return self.accepted - self.returned

    @property
    def owed(self) -> int:
        """The units of it that the partition still has to give back."""
        return max(0, self.due - self.returned)


@dataclass(frozen=True)
class Treasury:
    """The global limit and, for each partition, the units ever granted to it and received back.

    ``free`` is what is neither leased nor on its way; after the limit was lowered it may be
    negative until enough has come back.
    """

    limit: int
    free: int
    granted: tuple[int, ...]
    received: tuple[int, ...]


@dataclass(frozen=True)
class Moves:
    """What a balancer does next: units to grant, and by partition what it must have returned."""

    grants: dict[int, int]
    dues: dict[int, int]


def shares(treasury: Treasury, leases: Mapping[int, Lease]) -> dict[int, int]:
    """The units that each partition should have: the max-min fair share of the limit.

    Nobody gets more than it claims while another lacks, and what nobody claims is spread evenly.
    Where the even share is less than a lot of a waiting symbol, lots go to the partitions that were
    granted least so far, so that no partition waits for ever (R11). Source of max-min fairness:
    Bertsekas and Gallager, Data Networks, 1992, section 6.5.2.
    """
    pool = max(0, treasury.limit)
    pool -= sum(
        treasury.granted[number] - treasury.received[number]
        for number in range(len(treasury.granted))
        if number not in leases
    )
    found: dict[int, int] = {}
    pool = max(0, pool)
    by_claim = sorted(leases, key=lambda number: (leases[number].claimed, number))
    lacking: list[int] = []
    for index, number in enumerate(by_claim):
        level = pool // (len(by_claim) - index)
        if leases[number].claimed > level:
            lacking = by_claim[index:]
            break
        found[number] = leases[number].claimed
        pool -= found[number]
    for number in lacking:
        found[number] = level
    pool -= sum(found[number] for number in lacking)
    if not lacking:
        for index, number in enumerate(by_claim):
            extra = pool // (len(by_claim) - index)
            found[number] += extra
            pool -= extra
        return found
    for number in lacking:
        grain = max(1, leases[number].grain)
        rest = found[number] % grain
        found[number] -= rest
        pool += rest
    _spread_lots(pool, found, lacking, treasury, leases)
    return found


def _spread_lots(
    pool: int,
    found: dict[int, int],
    lacking: Sequence[int],
    treasury: Treasury,
    leases: Mapping[int, Lease],
) -> None:
    """Give what the even share leaves, a lot at a time.

    Partitions that would have nothing come first: before all those that hold a lot and have not
    quoted it yet, then those that were granted least, and of these one that holds none. Else what
    is left would go round for ever: so it stays with those that hold most.
    """

    def turn(number: int) -> tuple[bool, int, bool, int]:
        lease = leases[number]
        unused = lease.units - lease.owed >= max(1, lease.grain) and not lease.reserved
        return not unused, treasury.granted[number], lease.units > 0, number

    starving = sorted((number for number in lacking if not found[number]), key=turn)
    others = sorted(
        (number for number in lacking if found[number]),
        key=lambda number: (-leases[number].units, number),
    )
    for number in (*starving, *others):
        grain = max(1, leases[number].grain)
        if grain <= pool:
            found[number] += grain
            pool -= grain


def balance(treasury: Treasury, leases: Mapping[int, Lease]) -> Moves:
    """What to grant, and what to ask back, so that each partition comes to its share.

    ``leases`` are those partitions that have just been heard; of the others nothing is moved. What
    is on its way counts as being there. Units are asked back only for a partition that lacks them.
    """
    share = shares(treasury, leases)
    held = {
        number: treasury.granted[number] - max(lease.due, lease.returned)
        for number, lease in leases.items()
    }
    lacking = {number for number, lease in leases.items() if lease.claimed > held[number]}
    free, grants = max(0, treasury.free), {}
    order = sorted(leases, key=lambda one: (one not in lacking, treasury.granted[one], one))
    for number in order:
        units = min(share[number] - held[number], free)
        if units > 0:
            grants[number] = units
            free -= units
    short = sum(max(0, share[one] - held[one] - grants.get(one, 0)) for one in lacking)
    # A lowered limit is short too: what was granted beyond it must come back.
    short += max(0, -treasury.free)
    # What is due and not back yet.
    coming = sum(
        treasury.granted[number] - treasury.received[number] - held[number] for number in leases
    )
    missing, dues = short - max(0, coming), {}
    for number in sorted(leases, key=lambda one: (share[one] - held[one], one)):
        units = min(held[number] - share[number], missing)
        if units > 0:
            dues[number] = max(leases[number].due, leases[number].returned) + units
            missing -= units
    return Moves(grants, dues)
