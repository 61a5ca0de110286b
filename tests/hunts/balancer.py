"""The balancer in simulated time: many partitions whose demand is uneven and moves.

The rule is the real one (:func:`mm.market.balance`). The partitions are simulated as ``lease.lua``
and ``place.lua`` make them: a quote keeps what it has reserved until its life ends, a renewed or
waiting one gets what the lease leaves, and nothing that is owed is granted. What one central limit
would use at each instant is the smaller one of the limit and of all claims.

Run it with ``python -m tests.hunts.balancer``; ``--picture FILE`` draws it, ``--json`` has the
figures. ``--seed`` replays a run.
"""

from __future__ import annotations

import argparse
import json
import random
from dataclasses import dataclass, field

import click

from mm.market import ROUND_S, Lease, Treasury, balance, round_s

#: Seconds that a quote lives, and until demand moves.
LIFE_S, MOVES_S = 30.0, 60.0
#: Seconds simulated, and those at the start that are not judged.
RUN_S, WARM_S = 240.0, 30.0
#: Quotes of a partition, and units of the limit for each partition.
QUOTES, UNITS = 8, 80
SIZES = (10, 30, 100, 300, 1_000)


@dataclass
class Part:
    """One partition: what each of its quotes wants and has reserved, and when it ends."""

    wants: list[int]
    ends: list[float]
    reserved: list[int] = field(default_factory=lambda: [0] * QUOTES)
    accepted: int = 0
    returned: int = 0
    due: int = 0
    lacks_since: float = -1.0
    longest: float = 0.0

    @property
    def total(self) -> int:
        """The units reserved."""
        return sum(self.reserved)

    @property
    def claimed(self) -> int:
        """What it would have reserved: a live quote holds on to what it has."""
        return sum(max(pair) for pair in zip(self.wants, self.reserved, strict=True))

    def trade(self, now: float) -> None:
        """Renew the quotes whose life has ended, then serve those that want more."""
        for index, end in enumerate(self.ends):
            if end <= now:
                self.reserved[index] = 0
                self.ends[index] = now + LIFE_S
        free = self.accepted - max(self.returned, self.due) - self.total
        for index, wanted in enumerate(self.wants):
            more = min(max(0, wanted - self.reserved[index]), max(0, free))
            self.reserved[index] += more
            free -= more

    def lease(self, granted: int, due: int) -> Lease:
        """What ``lease.lua`` does and replies."""
        self.accepted, self.due = max(self.accepted, granted), max(self.due, due)
        owed = max(0, self.due - self.returned)
        self.returned += max(0, min(owed, self.accepted - self.returned - self.total))
        grain = 1 if self.claimed > self.total else 0
        return Lease(self.accepted, self.returned, self.due, self.total, self.claimed, grain)


@dataclass(frozen=True)
class Simulated:
    """What came out: shares are of what one central limit would use, waits are in seconds."""

    partitions: int
    share_in_use: float
    moves_per_s: float
    calls_per_s: float
    longest_wait_s: float


def demand(rng: random.Random, count: int) -> list[list[int]]:
    """What each quote wants: few partitions want much, many little, as a Zipf law has it."""
    ranks = list(range(1, count + 1))
    rng.shuffle(ranks)
    weights = [1 / rank for rank in ranks]
    whole = 1.5 * UNITS * count
    scale = whole / sum(weights)
    return [[max(1, int(weight * scale / QUOTES))] * QUOTES for weight in weights]


def simulate(count: int, seed: int) -> Simulated:
    """Run ``count`` partitions under one limit."""
    rng = random.Random(f"{seed}/{count}")
    limit = UNITS * count
    parts = [
        Part(wants, [rng.uniform(0, LIFE_S) for _ in range(QUOTES)]) for wants in demand(rng, count)
    ]
    granted, received = [0] * count, [0] * count
    dues: dict[int, int] = {}
    used = could = 0.0
    moves = 0
    steps, every = round(RUN_S / ROUND_S), round(round_s(count) / ROUND_S)
    for step in range(steps):
        now = step * ROUND_S
        if step and step % round(MOVES_S / ROUND_S) == 0:
            for part, wants in zip(parts, demand(rng, count), strict=True):
                part.wants = wants
        for part in parts:
            part.trade(now)
        if step % every == 0:
            leases = {
                number: part.lease(granted[number], dues.get(number, 0))
                for number, part in enumerate(parts)
            }
            for number, lease in leases.items():
                received[number] = max(received[number], lease.returned)
            free = limit - sum(granted) + sum(received)
            found = balance(Treasury(limit, free, tuple(granted), tuple(received)), leases)
            for number, units in found.grants.items():
                granted[number] += units
            dues = found.dues
            for number in {*found.grants, *dues}:
                parts[number].lease(granted[number], dues.get(number, 0))
            moves += len(found.grants) + len(found.dues)
        assert sum(part.accepted - part.returned for part in parts) <= limit
        if now >= WARM_S:
            used += sum(part.total for part in parts)
            could += min(limit, sum(part.claimed for part in parts))
        _time_waits(parts, limit // count, now)
    return Simulated(
        count,
        used / could,
        moves / RUN_S,
        (count + 2) / round_s(count) + moves / RUN_S,
        max(part.longest for part in parts),
    )


def _time_waits(parts: list[Part], fair: int, now: float) -> None:
    """How long a partition has less than an even share although it wants at least that."""
    for part in parts:
        if part.total < min(fair, part.claimed):
            if part.lacks_since < 0:
                part.lacks_since = now
            part.longest = max(part.longest, now - part.lacks_since)
        else:
            part.lacks_since = -1.0


def draw(found: list[Simulated], path: str) -> None:
    """Draw the share in use and the longest wait by the number of partitions."""
    from matplotlib.figure import Figure

    picture = Figure(figsize=(8, 3.2), layout="constrained")
    left, right = picture.subplots(1, 2)
    sizes = [one.partitions for one in found]
    left.semilogx(sizes, [100 * one.share_in_use for one in found], "o-")
    left.set(xlabel="partitions", ylabel="limit in use, % of one central limit", ylim=(0, 105))
    right.semilogx(sizes, [one.longest_wait_s for one in found], "o-")
    right.axhline(LIFE_S, linestyle=":", color="grey")
    right.set(xlabel="partitions", ylabel="longest wait for an even share, s", ylim=(0, None))
    picture.savefig(path)


def main() -> None:
    """Simulate all sizes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--picture")
    options = parser.parse_args()
    found = [simulate(count, options.seed) for count in SIZES]
    for one in found:
        if options.json:
            click.echo(json.dumps(one.__dict__))
        else:
            click.echo(
                f"{one.partitions:>5} partitions: {100 * one.share_in_use:.1f} % in use,"
                f" {one.calls_per_s:,.0f} calls/s, {one.moves_per_s:.1f} moves/s,"
                f" longest wait {one.longest_wait_s:.1f} s (seed {options.seed})"
            )
    if options.picture:
        draw(found, options.picture)


if __name__ == "__main__":
    main()
