"""The faults of a chaos run on a cluster: their plan, which the seed alone draws, and their effect.

A fault names a partition. Which node is its primary shows when the fault begins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from redis.exceptions import RedisError

from mm.host import Shape
from mm.lab.chaos.archive_faults import keep_archive_copies
from mm.lab.chaos.faults import begin_common
from mm.lab.chaos.harmed import Effect, timer
from mm.lab.chaos.nodes import OF_PARTITION, NodesSystem
from mm.lab.chaos.plan import KINDS as ON_ONE_SERVER
from mm.lab.chaos.plan import TTL_MS, Dice, FaultEvent, rounds_of

#: The kinds of fault: name -> what happens.
KINDS = {
    "kill-primary": "kill -9 of a partition's primary; what it has written to its replica is lost",
    "kill-replica": "kill -9 of a partition's replica",
    "kill-pair": "kill -9 of a partition's primary and of its replica at once",
    "kill-primaries": "kill -9 of the primaries of two partitions at once: no majority is left",
    "stop-primary": "SIGSTOP of a primary until its replica has taken over, then SIGCONT",
    "stop-replica": "SIGSTOP of a replica, then SIGCONT",
    "cut-primary": "a primary that programs still reach is cut off from all other nodes",
    "cut-link": "the connections of a primary are cut, with what is under way",
    "move-partition": "the engine moves a partition's slot to another primary while it trades",
    "kill-process": "kill -9 of one process, or of all of a kind",
    "kill-processes": "kill -9 of all processes at once",
    **{
        kind: ON_ONE_SERVER[kind]
        for kind in ("stop-process", "fill-disk", "old-archive", "operate-mode", "operate-limit")
    },
}
#: Those that need replicas, and the one that needs an engine that moves a slot in one step.
NEED_REPLICAS = frozenset({"kill-replica", "kill-pair", "stop-replica", "cut-primary"})
NEED_MOVES = "move-partition"
#: A partition that moves is judged when the node that gave it away has forgotten it.
MOVED_S = 10.0


def kinds_of(shape: Shape, server: str) -> dict[str, str]:
    """The kinds of fault that a cluster of this shape and server can have."""
    found = dict(KINDS)
    if not shape.replicas:
        found = {kind: words for kind, words in found.items() if kind not in NEED_REPLICAS}
    if server != "valkey" or shape.partitions < 2:
        found.pop(NEED_MOVES)
    if shape.partitions < 2:
        found.pop("kill-primaries")
    return found


def plan_outages(seed: int, shape: Shape, server: str) -> Iterator[list[FaultEvent]]:
    """The faults of each round, without end; every kind comes once before one comes again."""
    kinds = kinds_of(shape, server)
    for faults in rounds_of(f"outages/{seed}", kinds, partial(_draw, shape.partitions)):
        # A partition moves alone: an engine may lose it when a node fails at the handover.
        yield faults[:1] if any(one.kind == NEED_MOVES for one in faults) else faults


def _draw(partitions: int, kind: str, dice: Dice) -> FaultEvent:
    after_ms = dice.randrange(20, 300)
    target, hold_ms, call = str(dice.randrange(partitions)), 0, ""
    what = kind.partition("-")[2]
    if kind in ("kill-process", "stop-process"):
        process = dice.choice((*OF_PARTITION, *OF_PARTITION, "balancer"))
        target = f"{process}-{target}.1" if process != "balancer" else "balancer-1"
        if kind == "kill-process" and dice.randrange(3) == 0:
            target = process
        hold_ms = dice.randrange(TTL_MS + 50, TTL_MS + 500) if kind == "stop-process" else 0
    elif kind == "kill-processes":
        target = "processes"
    elif kind in ("stop-primary", "cut-primary"):
        hold_ms = dice.randrange(1_500, 3_500)
    elif kind == "stop-replica":
        hold_ms = dice.randrange(100, 3_000)
    elif kind in ("fill-disk", "old-archive"):
        target, hold_ms = f"archivist-{target}.1", dice.randrange(200, TTL_MS)
    elif what in ("mode", "limit"):
        target = dice.choice(("AAPL", "SPY", "all"))
        hold_ms = dice.randrange(50, TTL_MS)
        call = dice.choice(("halted", "reducing")) if what == "mode" else ""
    return FaultEvent(kind, target, after_ms, hold_ms, call)


def begin_outage(system: NodesSystem, fault: FaultEvent) -> Effect:
    """Begin a fault."""
    keep_archive_copies(system)
    if not fault.target.isdecimal():
        return begin_common(system, fault)
    number = int(fault.target)
    nodes = system.nodes()
    primary, replicas = system.roles(number, nodes)
    if primary is None or (fault.kind in NEED_REPLICAS and not replicas):
        return Effect(applied=lambda: False)
    if fault.kind == "kill-replica":
        system.kill_node(replicas[0])
    elif fault.kind == "kill-pair":
        system.kill_node(primary)
        system.kill_node(replicas[0])
    elif fault.kind == "kill-primaries":
        other, _ = system.roles((number + 1) % system.shape.partitions, nodes)
        for node in {primary, primary if other is None else other}:
            system.kill_node(node)
    elif fault.kind == "cut-link":
        system.lose(primary)
    elif fault.kind == "stop-primary":
        return _held(fault, primary, system.stop_node, system.wake_node)
    elif fault.kind == "stop-replica":
        return _held(fault, replicas[0], system.stop_node, system.wake_node)
    elif fault.kind == "cut-primary":
        return _held(fault, primary, system.isolate, system.rejoin)
    elif fault.kind == NEED_MOVES:
        return _moved(system, number, primary)
    else:
        system.kill_node(primary)
    return Effect()


def _held(
    fault: FaultEvent, node: int, begin: Callable[[int], None], end: Callable[[int], None]
) -> Effect:
    begin(node)
    return Effect(timer(fault.hold_ms / 1000), lambda: end(node))


def _moved(system: NodesSystem, number: int, source: int) -> Effect:
    """Move the partition to the primary of another one, which has a replica."""
    homes = [system.roles(one, system.nodes())[0] for one in range(system.shape.partitions)]
    others = sorted({one for one in homes if one not in (None, source)})
    late, applied = timer(MOVED_S), False
    if others:
        target = others[number % len(others)]
        assert target is not None
        try:
            system.move(number, source, target)
        except RedisError as error:
            system.notes.append(f"partition {number} does not move: {error}")
            others = []

    def over() -> bool:
        nonlocal applied
        applied = system.roles(number, system.nodes())[0] not in (None, source)
        return applied or late() or not others

    return Effect(over, applied=lambda: applied)
