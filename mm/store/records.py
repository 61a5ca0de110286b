"""The parts of a snapshot as typed records, parsed once from the stored text.

:class:`Fields` reads the numbers and words of one hash. It raises SystemRefused naming the key and
the field when another program has damaged them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from mm.errors import UsageError
from mm.market import MODES, Position, Trade, own_mode, trades_of
from mm.store.raw import damage

T = TypeVar("T")

#: The sides of a quote; orders have the sides buy and sell.
SideName = Literal["bid", "ask"]

_INTEGER = re.compile(r"-?[0-9]{1,16}")


def parsed(key: str, parse: Callable[[], T]) -> T:
    """What ``parse`` returns; SystemRefused naming the key when the stored text is not valid."""
    try:
        return parse()
    except KeyError as error:
        raise damage(key, f"the field {error} is missing") from error
    except (ValueError, ArithmeticError, UsageError) as error:
        raise damage(key, f"a field is not what it must be: {error}") from error


class Fields:
    """The fields of the hash at ``key``."""

    def __init__(self, key: str, stored: Mapping[str, str]) -> None:
        self.key = key
        self._stored = stored

    def word(self, name: str) -> str:
        """The field's text; SystemRefused when the field is missing."""
        if name not in self._stored:
            raise damage(self.key, f"the field {name!r} is missing")
        return self._stored[name]

    def optional_word(self, name: str) -> str:
        """The field's text, or empty text without the field."""
        return self._stored.get(name, "")

    def integer(self, name: str) -> int:
        """The field's integer; SystemRefused when it is missing or not an integer."""
        stored = self.word(name)
        if not _INTEGER.fullmatch(stored):
            raise damage(self.key, f"{name} {stored!r}: it must be an integer")
        return int(stored)

    def optional_integer(self, name: str) -> int | None:
        """The field's integer, or None without the field; SystemRefused when it is no integer."""
        return self.integer(name) if name in self._stored else None


@dataclass(frozen=True)
class Control:
    """A trading mode that an operator has set, for one symbol or for all.

    ``since_ms`` is 0, and the words are empty, while none was ever set.
    """

    mode: str
    why: str
    who: str
    since_ms: int

    @classmethod
    def of(cls, fields: Fields, flattened_ms: int | None = None) -> Control:
        """Read the mode's fields of a hash; SystemRefused for a word that is no mode.

        A flattening symbol is halted since ``flattened_ms``, when it was flat.
        """
        mode = fields.optional_word("mode") or "active"
        if mode not in MODES:
            raise damage(fields.key, f"mode {mode!r}: it must be {', '.join(MODES)}")
        since_ms = fields.optional_integer("mode_ms") or 0
        own = own_mode(mode, flattened_ms is not None)
        return cls(
            own,
            fields.optional_word("mode_why"),
            fields.optional_word("mode_who"),
            since_ms if own == mode else flattened_ms or 0,
        )


@dataclass(frozen=True)
class QuoteSide:
    """One side of a quote: its price, the lots that remain, and the lots as placed.

    A side that was not placed has 0 ``size_lots``.
    """

    ticks: int
    lots: int
    size_lots: int


@dataclass(frozen=True)
class LiveQuote:
    """A quote that orders can execute against until ``expires_ms``."""

    quote_id: str
    quote_version: int
    bid: QuoteSide
    ask: QuoteSide
    position_version: int
    expires_ms: int
    maker_id: str

    @classmethod
    def of(cls, fields: Fields) -> LiveQuote:
        """The quote that a ``quote:*`` hash holds."""
        bid, ask = (
            QuoteSide(
                fields.integer(f"{side}_ticks"),
                fields.integer(f"{side}_lots"),
                fields.integer(f"{side}_size_lots"),
            )
            for side in ("bid", "ask")
        )
        return cls(
            fields.word("quote_id"),
            fields.integer("quote_version"),
            bid,
            ask,
            fields.integer("position_version"),
            fields.integer("expires_ms"),
            fields.word("maker_id"),
        )

    def side(self, name: SideName) -> QuoteSide:
        """The bid or the ask."""
        return self.bid if name == "bid" else self.ask


@dataclass(frozen=True)
class Reservation:
    """The exposure reserved for a symbol's quote, in units; ``state`` active, released, expired."""

    quote_id: str
    bid_units: int
    ask_units: int
    expires_ms: int
    state: str

    @classmethod
    def of(cls, fields: Fields) -> Reservation:
        """The reservation that a ``reservation:*`` hash holds."""
        return cls(
            fields.word("quote_id"),
            fields.integer("bid_units"),
            fields.integer("ask_units"),
            fields.integer("expires_ms"),
            fields.word("state"),
        )


