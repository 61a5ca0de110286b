"""The replies of the scripts, as :class:`mm.store.Scripts` returns them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mm.market import Position, StoredTrades
from mm.store.calls import text


@dataclass(frozen=True)
class Matched:
    """What one matching step did; ``cursor`` is the id of the last order entry processed."""

    cursor: str
    orders: int
    fills: int
    duplicates: int
    rejected: int
    more: bool
    now_ms: int
    next_expiry_ms: int


@dataclass(frozen=True)
class Collected:
    """What one collecting step took from the inboxes; ``refused`` orders name another client."""

    orders: int
    refused: int
    more: bool


@dataclass(frozen=True)
class Committed:
    """What one committing step did: new position versions and new halts, by symbol."""

    cursor: str
    fills: int
    more: bool
    now_ms: int
    versions: dict[str, int]
    halts: dict[str, str]


@dataclass(frozen=True)
class Expired:
    """What one expiring step released."""

    quote_ids: list[str]
    more: bool
    now_ms: int
    next_expiry_ms: int


@dataclass(frozen=True)
class Withdrawn:
    """What one withdrawing step ended. Nothing is ended while ``live_makers`` is not empty."""

    quote_ids: list[str]
    more: bool
    live_makers: list[str]


@dataclass(frozen=True)
class Configured:
    """What a change of the configuration did: the new version, and the quotes that it ended.

    ``missed`` is as in :class:`mm.store.Controlled`.
    """

    version: int
    quote_ids: list[str]
    missed: tuple[str, ...] = ()


@dataclass(frozen=True)
class SurveyRow:
    """One symbol as a maker sees it; ``quote_position_version`` is -1 without a live quote."""

    symbol: str
    fill_seq: int
    quote_version: int
    halted: bool
    position: Position
    waiting: bool
    quote_position_version: int
    quote_expires_ms: int

    @property
    def position_version(self) -> int:
        """The version of the committed position; -1 when it is missing."""
        return self.position.position_version


@dataclass(frozen=True)
class Survey:
    """The surveyed rows by symbol, and the waiting symbols that can be served, in order.

    ``cursor`` is the id of the newest position update that the rows take into account; ``more``
    says that there are newer ones. ``config_version`` is that of the stored configuration,
    ``history`` the name of the server's history, ``-`` without replicas.
    """

    now_ms: int
    rows: dict[str, SurveyRow]
    servable: list[str]
    cursor: str
    more: bool
    config_version: int
    history: str


def surveyed(reply: Any) -> Survey:
    """The reply of ``survey.lua``."""
    now, rows, servable, cursor, more, config_version, history = reply
    found: dict[str, SurveyRow] = {}
    for row in rows:
        symbol, seq, version, halted, committed, net, price, waits, based, expires, *money = row
        cash, cost, earned, fair, rest, trades = money
        found[text(symbol)] = SurveyRow(
            text(symbol),
            int(seq),
            int(version),
            halted == 1,
            Position(
                int(net or 0),
                int(cash or 0),
                int(cost or 0),
                int(committed or -1),
                int(price or 0),
                int(earned or 0),
                int(fair or 0),
                int(rest or 0),
                StoredTrades(text(trades or b"")),
            ),
            waits == 1,
            int(based),
            int(expires),
        )
    names = [text(one) for one in servable]
    return Survey(now, found, names, text(cursor), more == 1, int(config_version), text(history))
