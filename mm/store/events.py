"""Records of the quotes and fills streams, parsed from stream entries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mm.market import Fill
from mm.store.calls import pairs, text
from mm.store.records import SideName


@dataclass(frozen=True)
class EventSide:
    """One side of a quote: its price, and its lots as placed and as requested."""

    name: SideName
    ticks: int = 0
    lots: int = 0
    requested_lots: int = 0

    @classmethod
    def parse(cls, name: SideName, fields: Mapping[str, str]) -> EventSide:
        """Read one side of a quote event; KeyError or ValueError when it is incomplete."""
        words = (f"{name}_ticks", f"{name}_lots", f"requested_{name}_lots")
        return cls(name, *(int(fields[word]) for word in words))


@dataclass(frozen=True)
class QuoteEvent:
    """An entry of the quotes stream: a placement or the end of a quote.

    ``event`` is active, withdrawn or expired. An omission is a placement whose ``event`` is
    withdrawn and whose ``outcome`` is omitted. An end repeats the values of its placement; once
    the placement is trimmed from the stream, ``outcome`` is empty text and the fields after it are
    0 or empty. ``cause`` says why a quote was withdrawn: halted, operator_halt, reducing or
    stopped; else it is empty. ``mode`` is the trading mode of a placement, empty in events of
    earlier versions.
    """

    entry_id: str
    event: str
    symbol: str
    quote_id: str
    ts_ms: int
    outcome: str = ""
    quote_version: int = 0
    bid: EventSide = EventSide("bid")
    ask: EventSide = EventSide("ask")
    position_version: int = 0
    fill_seq: int = 0
    expires_ms: int = 0
    maker_id: str = ""
    trigger: str = ""
    cause: str = ""
    mode: str = ""

    @classmethod
    def parse(cls, entry_id: str, fields: Mapping[str, str]) -> QuoteEvent:
        """Read an entry; KeyError or ValueError when it is no quote event."""
        event, symbol, quote_id = fields["event"], fields["symbol"], fields["quote_id"]
        ts_ms = int(fields["ts_ms"])
        if "outcome" not in fields:
            return cls(entry_id, event, symbol, quote_id, ts_ms, cause=fields.get("cause", ""))
        return cls(
            entry_id,
            event,
            symbol,
            quote_id,
            ts_ms,
            fields["outcome"],
            int(fields["quote_version"]),
            EventSide.parse("bid", fields),
            EventSide.parse("ask", fields),
            int(fields["position_version"]),
            int(fields["fill_seq"]),
            int(fields["expires_ms"]),
            fields["maker_id"],
            fields["trigger"],
            fields.get("cause", ""),
            fields.get("mode", ""),
        )

    @property
    def is_placement(self) -> bool:
        """Whether a maker's proposal caused it; otherwise it is the end of a quote."""
        return self.event == "active" or self.outcome == "omitted"

    @property
    def entry_ms(self) -> int:
        """The time in the id of its stream entry."""
        return int(self.entry_id.partition("-")[0])


#: What can happen to a process or to the server: the events of the lifecycle stream.
LIFECYCLE = ("started", "stopped", "lost", "returned", "server_started")


@dataclass(frozen=True)
class LifecycleEvent:
    """An entry of the lifecycle stream: ``event`` is one of ``LIFECYCLE``.

    ``process``, ``kind`` and ``pid`` are ``-`` for the server. ``before_pid`` is a process of the
    same name that had ended without a farewell, and ``heard_ms`` when it, or the lost or returned
    process, or for the server any process, was last heard before; None where there is none.
    """

    entry_id: str
    event: str
    process: str
    kind: str
    pid: str
    before_pid: str | None
    heard_ms: int | None
    ts_ms: int

    @classmethod
    def parse(cls, entry_id: str, fields: Mapping[str, str]) -> LifecycleEvent:
        """Read an entry; KeyError or ValueError when it is no lifecycle event."""
        before, heard = fields["before_pid"], fields["heard_ms"]
        return cls(
            entry_id,
            fields["event"],
            fields["process"],
            fields["kind"],
            fields["pid"],
            None if before == "-" else before,
            None if heard == "-" else int(heard),
            int(fields["ts_ms"]),
        )


@dataclass(frozen=True)
class Operation:
    """An entry of the operations stream: who changed what, and why.

    ``op`` is mode, repair, end_halt, freeze, end_freeze, config, admit, or of one symbol's
    configuration alter, add, retire or return; ``symbol`` is ``*`` for all symbols.
    """

    entry_id: str
    op: str
    symbol: str
    who: str
    role: str
    why: str
    before: str
    after: str
    ts_ms: int

    @classmethod
    def parse(cls, entry_id: str, fields: Mapping[str, str]) -> Operation:
        """Read an entry; KeyError or ValueError when it is no operation."""
        return cls(
            entry_id,
            fields["op"],
            fields["symbol"],
            fields["who"],
            fields["role"],
            fields["why"],
            fields["before"],
            fields["after"],
            int(fields["ts_ms"]),
        )


def parse_events(entries: Iterable[Any]) -> list[QuoteEvent]:
    """The quote events of stream entries, in their order; other entries are left out."""
    found = []
    for entry_id, fields in entries:
        try:
            found.append(QuoteEvent.parse(text(entry_id), pairs(fields)))
        except (KeyError, ValueError):
            continue  # the entry of a foreign program
    return found


def parse_fills(entries: Iterable[Any]) -> list[Fill]:
    """The fills of stream entries, newest first as the entries; other records are left out."""
    found = []
    for _, fields in entries:
        for fill_id, line in reversed(pairs(fields).items()):
            try:
                found.append(Fill.parse(fill_id, line))
            except ValueError:
                continue  # commit.lua halts its symbol and keeps the record as a dead letter
    return found
