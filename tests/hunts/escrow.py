"""Every interleaving of the escrow: partitions, a treasury, copies of any age, and failovers.

Each shard, which is a partition or the treasury, has a history of whole scripts, of which a part is
confirmed by its replica. A failover cuts the history to any length from there on. Any balancer may
have read anything at any time, and sends what it has read sooner or later, once, twice or never.
The scripts are the real ones. In every state the leases together are within the limit, and each
partition has reserved no more than its lease.

Run it with ``python -m tests.hunts.escrow``; ``--json`` gives the figures. ``BROKEN`` are balancers
and scripts that lack one thing: the search must find what goes wrong with each.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, cast

from mm.market import parts, symbol_fields
from mm.store import Keys
from tests.hunts.explorer.db import Db
from tests.hunts.explorer.parts import START_MS
from tests.hunts.explorer.table import Table
from tests.hunts.histories import EditedScripts, Found, Outcome, counted, run, search
from tests.kit import SYSTEM_ID, small_config

#: The longest history that no replica has confirmed.
MAX_UNCONFIRMED = 3


@dataclass(frozen=True)
class EscrowWorld:
    """What may happen: ``grants`` to each partition and ``cuts`` of histories at most.

    ``waits`` are the kinds of copies that are sent only when the replica has confirmed what was
    read. ``epochs``: a confirmation counts only under the epoch in which it was read. Without, it
    counts the length of the history, as WAIT does.
    ``edits`` are pairs of a script's text and what stands in its place.
    """

    name: str
    partitions: int = 2
    limit: int = 2
    grants: int = 2
    cuts: int = 1
    waits: tuple[str, ...] = ("granted", "returned")
    epochs: bool = True
    edits: tuple[tuple[str, str], ...] = ()


WORLDS = (
    EscrowWorld("escrow", cuts=1),
    EscrowWorld("escrow-one-unit", limit=1, grants=3, cuts=2),
    EscrowWorld("escrow-of-three", partitions=3, limit=2, grants=1, cuts=1),
)
_ONE = WORLDS[1]
BROKEN = (
    replace(_ONE, name="grants-copied-unconfirmed", waits=("returned",)),
    replace(_ONE, name="returns-copied-unconfirmed", waits=("granted",)),
    replace(_ONE, name="no-epoch", epochs=False),
    replace(
        _ONE,
        name="overwritten",
        edits=(("math.max(lease.accepted, granted)", "granted"),),
    ),
    replace(
        _ONE,
        name="returned-although-reserved",
        edits=(("accepted - lease.returned - reserved)", "accepted - lease.returned)"),),
    ),
    replace(
        _ONE,
        name="granted-beyond-the-limit",
        edits=(("math.min(one.units, math.max(0, free), ", "math.min(one.units, "),),
    ),
)


class Shard(NamedTuple):
    """One shard: its history from the confirmed state on, and how long it is before.

    Where epochs are kept no length is, since nothing compares it.
    """

    confirmed: int
    history: tuple[tuple[int, ...], ...]

    @property
    def now(self) -> tuple[int, ...]:
        """The newest content."""
        return self.history[-1]

    @property
    def length(self) -> int:
        """The length of the whole history."""
        return self.confirmed + len(self.history) - 1


class Read(NamedTuple):
    """What a balancer has read, and asks to be confirmed by the length of the history alone."""

    shard: int
    kind: str
    partition: int
    value: int
    length: int


class State(NamedTuple):
    """Everything: the treasury is the last shard. ``copies`` can be delivered at any time."""

    shards: tuple[Shard, ...]
    reads: frozenset[Read]
    copies: frozenset[tuple[str, int, int]]
    cuts: int


class Escrow:
    """The moves of a world: each runs a real script on the content of a shard."""

    def __init__(self, world: EscrowWorld) -> None:
        self.world = world
        config = small_config(world.partitions, world.limit, partitions=world.partitions)
        self._table = Table()
        keys = Keys()
        every = [*(keys.partition(number) for number in range(world.partitions)), keys]
        self._scripts = [EditedScripts(cast(Any, None), one) for one in every]
        for scripts in self._scripts:
            scripts.edits = world.edits
        self._known = frozenset(
            self._table.load(self._scripts[0].source(name))
            for name in ("setup", "found", "lease", "treasury", "place")
        )
        self._dbs: dict[tuple[int, tuple[int, ...]], Db] = {}
        self._memo: dict[Any, tuple[int, ...] | None] = {}
        self.symbols = [part.symbols[0].name for part in parts(config)]
        self._start(config)

    @property
    def treasury(self) -> int:
        """The shard of the treasury."""
        return self.world.partitions

    def _start(self, config: Any) -> None:
        first = []
        for number, part in enumerate(parts(config)):
            stored = part.store_fields() | {"partition": str(number)}
            words = [SYSTEM_ID, *counted(stored)]
            for symbol in part.symbols:
                words += [symbol.name, *counted(symbol_fields(part, symbol))]
            db = self._run(number, Db(START_MS, loaded=self._known), "setup", *words)
            first.append(self._keep(number, db))
        words = [SYSTEM_ID, *counted(config.store_fields())]
        db = self._run(self.treasury, Db(START_MS, loaded=self._known), "found", *words)
        first.append(self._keep(self.treasury, db))
        shards = tuple(Shard(0, (content,)) for content in first)
        self.first = State(shards, frozenset(), frozenset(), 0)

    def _run(self, shard: int, db: Db, name: str, *args: str | int) -> Db:
        words = self._scripts[shard]._words(name, args)
        reply, after = self._table.run(db, ("EVALSHA", *words))
        if isinstance(reply, Exception):
            raise reply
        return after

    def _keep(self, shard: int, db: Db) -> tuple[int, ...]:
        """What counts of a shard; one server stands for all that agree in it."""
        keys = self._scripts[shard].keys
        if shard == self.treasury:
            stored = db.get(keys.named("treasury"), {})
            content = tuple(
                int(stored[f"{name}:{number}"])
                for number in range(self.world.partitions)
                for name in ("granted", "received")
            )
        else:
            lease, exposure = (db.get(keys.named(name), {}) for name in ("lease", "exposure"))
            waits = bool(db.get(keys.named("waiting:bid"), {}))
            names = ("accepted", "returned", "due")
            content = (*(int(lease[name]) for name in names), int(exposure["bid_units"]), waits)
        self._dbs.setdefault((shard, content), db)
        return content

    def _after(self, shard: int, content: tuple[int, ...], *call: Any) -> tuple[int, ...] | None:
        """The content after a script, or None when the script refuses."""
        key = (shard, content, call)
        if key not in self._memo:
            try:
                db = self._run(shard, self._dbs[shard, content], *call)
                self._memo[key] = self._keep(shard, db)
            except Exception as error:
                if not str(error).startswith("AHEAD"):
                    raise
                self._memo[key] = None
        return self._memo[key]

    # moves

    def moves(self, at: State) -> Iterator[tuple[str, State]]:
        """Everything that can happen next."""
        for number in range(self.world.partitions):
            yield from self._of_partition(at, number)
        yield from self._of_treasury(at)
        for shard in range(len(at.shards)):
            yield from self._of_history(at, shard)
        for read in at.reads:
            if at.shards[read.shard].confirmed >= read.length:
                copies = at.copies | {(read.kind, read.partition, read.value)}
                yield (
                    f"confirmed {read.kind} {read.value} of {read.partition}",
                    at._replace(copies=copies, reads=at.reads - {read}),
                )

    def _write(self, at: State, shard: int, *call: Any) -> State | None:
        one = at.shards[shard]
        content = self._after(shard, one.now, *call)
        if content is None or content == one.now:
            return None
        if len(one.history) > MAX_UNCONFIRMED:
            return None
        changed = one._replace(history=(*one.history, content))
        return at._replace(shards=(*at.shards[:shard], changed, *at.shards[shard + 1 :]))

    def _of_partition(self, at: State, number: int) -> Iterator[tuple[str, State]]:
        accepted, returned, due, _, _ = at.shards[number].now
        found: list[tuple[str, tuple[Any, ...]]] = []
        for kind, partition, value in at.copies:
            if kind == "granted" and partition == number:
                found.append((f"{number} accepts {value}", ("lease", value, 0)))
        if due <= returned < accepted:
            found.append((f"{number} must return one", ("lease", 0, returned + 1)))
        if due > returned:
            found.append((f"{number} is looked at", ("lease", 0, 0)))
        found.append((f"{number} quotes", self._place(at, number)))
        for name, call in found:
            if after := self._write(at, number, *call):
                yield name, after
        yield from self._copy(at, number, "returned", number, 1)

    def _place(self, at: State, number: int) -> tuple[Any, ...]:
        db = self._dbs[number, at.shards[number].now]
        symbol = self.symbols[number]
        state = db.get(self._scripts[number].keys.member("symbol:*", symbol), {})
        lots = self.world.limit
        return (
            "place",
            symbol,
            "m",
            "refresh",
            0,
            state["quote_version"],
            99,
            lots,
            101,
            lots,
            1,
            "-",
        )

    def _of_treasury(self, at: State) -> Iterator[tuple[str, State]]:
        now = at.shards[self.treasury].now
        for number in range(self.world.partitions):
            granted = now[2 * number]
            if granted < self.world.grants:
                call = ("treasury", number, 0, granted, 1)
                if after := self._write(at, self.treasury, *call):
                    yield f"one granted to {number}", after
            yield from self._copy(at, self.treasury, "granted", number, 2 * number)
        for kind, number, value in at.copies:
            if kind == "returned":
                call = ("treasury", number, value, 0, 0)
                if after := self._write(at, self.treasury, *call):
                    yield f"{value} received from {number}", after

    def _copy(
        self, at: State, shard: int, kind: str, number: int, place: int
    ) -> Iterator[tuple[str, State]]:
        """A balancer reads a number, and sends it when it may.

        What was confirmed under the epoch in which it was read is in the confirmed history.
        """
        one = at.shards[shard]
        sure = self.world.epochs and kind in self.world.waits
        value = (one.history[0] if sure else one.now)[place]
        if not value or (kind, number, value) in at.copies:
            return
        if sure or kind not in self.world.waits:
            copies = at.copies | {(kind, number, value)}
            yield f"read and sent {kind} {value} of {number}", at._replace(copies=copies)
            return
        read = Read(shard, kind, number, value, one.length)
        if read not in at.reads:
            yield f"read {kind} {value} of {number}", at._replace(reads=at.reads | {read})

    def _of_history(self, at: State, shard: int) -> Iterator[tuple[str, State]]:
        one = at.shards[shard]
        if len(one.history) == 1:
            return

        def with_shard(changed: Shard, cuts: int) -> State:
            shards = (*at.shards[:shard], changed, *at.shards[shard + 1 :])
            return at._replace(shards=shards, cuts=cuts)

        def shard_of(kept: int) -> Shard:
            length = 0 if self.world.epochs else one.confirmed + kept
            return Shard(length, (one.history[kept],))

        confirmed = shard_of(len(one.history) - 1)
        yield f"shard {shard} confirmed", with_shard(confirmed, at.cuts)
        if at.cuts < self.world.cuts:
            for kept in range(len(one.history) - 1):
                cut = with_shard(shard_of(kept), at.cuts + 1)
                yield f"shard {shard} cut to {kept} of its last", cut

    # judgement

    def check(self, at: State) -> None:
        """Found when the leases exceed the limit, or a partition has reserved beyond its own."""
        leases = [shard.now[0] - shard.now[1] for shard in at.shards[: self.world.partitions]]
        if sum(leases) > self.world.limit:
            raise Found(f"leases {leases} of {self.world.limit}")
        for number, lease in enumerate(leases):
            reserved = at.shards[number].now[3]
            if reserved > lease:
                raise Found(f"partition {number} has reserved {reserved} of its lease of {lease}")


def explore(world: EscrowWorld) -> Outcome:
    """Go through all states of a world."""
    return search(world.name, Escrow(world))


if __name__ == "__main__":
    sys.exit(run(__doc__, {"": WORLDS, "broken": BROKEN}, explore))
