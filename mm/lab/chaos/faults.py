"""What each kind of fault does to the system, and when it is over."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from redis.exceptions import RedisError

from mm.lab.chaos.plan import PROXY_KINDS, FaultEvent
from mm.lab.chaos.system import ChaosSystem
from mm.store import Keys, execute, text

#: How long a demand waits for a request to strike.
PATIENCE_S = 1.5
#: A log is rewritten within this time here.
REWRITE_S = 0.04


def _nothing() -> None:
    return


@dataclass
class Effect:
    """A fault under way. ``over`` says whether it is; ``end`` then undoes what must be undone.

    ``struck`` is whether it did what it was to do: a proxy may have found no request to strike.
    """

    over: Callable[[], bool] = lambda: True
    end: Callable[[], None] = _nothing
    struck: Callable[[], bool] = field(default=lambda: True)


def begin_fault(arena: ChaosSystem, strike: FaultEvent) -> Effect:
    """Let a fault begin."""
    if strike.kind in PROXY_KINDS:
        return _proxied(arena, strike)
    if strike.kind in ("stop-process", "stop-server"):
        return _stopped(arena, strike)
    if strike.kind == "kill-rewriting":
        return _rewriting(arena, strike)
    if strike.kind == "tear-log":
        return _torn(arena, strike)
    if strike.target == "server":
        return _server(arena, strike)
    arena.kill(arena.names(strike.target))
    if strike.target == "all":
        arena.server.kill()
    return Effect()


def _timer(seconds: float) -> Callable[[], bool]:
    due = time.monotonic() + seconds
    return lambda: time.monotonic() >= due


def _proxied(arena: ChaosSystem, strike: FaultEvent) -> Effect:
    kind, call = PROXY_KINDS[strike.kind], strike.call
    demand = arena.demand(strike.target, kind, call, strike.skip, strike.hold_ms)
    waited = _timer(PATIENCE_S + strike.hold_ms / 1000)

    def struck() -> bool:
        return demand in arena.hits

    return Effect(lambda: struck() or waited(), lambda: arena.forget(demand), struck)


def _stopped(arena: ChaosSystem, strike: FaultEvent) -> Effect:
    if strike.kind == "stop-server":
        process = arena.server.process
        pids = [process.pid] if process is not None and process.poll() is None else []
    else:
        pids = arena.pids([strike.target])
    arena.freeze(pids)
    return Effect(_timer(strike.hold_ms / 1000), lambda: arena.thaw(pids), lambda: bool(pids))


def _server(arena: ChaosSystem, strike: FaultEvent) -> Effect:
    server = arena.server
    before = server.killed_starting
    # The next starts are doomed; each ends in a kill, during the loading if the share is right.
    server.dooms = [percent / 100 for percent in strike.percents]
    server.kill()

    def over() -> bool:
        return not server.dooms and not server.armed

    return Effect(over, struck=lambda: not strike.percents or server.killed_starting > before)


def _rewriting(arena: ChaosSystem, strike: FaultEvent) -> Effect:
    server, began = arena.server, False
    with contextlib.suppress(RedisError):
        execute(arena.scripts.client, "BGREWRITEAOF")
        began = True
    server.doom(REWRITE_S * strike.percents[0] / 100)
    return Effect(lambda: not server.armed, struck=lambda: began)


def _torn_write(keys: Keys, entry_id: str) -> bytes:
    """The begin of a matching step that was never acknowledged, as much of it as came to disk."""
    fill = ("XADD", keys.named("fills"), entry_id, "AAPL-1", "buy 1 1 nobody torn AAPL-1 1")
    words = "".join(f"${len(word)}\r\n{word}\r\n" for word in fill)
    whole = f"*1\r\n$5\r\nMULTI\r\n*{len(fill)}\r\n{words}"
    return f"{whole}*4\r\n$4\r\nHSET\r\n$20\r\n{keys.prefix}".encode()


def _torn(arena: ChaosSystem, strike: FaultEvent) -> Effect:
    """Kill the server, leave a torn write behind, let it trade on, and kill it again.

    Redis 7.0 loads such a log and leaves the open transaction in it: unless the log is repaired
    before it trades on, what was never acknowledged comes to life at the second start.
    """
    server, trading = arena.server, None
    newest = "0"
    with contextlib.suppress(RedisError):
        found = execute(
            arena.scripts.client, "XREVRANGE", arena.keys.named("fills"), "+", "-", "COUNT", 1
        )
        newest = text(found[0][0]).partition("-")[0] if found else newest
    server.kill()
    logs = arena.directory.path.glob("appendonlydir/*.incr.aof")
    with max(logs, key=lambda path: int(path.name.split(".")[-3])).open("ab") as log:
        log.write(_torn_write(arena.keys, f"{int(newest) + 50}-0"))

    def over() -> bool:
        nonlocal trading
        if not server.running:
            return False
        trading = trading or _timer(strike.hold_ms / 1000)
        if trading():
            server.kill()
            return True
        return False

    return Effect(over)
