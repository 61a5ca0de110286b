"""Every interleaving of trading with failovers: one partition, a client, a maker, a replica.

The history of the partition is whole scripts, of which a part is confirmed by its replica. A
failover cuts it to any length from there on, and its name changes. The scripts are the real ones.
The client sends orders, reads reports, and takes a report for final when the replica has all that
was there, in the history in which it was read. When the history was cut, it sends what is not final
again. The maker surveys, and proposes what it computed at any time later.

In every state each final outcome is in the reports and in the ledger, once and unchanged, and no
quote is placed for a position other than the one that was surveyed.

Run it with ``python -m tests.hunts.failover``; ``--long`` is larger, ``--json`` gives the figures.
``BROKEN`` lack one thing each: the search must find what goes wrong.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, cast

from mm.market import symbol_fields
from mm.store import Keys
from tests.hunts.explorer.db import Db
from tests.hunts.explorer.parts import START_MS
from tests.hunts.explorer.table import Table
from tests.hunts.histories import EditedScripts, Found, Outcome, counted, run, search
from tests.kit import SYSTEM_ID, small_config

NAME, MAKER, CLIENT = "AAA", "m", "c"
#: The longest history that no replica has confirmed.
MAX_UNCONFIRMED = 4


@dataclass(frozen=True)
class FailoverWorld:
    """What may happen: so many ``cuts`` of the history, and these orders, each a side of one lot.

    ``places`` is how often the maker places, ``sends`` how often an order is sent at most.
    ``waits``: a report is final only when the replica has it. ``names``: only in the history in
    which it was read; without, the length of the history counts, as for WAIT alone. ``edits`` are
    pairs of a script's text and what stands in its place.
    """

    name: str
    sides: tuple[str, ...] = ("buy", "sell")
    cuts: int = 1
    sends: int = 2
    places: int = 1
    waits: bool = True
    names: bool = True
    edits: tuple[tuple[str, str], ...] = ()


WORLDS = (
    FailoverWorld("two-orders", sends=1, cuts=2),
    FailoverWorld("sent-again", sides=("buy",), cuts=2, sends=3, places=2),
)
_TWO = FailoverWorld("two-orders-sent-again")
LONG = (*WORLDS, _TWO)
BROKEN = (
    replace(_TWO, name="final-when-read", waits=False),
    replace(_TWO, name="final-by-length", names=False),
    replace(
        _TWO,
        name="proposal-of-any-history",
        edits=(("history = history_of(replicas) }, proposed)", "history = ARGV[11] }, proposed)"),),
    ),
)


class Report(NamedTuple):
    """What the client has read of an order: its outcome, and the history and length then."""

    outcome: str
    history: str
    length: int
    final: bool = False


class Survey(NamedTuple):
    """What the maker has read: versions, history, and the position that they stand for."""

    position_version: str
    quote_version: str
    history: str
    net_lots: str


class State(NamedTuple):
    """Everything: the contents from the confirmed one on, by number; ``length`` is that before."""

    length: int
    contents: tuple[int, ...]
    history: int
    sent: tuple[int, ...]
    read: tuple[Report | None, ...]
    survey: Survey | None
    placed: int
    cuts: int

    @property
    def now(self) -> int:
        """The newest content."""
        return self.contents[-1]


class Failover:
    """The moves of a world: each runs a real script on a content of the server."""

    def __init__(self, world: FailoverWorld) -> None:
        self.world = world
        self.keys = Keys()
        self._table = Table()
        self._scripts = EditedScripts(cast(Any, None), self.keys)
        self._scripts.edits = world.edits
        self._dbs: list[Db] = []
        self._numbers: dict[Any, int] = {}
        self._after: dict[Any, int | None] = {}
        config = replace(small_config(1, 10), replicas=1)
        known = frozenset(
            self._table.load(self._scripts.source(name))
            for name in ("setup", "match", "commit", "place")
        )
        stored = config.store_fields()
        words = [
            SYSTEM_ID,
            *counted(stored),
            NAME,
            *counted(symbol_fields(config, config.symbols[0])),
        ]
        db = self._run(Db(START_MS, loaded=known), "setup", *words)
        db = self._run(db, "place", *self._proposal(self._surveyed(db)))
        none: tuple[None, ...] = (None,) * len(world.sides)
        sent = (0,) * len(world.sides)
        self.first = State(0, (self._number(db),), 0, sent, none, None, 0, 0)

    def _run(self, db: Db, name: str, *args: str | int) -> Db:
        reply, after = self._table.run(db, ("EVALSHA", *self._scripts._words(name, args)))
        if isinstance(reply, Exception):
            raise reply
        return after

    def _number(self, db: Db) -> int:
        """The number of a content; servers that agree in all keys share it."""
        content = repr(sorted((key, value) for key, value in db.keys.items()))
        if content not in self._numbers:
            self._numbers[content] = len(self._dbs)
            self._dbs.append(db)
        return self._numbers[content]

    def _hash(self, db: Db, name: str) -> dict[str, str]:
        found: dict[str, str] = db.get(self.keys.member(name, NAME), {})
        return found

    def _surveyed(self, db: Db) -> Survey:
        position, symbol = self._hash(db, "position:*"), self._hash(db, "symbol:*")
        versions = (position["position_version"], symbol["quote_version"])
        return Survey(*versions, db.history, position["net_lots"])

    def _proposal(self, seen: Survey) -> tuple[str | int, ...]:
        versions = (seen.position_version, seen.quote_version)
        return (NAME, MAKER, "refresh", *versions, 99, 5, 101, 5, 1, seen.history)

    # moves

    def moves(self, at: State) -> Iterator[tuple[str, State]]:
        """Everything that can happen next."""
        for number in range(len(self.world.sides)):
            yield from self._of_order(at, number)
        for name in ("match", "commit"):
            if after := self._write(at, name, 10):
                yield name, after
        yield from self._of_maker(at)
        yield from self._of_history(at)

    def _write(self, at: State, *call: Any) -> State | None:
        """After a script, or XADD; None when it changes nothing or is refused."""
        if len(at.contents) > MAX_UNCONFIRMED:
            return None
        key = (at.now, at.history, call)
        if key not in self._after:
            db = self._dbs[at.now].named(f"{at.history:x}")
            try:
                if call[0] == "XADD":
                    _, after = self._table.run(db, call)
                else:
                    after = self._run(db, *call)
                self._after[key] = self._number(after)
            except Exception as error:
                if not str(error).startswith(("STALE", "UNCOMMITTED")):
                    raise
                self._after[key] = None
        number = self._after[key]
        if number is None or number == at.now:
            return None
        return at._replace(contents=(*at.contents, number))

    def _of_order(self, at: State, number: int) -> Iterator[tuple[str, State]]:
        seen = at.read[number]
        if seen is None and at.sent[number] < self.world.sends:
            side = self.world.sides[number]
            limit = 200 if side == "buy" else 1
            line = f"{CLIENT} {NAME} {side} 1 {limit}"
            if after := self._write(at, "XADD", self.keys.named("orders"), "*", f"o{number}", line):
                yield (
                    f"o{number} is sent",
                    after._replace(sent=_with(at.sent, number, at.sent[number] + 1)),
                )
        found = self._reported(at, number)
        if seen is None and at.sent[number] and found:
            length = at.length + len(at.contents) - 1
            report = Report(found, f"{at.history:x}", length, final=not self.world.waits)
            yield f"o{number} is read", at._replace(read=_with(at.read, number, report))
        if seen is not None and not seen.final and self._is_final(at, seen):
            final = seen._replace(final=True)
            yield f"o{number} is final", at._replace(read=_with(at.read, number, final))

    def _is_final(self, at: State, seen: Report) -> bool:
        if self.world.names:
            return len(at.contents) == 1 and seen.history == f"{at.history:x}"
        return at.length >= seen.length

    def _reported(self, at: State, number: int) -> str:
        """The first outcome in the reports of an order, or nothing."""
        key = self.keys.member("reports:*", CLIENT)
        for _, words in self._dbs[at.now].get(key, ()):
            for name, line in zip(words[::2], words[1::2], strict=True):
                if name == f"o{number}":
                    # All but the duplicate mark and the time.
                    return " ".join(line.split()[:-2])
        return ""

    def _of_maker(self, at: State) -> Iterator[tuple[str, State]]:
        db = self._dbs[at.now].named(f"{at.history:x}")
        seen = self._surveyed(db)
        if seen != at.survey and at.placed < self.world.places:
            yield "the maker surveys", at._replace(survey=seen)
        if at.survey is not None and at.placed < self.world.places:
            after = self._write(at, "place", *self._proposal(at.survey))
            if after is not None:
                if seen.net_lots != at.survey.net_lots:
                    raise Found(
                        f"a quote for a position of {at.survey.net_lots} lots was placed at"
                        f" {seen.net_lots}"
                    )
                yield "the maker places", after._replace(survey=None, placed=at.placed + 1)

    def _of_history(self, at: State) -> Iterator[tuple[str, State]]:
        unconfirmed = len(at.contents) - 1
        if not unconfirmed:
            return
        for count in {1, unconfirmed}:
            length = at.length + count
            confirmed = at._replace(length=length, contents=at.contents[count:])
            yield f"the replica has {count} more", confirmed
        if at.cuts < self.world.cuts:
            for kept in range(unconfirmed):
                history = at.history + 1
                # The client sees the other name, and takes up again what is not final.
                read = tuple(
                    one if one is None or one.final or not self.world.names else None
                    for one in at.read
                )
                yield (
                    f"a failover keeps {kept} of {unconfirmed}",
                    State(
                        at.length + kept,
                        (at.contents[kept],),
                        history,
                        at.sent,
                        read,
                        at.survey,
                        at.placed,
                        at.cuts + 1,
                    ),
                )

    # judgement

    def check(self, at: State) -> None:
        """Found when a final outcome is not there, or an order has two fills."""
        fills: list[str] = []
        for _, words in self._dbs[at.now].get(self.keys.named("fills"), ()):
            fills += [line.split()[4] for line in words[1::2]]
        for number, seen in enumerate(at.read):
            count = fills.count(f"o{number}")
            if count > 1:
                raise Found(f"o{number} has {count} fills")
            if seen is None or not seen.final:
                continue
            if self._reported(at, number) != seen.outcome:
                raise Found(f"o{number} was final as {seen.outcome!r}, which no report says")
            if seen.outcome.startswith("filled") and count != 1:
                raise Found(f"o{number} was final as filled, and the ledger has no fill of it")


def _with(values: tuple[Any, ...], place: int, value: Any) -> tuple[Any, ...]:
    return (*values[:place], value, *values[place + 1 :])


def explore(world: FailoverWorld) -> Outcome:
    """Go through all states of a world."""
    return search(world.name, Failover(world))


if __name__ == "__main__":
    sys.exit(run(__doc__, {"": WORLDS, "long": LONG, "broken": BROKEN}, explore))
