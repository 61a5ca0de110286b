"""What a chaos run does and when: drawn from the seed alone, so that a seed replays its faults."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

#: Quotes live this long in a chaos run, so that a stop that outlives them stays short.
TTL_MS = 1_500
REFRESH_MS = 500

#: Two of each, at once, all the time. The second of each reaches the server through the proxy.
PROCESSES = tuple(
    f"{kind}-{number}" for kind in ("exchange", "state", "maker", "publisher") for number in (1, 2)
)
PROXIED = tuple(name for name in PROCESSES if name.endswith("-2"))

#: The kinds of fault: name -> what happens.
KINDS = {
    "kill-exchange": "kill -9 of one exchange or both",
    "kill-state": "kill -9 of one state service or both",
    "kill-maker": "kill -9 of one maker or both",
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
}
#: How the proxy calls what it does.
PROXY_KINDS = {
    "lose-request": "request",
    "lose-reply": "reply",
    "cut-connection": "connection",
    "delay-request": "delay",
}
#: The calls that a process of each kind lives by: a script's name, or a command.
CALLS = {
    "exchange": ("match", "expire", "heartbeat"),
    "state": ("commit", "commit", "heartbeat"),
    "maker": ("place", "place", "survey"),
    "publisher": ("XADD", "XADD", "XREAD"),
}
#: Of 100 rounds so many have a second fault on top of the first.
SECOND_PERCENT = 35


@dataclass(frozen=True)
class FaultEvent:
    """One fault.

    ``target`` is a process, a kind of process (all of it), ``server`` or ``all``. It comes
    ``after_ms`` after the one before it, or after the round's begin. ``hold_ms`` is how long
    something is stopped or held back, or trades before it is killed again. ``call`` and ``skip``
    choose the request that the proxy strikes: the one with this script or command after ``skip``
    others. ``percents`` say when in its loading or rewriting the server is killed.
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
            words.append(f"{self.call}+{self.skip}")
        if self.hold_ms:
            words.append(f"{self.hold_ms} ms")
        words += [f"{percent}%" for percent in self.percents]
        return " ".join(words)


def plan_rounds(seed: int) -> Iterator[list[FaultEvent]]:
    """The faults of each round, for ever: every kind once in each run of as many rounds."""
    dice = random.Random(f"chaos/{seed}")
    while True:
        bag = list(KINDS)
        dice.shuffle(bag)
        for kind in bag:
            strikes = [_strike(kind, dice)]
            if dice.randrange(100) < SECOND_PERCENT:
                strikes.append(_strike(dice.choice(list(KINDS)), dice))
            yield strikes


def new_seed() -> int:
    """A seed that no one has chosen."""
    return random.SystemRandom().randrange(2**31)


def _strike(kind: str, dice: random.Random) -> FaultEvent:
    after_ms = dice.randrange(20, 300)
    what = kind.partition("-")[2]
    if kind in PROXY_KINDS:
        target = dice.choice(PROXIED)
        call = dice.choice(("", *CALLS[target.partition("-")[0]]))
        hold_ms = 0
        if kind == "delay-request":
            hold_ms = dice.randrange(10, 300)
            if dice.randrange(3) == 0:
                # The proposal of a quote that comes when the quote would have expired already.
                target, call = "maker-2", "place"
                hold_ms = dice.randrange(TTL_MS, TTL_MS + 500)
        # Heartbeats are rare: the first that comes is struck, or the second.
        skip = dice.randrange(2 if call in ("heartbeat", "expire") else 6)
        return FaultEvent(kind, target, after_ms, hold_ms, call, skip)
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