@dataclass(frozen=True)
class Exposure:
    """The limit of each budget, and the units reserved: ``bid`` to buy, ``ask`` to sell.

    The limit of a partition is its lease.
    """

    limit_units: int
    bid_units: int
    ask_units: int

    @classmethod
    def of(cls, fields: Fields, limit_units: int) -> Exposure:
        """The totals that the ``exposure`` hash holds, under this limit."""
        return cls(limit_units, fields.integer("bid_units"), fields.integer("ask_units"))


@dataclass(frozen=True)
class Cursors:
    """How far each consumer has come: its last stream id, and the number of its records so far."""

    exchange_id: str
    exchange_records: int
    state_id: str
    state_records: int

    @classmethod
    def of(cls, fields: Fields) -> Cursors:
        """The cursors that the ``cursors`` hash holds; missing fields mean that nothing is read."""
        return cls(
            fields.optional_word("exchange") or "0-0",
            fields.optional_integer("exchange_records") or 0,
            fields.optional_word("state") or "0-0",
            fields.optional_integer("state_records") or 0,
        )


@dataclass(frozen=True)
class ProcessInfo:
    """What a process reported of itself at its last heartbeat.

    ``heartbeat_ms`` is 0 when there was none. ``count`` is the number of things it has done,
    ``rate_per_s`` the rate between its last two heartbeats. ``pid`` is None when unknown. Since
    ``steady_ms`` its heartbeats have followed each other without a gap; None when unknown.
    ``wants`` are the processes that an `mm up` runs. ``trouble`` is what it cannot do, or empty.
    ``done`` counts by name what it has done since its start.
    """

    kind: str
    heartbeat_ms: int
    count: int
    rate_per_s: int
    pid: int | None
    restarts: int
    steady_ms: int | None = None
    wants: tuple[str, ...] = ()
    trouble: str = ""
    done: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str, fields: Fields) -> ProcessInfo:
        """The process that a ``process:*`` hash describes; each field may be missing."""
        return cls(
            fields.optional_word("kind") or _kind_of(name),
            fields.optional_integer("heartbeat_ms") or 0,
            fields.optional_integer("count") or 0,
            fields.optional_integer("rate_per_s") or 0,
            fields.optional_integer("pid"),
            fields.optional_integer("restarts") or 0,
            fields.optional_integer("steady_ms"),
            tuple(name for name in fields.optional_word("wants").split() if name != "-"),
            fields.optional_word("trouble").removeprefix("-"),
            parsed(fields.key, lambda: _counts(fields.optional_word("done"))),
        )

    @classmethod
    def unheard(cls, name: str) -> ProcessInfo:
        """A process that has not had a heartbeat yet."""
        return cls(_kind_of(name), 0, 0, 0, None, 0)


@dataclass(frozen=True)
class ClientInfo:
    """A client that has an inbox: the orders taken from it, and when the last one was.

    ``last_ms`` is 0 before the first order.
    """

    name: str
    orders: int
    last_ms: int

    @classmethod
    def parse(cls, name: str, line: str) -> ClientInfo:
        """Read the line of the ``clients`` hash; ValueError when it is none."""
        orders, last = line.split(" ")
        return cls(name, int(orders), 0 if last == "-" else int(last))


def _counts(line: str) -> dict[str, int]:
    """Counts by name from ``fills=3 orders=4``; ValueError when it is not that."""
    words = [] if line in ("", "-") else [word.rpartition("=") for word in line.split()]
    return {name: int(count) for name, _, count in words}


def _kind_of(name: str) -> str:
    """The kind that a process name begins with: ``exchange-1`` -> ``exchange``."""
    return name.partition("-")[0]


def position_of(fields: Fields) -> Position:
    """The committed position that a ``position:*`` hash holds; a missing field is 0."""
    return Position(
        fields.optional_integer("net_lots") or 0,
        fields.optional_integer("cash_ticks") or 0,
        fields.optional_integer("cost_ticks") or 0,
        fields.optional_integer("position_version") or 0,
        fields.optional_integer("last_price_ticks") or 0,
        fields.optional_integer("twice_spread_ticks") or 0,
        fields.optional_integer("fair_ticks") or 0,
        fields.optional_integer("fair_rest") or 0,
        _trades(fields),
    )


def _trades(fields: Fields) -> tuple[Trade, ...]:
    return parsed(fields.key, lambda: trades_of(fields.optional_word("trades")))
