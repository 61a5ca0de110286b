"""The faults of a chaos run and their times, drawn from the seed alone: a seed replays them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

#: Quotes live this long in a chaos run, so that a stop that outlives them stays short.
TTL_MS = 1_500
REFRESH_MS = 500

#: Two of each, at once, all the time. The second of each reaches the server through the proxy.
PROCESSES = tuple(
    f"{kind}-{number}"
    for kind in ("exchange", "state", "maker", "archivist", "publisher")
    for number in (1, 2)
)
PROXIED = tuple(name for name in PROCESSES if name.endswith("-2"))

#: The kinds of fault: name -> what happens.
KINDS = {
    "kill-exchange": "kill -9 of one exchange or both",
    "kill-state": "kill -9 of one state service or both",
    "kill-maker": "kill -9 of one maker or both",
    "kill-archivist": "kill -9 of one archivist or both",
    "kill-publisher": "kill -9 of one publisher or both",
    "kill-all": "kill -9 of all processes at once, with or without the server",
    "kill-server": "kill -9 of the server",
    "kill-loading": "kill -9 of the server, then twice more before it has finished loading",
    "kill-rewriting": "kill -9 of the server while it rewrites its log",
    "tear-log": "kill -9 of the server, a torn last write in its log, and once more after trading",
    "stop-process": "SIGSTOP of a process for longer than a quote lives, then SIGCONT",
    "stop-server": "SIGSTOP of the server, then SIGCONT",
    "lose-request": "a request is lost with its connection",
    "lose-reply": "a reply is lost with its connection, its request was executed",
    "cut-connection": "a connection is cut in the middle of a reply",
    "delay-request": "a request is held back, now and then for longer than a quote lives",
    "fill-disk": "the archivists may write no further, as on a full disk, until that ends",
    "old-archive": "an old copy of the archive stands in its place, then the right one is back",
    "operate-mode": "an operator halts or reduces one symbol or all, and resumes them",
    "operate-limit": "an operator lowers the exposure limit, and raises it again",
}
#: The proxy's names for its kinds of fault.
PROXY_KINDS = {
    "lose-request": "request",
    "lose-reply": "reply",
    "cut-connection": "connection",
    "delay-request": "delay",
}
#: The calls that each kind of process makes all the time: a script's name, or a command.
CALLS = {
    "exchange": ("match", "expire", "heartbeat"),
    "state": ("commit", "commit", "heartbeat"),
    "maker": ("place", "place", "survey"),
    "archivist": ("trim", "trim", "heartbeat"),
    "publisher": ("XADD", "XADD", "XREAD"),
}
#: So many rounds in 100 have a second fault on top of the first.
SECOND_PERCENT = 35


@dataclass(frozen=True)
class FaultEvent:
    """One planned fault.

    ``target`` is a process, a kind of process (both of it), ``processes``, ``server`` or ``all``.
    An operator's is a symbol or ``all``, and ``call`` is then the mode. On a cluster it may be the
    number of a partition.
    The fault begins ``after_ms`` after the one before it, or after the begin of the round.
    ``hold_ms`` is how long a stop, a delay or a harm of the archive lasts, how long the server
    trades before it is killed again, or until an operator takes back what it did. ``call`` and
    ``skip`` choose the request that the proxy applies a fault to: the one with this script or
    command, after ``skip`` others.
    ``percents`` say at which shares of its loading or rewriting the server is killed.
    """

    kind: str
    target: str
    after_ms: int
    hold_ms: int = 0
    call: str = ""
    skip: int = 0
    percents: tuple[int, ...] = ()

    def text(self) -> str:
        """The fault in a few words."""
        words = [self.kind, self.target]
        if self.call:
            words.append(f"{self.call}+{self.skip}" if self.kind in PROXY_KINDS else self.call)
        if self.hold_ms:
            words.append(f"{self.hold_ms} ms")
        words += [f"{percent}%" for percent in self.percents]
        return " ".join(words)


Dice = random.Random
#: Draws a fault of a kind.
Draw = Callable[[str, Dice], FaultEvent]


def plan_rounds(seed: int) -> Iterator[list[FaultEvent]]:
    """The faults of each round on one server, without end."""
    return rounds_of(f"chaos/{seed}", KINDS, _draw)


def rounds_of(seed: str, kinds: Iterable[str], draw: Draw) -> Iterator[list[FaultEvent]]:
    """The faults of each round, without end; every kind comes once before one comes again."""
    dice = Dice(seed)
    every = list(kinds)
    while True:
        bag = list(every)
        dice.shuffle(bag)
        for kind in bag:
            faults = [draw(kind, dice)]
            if dice.randrange(100) < SECOND_PERCENT:
                faults.append(draw(dice.choice(every), dice))
            yield faults


def new_seed() -> int:
    """A new random seed."""
    return random.SystemRandom().randrange(2**31)


def _draw(kind: str, dice: Dice) -> FaultEvent:
    after_ms = dice.randrange(20, 300)
    what = kind.partition("-")[2]
    if kind in PROXY_KINDS:
        target = dice.choice(PROXIED)
        call = dice.choice(("", *CALLS[target.partition("-")[0]]))
        hold_ms = 0
        if kind == "delay-request":
            hold_ms = dice.randrange(10, 300)
            if dice.randrange(3) == 0:
                # A proposal that arrives when its quote would already have expired.
                target, call = "maker-2", "place"
                hold_ms = dice.randrange(TTL_MS, TTL_MS + 500)
        # Heartbeats and sweeps are rare: the fault takes the first or the second.
        skip = dice.randrange(2 if call in ("heartbeat", "expire") else 6)
        return FaultEvent(kind, target, after_ms, hold_ms, call, skip)
    if kind.startswith("operate-"):
        hold_ms = dice.randrange(50, TTL_MS)
        mode = dice.choice(("halted", "reducing")) if kind == "operate-mode" else ""
        return FaultEvent(kind, dice.choice(("AAPL", "SPY", "all")), after_ms, hold_ms, mode)
    if kind in ("fill-disk", "old-archive"):
        return FaultEvent(kind, "archivist", after_ms, dice.randrange(200, TTL_MS))
    if kind == "stop-process":
        hold_ms = dice.randrange(TTL_MS + 50, TTL_MS + 500)
        makers = ("maker-1", "maker-2")
        return FaultEvent(kind, dice.choice((*PROCESSES, *makers, *makers)), after_ms, hold_ms)
    if kind == "tear-log":
        return FaultEvent(kind, "server", after_ms, dice.randrange(600, 1200))
    if kind == "stop-server":
        return FaultEvent(kind, "server", after_ms, dice.randrange(50, TTL_MS))
    if kind == "kill-all":
        return FaultEvent(kind, dice.choice(("all", "processes")), after_ms)
    if what in ("server", "loading", "rewriting"):
        count = {"server": 0, "loading": 2, "rewriting": 1}[what]
        percents = tuple(dice.randrange(2, 100) for _ in range(count))
        return FaultEvent(kind, "server", after_ms, percents=percents)
    return FaultEvent(kind, dice.choice((f"{what}-1", f"{what}-2", what)), after_ms)
