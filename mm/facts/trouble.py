"""What stops trading now, in plain sentences: the one voice of every screen and of ``--json``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from redis.exceptions import RedisError

from mm.errors import MMError
from mm.facts.archives import archives_at_rest
from mm.facts.partitions import short_of_replicas
from mm.facts.processes import ProcessRow, names_in, part_of, process_rows, wanted_since
from mm.facts.quotes import freezes, halts, modes_set
from mm.facts.stoppage import Stoppage
from mm.instant import timestamp
from mm.market import LIVE_MS, MAX_INT
from mm.store import (
    Placement,
    Scripts,
    ServerInfo,
    Snapshot,
    SymbolState,
    accepts,
    read_placement,
    server_info,
    take_snapshot,
    trouble_of,
)

#: The kinds of process without which trading stops -> what then stands still.
_NEEDED = {
    "exchange": ("exchange", "orders wait for their reports"),
    "state": ("trading state service", "fills wait, and positions stand still"),
    "maker": ("maker", "quotes run out and are not replaced"),
}
#: The same for what the partitions of a system have in common.
_BALANCING = {"balancer": ("balancer", "each partition keeps its part of the limit")}
#: The kinds without which trading goes on -> what then happens.
_BESIDE = {"archivist": "fills stay in the server's memory"}
#: Trading mode -> what it means for a symbol.
_MODES = {
    "reducing": "quoted only to shrink its position",
    "flattening": "quoted only to shrink its position, and then halted",
    "halted": "halted",
}
#: With what the cause of a halt begins.
HALT = "halt"
#: The cause of a system whose state cannot be read.
UNREACHABLE = "server"
#: The cause of a system of which nothing runs, not even its server.
STOPPED = "stopped"
#: With what the cause of a missing process begins, and that of what one says itself.
ABSENT, TROUBLE = "absent", "trouble of"
#: The causes for which a server refuses orders and still takes heartbeats.
HEARD_ALL_THE_SAME = {"memory"}
#: Milliseconds that the first start of all processes may take.
START_MS = 10_000
#: Within so many milliseconds after `mm up` is heard again its processes are heard, too.
AGAIN_MS = 1_500
#: An archivist may be silent so many milliseconds: it waits for its disk.
DISK_MS = 10_000
#: The most names in one sentence.
MAX_NAMES = 5


def stoppages(
    snapshot: Snapshot,
    server: ServerInfo | None = None,
    supervised: Mapping[str, int] | None = None,
    placement: Placement | None = None,
) -> list[Stoppage]:
    """Everything that stops trading at the instant, the gravest first.

    ``server`` is what the server says of itself, None when that is unknown. ``supervised`` names
    the processes that `mm up` runs, which may not have had a heartbeat yet. ``placement`` is where
    the partitions are.
    """
    found: list[Stoppage] = []
    if server is not None:
        found += [Stoppage(cause, _refuses(why)) for cause, why in server.refusals.items()]
    mute = server is not None and bool(server.refusals.keys() - HEARD_ALL_THE_SAME)
    forgiven = mute or (bool(supervised) and _is_back_lately(snapshot))
    absent = list(_absent(snapshot, supervised or {}, mute, forgiven))
    wanted = snapshot.config.durability
    weak = server.weak if server is not None and not accepts(server, wanted) else []
    if absent and weak:
        found.append(
            Stoppage(
                "durability",
                f"the server does not put every acknowledged write on disk ({', '.join(weak)}):"
                " processes refuse it without --durability relaxed",
            )
        )
    found += absent
    if not mute:
        found += _missing(snapshot, {one.cause for one in absent}, forgiven)
    found += _short_of_replicas(snapshot, placement)
    found += _own_words(snapshot)
    found += [*_halts(snapshot), *_freezes(snapshot), *_modes(snapshot)]
    return [*found, *_without_exposure(snapshot)]


def _halts(snapshot: Snapshot) -> Iterator[Stoppage]:
    """The first halted symbols with their reasons, and how many more there are."""
    found = sorted(halts(snapshot).items())
    for name, why in found[:MAX_NAMES]:
        yield Stoppage(f"{HALT} {name}", f"{name} is halted: {why}")
    more = len(found) - MAX_NAMES
    if more > 0:
        symbols = "symbol is" if more == 1 else "symbols are"
        yield Stoppage(f"{HALT}s", f"{more} more {symbols} halted")


def freeze_sentence(name: str, state: SymbolState) -> str:
    """What a protection has frozen, until when, and why."""
    lasts = "until an operator resumes it"
    if state.frozen_until_ms < MAX_INT:
        lasts = f"until {timestamp(state.frozen_until_ms)}"
    return f"{name} is frozen by its protection, {lasts}: {state.frozen}"


def _freezes(snapshot: Snapshot) -> Iterator[Stoppage]:
    """The first frozen symbols, and how many more there are; a freeze with an end is expected."""
    found = sorted(freezes(snapshot).items())
    for name, state in found[:MAX_NAMES]:
        words, ends = freeze_sentence(name, state), state.frozen_until_ms < MAX_INT
        yield Stoppage(f"freeze {name}", words, expected=ends)
    more = len(found) - MAX_NAMES
    if more > 0:
        symbols = "symbol is" if more == 1 else "symbols are"
        yield Stoppage("freezes", f"{more} more {symbols} frozen", expected=True)


def mode_sentences(snapshot: Snapshot) -> dict[str, str]:
    """A sentence for each trading mode that an operator has set, by symbol; ``*`` is all."""
    found = {}
    for name, control in modes_set(snapshot).items():
        subject = "every symbol is" if name == "*" else f"{name} is"
        if name != "*" and snapshot.symbols[name].symbol.retired:
            subject += " retired,"
        by = f"by {control.who} since {timestamp(control.since_ms)}: {control.why}"
        found[name] = f"{subject} {_MODES[control.mode]}, {by}"
    return found


def _modes(snapshot: Snapshot) -> Iterator[Stoppage]:
    """The mode of all symbols, those of the first symbols, and how many more have one."""
    found = list(mode_sentences(snapshot).items())
    for name, words in found[: MAX_NAMES + 1]:
        yield Stoppage(f"mode {name}", words, expected=True)
    more = len(found) - MAX_NAMES - 1
    if more > 0:
        symbols = "symbol has" if more == 1 else "symbols have"
        yield Stoppage("modes", f"{more} more {symbols} a mode", expected=True)


def unreachable(words: str) -> Stoppage:
    """The stoppage of a system whose state cannot be read; ``words`` say why."""
    return Stoppage(UNREACHABLE, words)


def stoppages_now(scripts: Scripts) -> list[Stoppage]:
    """Everything that stops trading now. Never raises: it is shown beside something else."""
    try:
        found = take_snapshot(scripts)
        placement = read_placement(scripts, found.config.partitions)
        return stoppages(found, server_info(scripts.client), placement=placement)
    except (MMError, RedisError, OSError) as error:
        return [unreachable(trouble_of(error).words)]


def stoppages_at_rest(scripts: Scripts) -> list[Stoppage]:
    """That the system is stopped, and what will stop trading when it runs again.

    ``scripts`` are those of a private server over its data: what that one is, and who is connected
    to it, says nothing of the system.
    """
    found = take_snapshot(scripts)
    stopped = Stoppage(STOPPED, "the system is stopped: `mm up` starts it again", expected=True)
    held = [*_halts(found), *_freezes(found), *_modes(found)]
    return [stopped, *archives_at_rest(scripts), *held]


def _refuses(why: str) -> str:
    return f"the server refuses writes, so orders wait: {why}"


def _is_back_lately(snapshot: Snapshot) -> bool:
    """Whether the heartbeats of `mm up` itself fail, or have come through again only lately.

    Then those of its processes may still be on their way: they try again at times of their own.
    """
    ups = [one for one in snapshot.processes.values() if one.kind == "up"]
    return bool(ups) and all(
        snapshot.now_ms - one.heartbeat_ms > LIVE_MS
        or snapshot.now_ms - (one.steady_ms or 0) < AGAIN_MS
        for one in ups
    )


def _absent(
    snapshot: Snapshot, supervised: Mapping[str, int], mute: bool, forgiven: bool
) -> Iterator[Stoppage]:
    """The needed kinds of which no process is live.

    While heartbeats are refused (``mute``), and until they have all had time to come through again
    (``forgiven``), a process that was heard before may well be there.
    """
    rows, since = process_rows(snapshot, supervised), wanted_since(snapshot)
    there = {
        row.kind for row in rows if row.state == "live" or (forgiven and row.state == "silent")
    }
    if not there & _NEEDED.keys() and not supervised and not since:
        yield Stoppage("processes", "no exchange, state service or maker is live: nothing trades")
        return
    if snapshot.parts:
        for number in range(len(snapshot.parts)):
            part, names = part_of(snapshot, number), names_in(supervised, number)
            for one in _absent(part, dict.fromkeys(names, 0), mute, forgiven):
                words = one.words.replace(":", f" in partition {number}:", 1)
                yield replace(one, cause=f"{one.cause} in partition {number}", words=words)
    needed = _BALANCING if snapshot.parts else _NEEDED
    for kind, (name, effect) in needed.items():
        if mute or kind in there:
            continue
        new = [row for row in rows if row.kind == kind and row.state == "unheard"]
        why = f"{new[0].name} has not reported yet" if new else f"no {name} is live"
        first_start = bool(new) and all(_starts(snapshot, row, since) for row in new)
        yield Stoppage(f"no {kind}", f"{why}: {effect}", expected=first_start)


def _starts(snapshot: Snapshot, row: ProcessRow, since: Mapping[str, int]) -> bool:
    """Whether the process may still be at its first start."""
    started_ms = since.get(row.name, snapshot.now_ms)
    new = snapshot.now_ms - started_ms < START_MS
    return row.state == "unheard" and not row.restarts and new


def _missing(snapshot: Snapshot, causes: set[str], forgiven: bool) -> Iterator[Stoppage]:
    """The processes that a live `mm up` wants and that are not live, beside kinds without any."""
    rows = {row.name: row for row in process_rows(snapshot)}
    since = wanted_since(snapshot)
    for name in since:
        row = rows[name]
        without = any(cause.startswith(f"no {row.kind}") for cause in causes)
        if row.state == "live" or "processes" in causes or without:
            continue
        if forgiven and row.state == "silent":
            continue
        effect = _BESIDE.get(row.kind)
        heard = "is not heard of"
        if row.silent_ms is not None:
            if effect and row.silent_ms <= DISK_MS:
                continue
            heard = f"has been silent for {row.silent_ms // 1_000} s"
        yield Stoppage(
            f"{ABSENT} {name}",
            f"{name}, which `mm up` runs, {heard}{f': {effect}' if effect else ''}",
            expected=_starts(snapshot, row, since),
            trades_on=effect is not None,
        )


def _own_words(snapshot: Snapshot) -> Iterator[Stoppage]:
    """What live processes say that they cannot do, such as a maker whose quote rule fails."""
    for name, one in sorted(snapshot.processes.items()):
        if one.trouble and snapshot.now_ms - one.heartbeat_ms <= LIVE_MS:
            effect = _BESIDE.get(one.kind)
            words = f"{name}: {one.trouble}{f'; {effect}' if effect else ''}"
            yield Stoppage(f"{TROUBLE} {name}", words, trades_on=effect is not None)


def _short_of_replicas(snapshot: Snapshot, placement: Placement | None) -> Iterator[Stoppage]:
    """The partitions whose reports are not final for want of replicas."""
    for row in short_of_replicas(snapshot, placement):
        where = f"partition {row.number}" if snapshot.parts else "the server"
        yield Stoppage(
            f"replicas of {row.number}",
            f"{where} has {row.followers} of {row.replicas} replicas: its reports are not final"
            " until all follow",
        )


def _without_exposure(snapshot: Snapshot) -> Iterator[Stoppage]:
    """The symbols that wait for exposure and have no quote meanwhile."""
    waiting = snapshot.waiting_bid | snapshot.waiting_ask
    found = [name for name in waiting if snapshot.expiry.get(name, 0) <= snapshot.now_ms]
    if found:
        more = f" and {len(found) - MAX_NAMES} more" if len(found) > MAX_NAMES else ""
        yield Stoppage(
            "exposure",
            f"no exposure is free, so these have no quote: {' '.join(found[:MAX_NAMES])}{more}",
            expected=True,
        )
