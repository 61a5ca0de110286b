"""What each kind of fault does to the system, and when it is over."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from redis.exceptions import RedisError

from mm.errors import Unavailable
from mm.lab.chaos.archive_faults import fill_disk, keep_archive_copies, put_old_archive
from mm.lab.chaos.harmed import Effect, HarmedSystem, timer
from mm.lab.chaos.plan import PROXY_KINDS, FaultEvent
from mm.lab.chaos.proxy import message_end
from mm.lab.chaos.system import ChaosSystem
from mm.store import Keys, Operator, apply_config, execute, require_config, set_modes, text

#: How long the proxy waits for a request that a fault applies to.
PATIENCE_S = 1.5
_OPERATOR = Operator("chaos")
#: A rewrite of the log here takes about this long.
REWRITE_S = 0.04


def begin_fault(system: ChaosSystem, fault: FaultEvent) -> Effect:
    """Begin a fault."""
    keep_archive_copies(system)
    if fault.kind in PROXY_KINDS:
        return _proxied(system, fault)
    if fault.kind == "stop-server":
        process = system.server.process
        return stopped(
            system, fault, [process.pid] if process is not None and system.server.running else []
        )
    if fault.kind == "kill-rewriting":
        return _rewriting(system, fault)
    if fault.kind == "tear-log":
        return _torn(system, fault)
    if fault.target == "server":
        return _server(system, fault)
    if fault.target == "all" and fault.kind == "kill-all":
        system.kill_server()
    return begin_common(system, fault)


def begin_common(system: HarmedSystem[Any], fault: FaultEvent) -> Effect:
    """Begin a fault that a system on one server and one on a cluster have in common."""
    if fault.kind == "stop-process":
        return stopped(system, fault, system.pids([fault.target]))
    if fault.kind == "fill-disk":
        return fill_disk(system, fault)
    if fault.kind == "old-archive":
        return put_old_archive(system, fault)
    if fault.kind == "operate-mode":
        return _operated(
            fault,
            lambda: _set_mode(system, fault, fault.call),
            lambda: _set_mode(system, fault, "active"),
        )
    if fault.kind == "operate-limit":
        limit = system.config.limit_units
        return _operated(
            fault, lambda: _set_limit(system, limit // 3), lambda: _set_limit(system, limit)
        )
    system.kill(system.names(fault.target))
    return Effect()


def _proxied(system: ChaosSystem, fault: FaultEvent) -> Effect:
    kind, call = PROXY_KINDS[fault.kind], fault.call
    demand = system.demand(fault.target, kind, call, fault.skip, fault.hold_ms)
    waited = timer(PATIENCE_S + fault.hold_ms / 1000)

    def applied() -> bool:
        return demand in system.applied

    return Effect(lambda: applied() or waited(), lambda: system.forget(demand), applied)


def stopped(system: HarmedSystem[Any], fault: FaultEvent, pids: Sequence[int]) -> Effect:
    """Stop these processes with SIGSTOP for as long as the fault says."""
    system.freeze(pids)
    return Effect(timer(fault.hold_ms / 1000), lambda: system.thaw(pids), lambda: bool(pids))


def _server(system: ChaosSystem, fault: FaultEvent) -> Effect:
    server = system.server
    before = server.killed_starting
    # Each of the next starts ends in a kill, which comes while the server loads its data.
    server.dooms = [percent / 100 for percent in fault.percents]
    system.kill_server()

    def over() -> bool:
        return not server.dooms and not server.armed

    return Effect(over, applied=lambda: not fault.percents or server.killed_starting > before)


def _rewriting(system: ChaosSystem, fault: FaultEvent) -> Effect:
    server, began = system.server, False
    with contextlib.suppress(RedisError):
        execute(system.scripts.client, "BGREWRITEAOF")
        began = True
    server.doom(REWRITE_S * fault.percents[0] / 100)
    return Effect(lambda: not server.armed, applied=lambda: began)


def _operated(fault: FaultEvent, do: Callable[[], object], undo: Callable[[], object]) -> Effect:
    """An operator does something, and takes it back later; each is tried until it has worked."""
    began: Callable[[], bool] | None = None

    def over() -> bool:
        nonlocal began
        with contextlib.suppress(RedisError, Unavailable, OSError):
            if began is None:
                do()
                began = timer(fault.hold_ms / 1000)
            elif began():
                undo()
                return True
        return False

    return Effect(over)


def _set_mode(system: HarmedSystem[Any], fault: FaultEvent, mode: str) -> None:
    symbols = [] if fault.target == "all" else [fault.target]
    done = set_modes(system.scripts, system.system_id, mode, _OPERATOR, "chaos", symbols)
    _again_when_missed(done.missed)


def _set_limit(system: HarmedSystem[Any], units: int) -> None:
    given = replace(require_config(system.scripts), limit_units=units)
    done = apply_config(system.scripts, system.system_id, _OPERATOR, "chaos", given)
    _again_when_missed(done.missed)


def _again_when_missed(missed: Sequence[str]) -> None:
    """Unavailable when an operator would give the command again."""
    if missed:
        raise Unavailable("; ".join(missed))


def _torn_write(keys: Keys, entry_id: str) -> bytes:
    """The first bytes of a matching step, as a crash in the middle of its write leaves them."""
    fill = ("XADD", keys.named("fills"), entry_id, "AAPL-1", "buy 1 1 nobody torn AAPL-1 1")
    words = "".join(f"${len(word)}\r\n{word}\r\n" for word in fill)
    whole = f"*1\r\n$5\r\nMULTI\r\n*{len(fill)}\r\n{words}"
    return f"{whole}*4\r\n$4\r\nHSET\r\n$20\r\n{keys.prefix}".encode()


def end_with(log: Path, torn: bytes) -> None:
    """End a log of commands with the first bytes of one more.

    The kill of its server may have torn a write already. That torn end goes: a log has only one,
    and with bytes behind it no server would load it.
    """
    data, whole = log.read_bytes(), 0
    while (end := message_end(data, whole)) > 0:
        whole = end
    log.write_bytes(data[:whole] + torn)


def _torn(system: ChaosSystem, fault: FaultEvent) -> Effect:
    """Kill the server, append a torn write to its log, let it trade on, and kill it again.

    Redis 7.0 loads such a log and leaves the open transaction in it. If the log is not repaired
    before trading goes on, the second start executes what was never acknowledged.
    """
    server, trading = system.server, None
    newest = "0"
    with contextlib.suppress(RedisError):
        found = execute(
            system.scripts.client, "XREVRANGE", system.keys.named("fills"), "+", "-", "COUNT", 1
        )
        newest = text(found[0][0]).partition("-")[0] if found else newest
    system.kill_server()
    logs = system.data_dir.path.glob("appendonlydir/*.incr.aof")
    log = max(logs, key=lambda path: int(path.name.split(".")[-3]))
    end_with(log, _torn_write(system.keys, f"{int(newest) + 50}-0"))

    def over() -> bool:
        nonlocal trading
        if not server.running:
            return False
        trading = trading or timer(fault.hold_ms / 1000)
        if trading():
            system.kill_server()
            return True
        return False

    return Effect(over)
