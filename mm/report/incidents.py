"""What went wrong and what was changed, from the streams of processes, operators, dead letters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol, TypeAlias, TypeVar

from mm.explain import life_step, operation_step
from mm.records import Entry, Range, Source, StreamName, merged
from mm.store import LifecycleEvent, Operation, pairs

Kind: TypeAlias = Literal["server", "process", "market", "operator", "protection"]


class _Timed(Protocol):
    @property
    def ts_ms(self) -> int: ...


T = TypeVar("T", bound=_Timed)


@dataclass(frozen=True)
class Incident:
    """Something that happened, as a sentence. ``kind`` says to what, or by whom."""

    ts_ms: int
    kind: Kind
    text: str

    @property
    def grave(self) -> bool:
        """Whether it happened to the system, rather than being what somebody wanted or set."""
        return self.kind not in ("operator", "protection")


@dataclass
class Rejected:
    """Records of one source that were rejected for one reason."""

    source: str
    reason: str
    count: int
    first_ms: int
    last_ms: int


def incidents_of(sources: Sequence[Source], wanted: Range) -> list[Incident]:
    """The ends and returns of processes and server, and what was changed, in their order.

    The first start of a process and its orderly stop are no incidents.
    """
    found = []
    # The first server of a system is no server that came back.
    known_server = any(source.lacks("lifecycle", 0) for source in sources)
    for one in _parsed(sources, "lifecycle", replace(wanted, since_ms=0), LifecycleEvent.parse):
        is_server = one.event == "server_started"
        came_back = known_server if is_server else one.before_pid is not None
        known_server = known_server or is_server
        if one.ts_ms >= wanted.since_ms and (came_back or one.event in ("lost", "returned")):
            found.append(
                Incident(one.ts_ms, "server" if is_server else "process", life_step(one).text)
            )
    found += [
        Incident(one.ts_ms, _kind_of(one), operation_step(one).text)
        for one in _parsed(sources, "operations", wanted, Operation.parse)
        if one.symbol == "*" or wanted.of(one.symbol)
    ]
    return sorted(found, key=lambda one: one.ts_ms)


def limit_changes(sources: Sequence[Source], wanted: Range) -> list[tuple[int, int, int]]:
    """Each change of the exposure limit: when, and the units before and after."""
    found = []
    for one in _parsed(sources, "operations", wanted, Operation.parse):
        before, after = (
            [word.removeprefix("limit_units=") for word in words.split() if "limit_units=" in word]
            for words in (one.before, one.after)
        )
        for old, new in zip(before, after, strict=False):
            if one.op == "config" and old.isdecimal() and new.isdecimal():
                found.append((one.ts_ms, int(old), int(new)))
    return sorted(set(found))


def rejected(sources: Sequence[Source], wanted: Range) -> list[Rejected]:
    """The dead letters of the range by source and reason, the most frequent first."""
    found: dict[tuple[str, str], Rejected] = {}
    for source in sources:
        for entry in source.entries("deadletter", wanted.since_ms):
            fields, ts_ms = pairs(entry.flat), entry.entry_ms
            if not wanted.since_ms <= ts_ms < wanted.until_ms:
                continue
            words = fields.get("source", "-"), fields.get("reason", "-")
            one = found.setdefault(words, Rejected(*words, 0, ts_ms, ts_ms))
            one.count += 1
            one.first_ms, one.last_ms = min(one.first_ms, ts_ms), max(one.last_ms, ts_ms)
    return sorted(found.values(), key=lambda one: -one.count)


def first_life_ms(sources: Sequence[Source]) -> int | None:
    """When the first process started of which is known; None when none is."""
    firsts = (next(iter(source.entries("lifecycle", 0)), None) for source in sources)
    return min((entry.entry_ms for entry in firsts if entry is not None), default=None)


def _kind_of(one: Operation) -> Kind:
    return "protection" if one.op in ("freeze", "end_freeze") and one.who == "-" else "operator"


def _parsed(
    sources: Sequence[Source],
    name: StreamName,
    wanted: Range,
    parse: Callable[[str, dict[str, str]], T],
) -> Iterator[T]:
    """The records of the range; entries of foreign programs are left out."""

    def of_one(source: Source) -> Iterator[tuple[Entry, T]]:
        for entry in source.entries(name, wanted.since_ms):
            try:
                one = parse(entry.entry_id, pairs(entry.flat))
            except (KeyError, ValueError):
                continue
            if wanted.since_ms <= one.ts_ms < wanted.until_ms:
                yield entry, one

    return (one for _, one in merged(map(of_one, sources), lambda pair: pair[0].entry_id))
