"""What a small world is made of: its description, its processes and its states."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple, Protocol

from mm.market import Config
from mm.store import Keys, Scripts
from mm.store.keys import CATALOGUE
from tests.hunts.explorer.db import Db
from tests.hunts.explorer.wire import Call

#: Where the clock starts: far ahead, so that a real server on which a trace is replayed with this
#: clock does not reap a key by its own.
START_MS = 2_200_000_000_000
#: Keys by catalogue name; a family's by its prefix.
_KEYS = {name: Keys().named(name) for name in CATALOGUE}


class Violation(AssertionError):
    """An invariant does not hold, or the system does not come to rest; the text has the details."""


@dataclass(frozen=True)
class Spec:
    """A small world: its configuration and what may happen in it.

    ``orders`` are the words of each order entry, sent in this order; ``again`` of them in all may
    be sent a second time. ``mail`` are entries that clients append to their inboxes, in this order.
    ``rogue`` is a record that a foreign hand appends to the ledger once.
    ``presence``: processes connect, beat and share the symbols as they do in earnest; without it
    each maker quotes every symbol. ``zombie``: a dead maker's proposal may still arrive.
    ``restarts``: how often the server may restart. ``withdrawals``: how often somebody may end the
    quotes, as after a stop of the makers. ``controls`` are the trading modes that an operator sets,
    in this order, each with its symbols, none for all. ``configs`` are the configurations that an
    operator applies, in this order. ``repair`` is a symbol that an operator examines once while it
    is halted with all its fills committed; its repair by what was found comes sooner or later.
    ``archives``: fills are archived, and an old copy of the archive is put back once.
    ``ticks``: time passes.
    """

    name: str
    config: Config
    orders: tuple[tuple[str, ...], ...] = ()
    mail: tuple[tuple[str, tuple[str, ...]], ...] = ()
    again: int = 1
    makers: int = 2
    exchanges: int = 1
    rogue: tuple[str, str] | None = None
    presence: bool = False
    zombie: bool = True
    crashes: bool = True
    restarts: int = 0
    withdrawals: int = 0
    controls: tuple[tuple[str, ...], ...] = ()
    configs: tuple[Config, ...] = ()
    repair: str = ""
    archives: bool = False
    ticks: bool = True
    warm: bool = True
    grain_ms: int = 1
    scripts: type[Scripts] = Scripts

    def key(self, name: str, member: str = "") -> str:
        """The key of a catalogue name, or of a member of a family."""
        return _KEYS[name] + member

    @cached_property
    def clients(self) -> tuple[str, ...]:
        """The clients that have inboxes."""
        return tuple(sorted({client for client, _ in self.mail}))

    @cached_property
    def versions(self) -> tuple[Config, ...]:
        """The configurations by their versions. Symbols that one leaves out are retired in it."""
        found = [self.config]
        for number, given in enumerate(self.configs, 2):
            kept = {symbol.name: symbol for symbol in given.symbols}
            symbols = tuple(
                kept.get(symbol.name, replace(symbol, retired=True)) for symbol in found[-1].symbols
            )
            found.append(replace(given, symbols=symbols, version=number))
        return tuple(found)

    def current(self, db: Db) -> Config:
        """The configuration that the keys hold."""
        if not self.configs:
            return self.config
        return self.versions[int(db.get(self.key("config"), {})["config_version"]) - 1]


@dataclass(frozen=True, eq=False)
class Proc:
    """A process between two of its calls.

    ``begun`` is what it remembered when it began the running step (``mode``), ``now`` what it
    remembers; ``calls`` are those that it is about to make, none when it is idle. ``up`` says
    whether it is connected. What happens next follows from these; the replies only lead there.
    """

    name: str
    up: bool
    begun: tuple[Any, ...]
    now: tuple[Any, ...]
    mode: str = ""
    calls: tuple[Call, ...] = ()
    replies: tuple[Any, ...] = ()
    _hash: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash((self.name, self.mode, self.now, self.calls)))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, Proc)
            and self._hash == other._hash
            and (self.name, self.up, self.begun, self.now, self.mode, self.calls)
            == (other.name, other.up, other.begun, other.now, other.mode, other.calls)
        )


class Position(NamedTuple):
    """A state of the whole world. ``letters`` are calls of a dead process that may yet arrive.

    ``hand`` is the number of the ledger's entry that an archivist has read and not yet archived, -1
    for none. ``copied`` is how many entries the copy of the archive has, -1 without one.
    """

    db: Db
    procs: tuple[Proc, ...]
    letters: tuple[Call, ...] = ()
    sent: int = 0
    again: tuple[int, ...] = ()
    rogue: bool = False
    restarts: int = 0
    withdrawals: int = 0
    controls: int = 0
    applied: int = 0
    mailed: int = 0
    examined: tuple[str, ...] = ()
    repaired: bool = False
    hand: int = -1
    copied: int = -1
    restored: bool = False


class Host(Protocol):
    """What carries the keys: the table, or a server on which a trace is replayed."""

    def run(self, db: Db, words: Call) -> tuple[Any, Db]:
        """Run a command: its reply (an error is returned), and the keys after it."""

    def at(self, db: Db, now: int) -> Db:
        """The keys at a later instant."""

    def forget(self, db: Db) -> Db:
        """The keys on a server that has lost its script cache."""

    def empty(self, now: int) -> Db:
        """No keys."""


def broken(script: str, old: str, new: str) -> type[Scripts]:
    """Scripts of which one has a piece of its text replaced, to see that it is found."""

    class Broken(Scripts):
        def source(self, name: str) -> str:
            shipped = super().source(name)
            if name != script:
                return shipped
            assert shipped.count(old) == 1, f"{old!r} stands {shipped.count(old)} times in {name}"
            return shipped.replace(old, new)

    return Broken
