"""The records of the system in integer ticks and lots, and their lines on the wire.

A line holds the words of a record in a fixed order with a space between two, ``-`` for none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from mm.errors import ValueRefused
from mm.market.numbers import check_id, check_int, check_symbol, exact_product, from_steps
from mm.market.reasons import CONFLICT

Side = Literal["buy", "sell"]
Status = Literal["filled", "partially_filled", "canceled", "rejected"]
Trigger = Literal["position", "refresh", "expired", "bootstrap", "capacity"]
Outcome = Literal["granted", "reduced", "omitted"]

#: The integer parameters of a symbol, under these names in files, in keys and in :class:`Symbol`.
SYMBOL_INTS = (
    *("spread_ticks", "size_lots", "skew_ticks", "position_limit_lots", "multiplier"),
    *("protection_lots", "protection_loss_ticks", "fair_weight"),
)

_SIDES: Mapping[str, Side] = {"buy": "buy", "sell": "sell"}
_STATUSES: Mapping[str, Status] = {
    "filled": "filled",
    "partially_filled": "partially_filled",
    "canceled": "canceled",
    "rejected": "rejected",
}
_FILL_ID = re.compile(r"[A-Z0-9._-]{1,16}-[0-9]{1,16}")


@dataclass(frozen=True)
class Symbol:
    """A symbol's parameters. Prices in ticks, quantities in lots.

    Trading more than ``protection_lots``, or losing more than ``protection_loss_ticks`` (ticks x
    lots), within the window of the configuration freezes it; 0 is no bound. Each trade moves the
    fair price that is committed with a position by ``fair_weight`` per cent of the way to it.
    ``currency`` is that of its prices, empty for the one of the configuration. A ``retired`` symbol
    is reduced until it is flat, and then closed. Files name none.
    """

    name: str
    tick: Decimal
    lot: Decimal
    reference_ticks: int
    spread_ticks: int
    size_lots: int
    skew_ticks: int
    position_limit_lots: int
    multiplier: int = 1
    protection_lots: int = 0
    protection_loss_ticks: int = 0
    fair_weight: int = 100
    currency: str = ""
    retired: bool = False

    def price(self, ticks: int) -> str:
        """The price of ``ticks`` as exact decimal text."""
        return from_steps(ticks, self.tick)

    def quantity(self, lots: int) -> str:
        """The quantity of ``lots`` as exact decimal text."""
        return from_steps(lots, self.lot)

    def money(self, ticks_lots: int) -> str:
        """Money as exact decimal text; one tick x lot is worth tick x lot x multiplier."""
        return from_steps(ticks_lots, exact_product(self.tick, self.lot, Decimal(self.multiplier)))


def check_side(value: str) -> Side:
    """Return ``value`` if it is the side of an order, else raise ValueRefused."""
    if value not in _SIDES:
        raise ValueRefused(f"side {value!r}: it must be buy or sell")
    return _SIDES[value]


@dataclass(frozen=True)
class Order:
    """An immediate-or-cancel limit order. ValueRefused when a field breaks a rule."""

    client_id: str
    order_id: str
    symbol: str
    side: Side
    qty_lots: int
    limit_ticks: int

    def __post_init__(self) -> None:
        check_id("client_id", self.client_id)
        check_id("order_id", self.order_id)
        check_symbol(self.symbol)
        check_side(self.side)
        check_int("qty_lots", self.qty_lots)
        check_int("limit_ticks", self.limit_ticks)

    @property
    def content(self) -> str:
        """What makes it this order and no other with its id: symbol, side, lots and limit (R13)."""
        return f"{self.symbol} {self.side} {self.qty_lots} {self.limit_ticks}"

    def wire(self) -> str:
        """The order's line on the orders stream (its order_id is the field name)."""
        return f"{self.client_id} {self.content}"


def _int(word: str) -> int:
    return int(word) if word != "-" else 0


def _word(word: str) -> str:
    return word if word != "-" else ""


@dataclass(frozen=True)
class Report:
    """An execution report: the one outcome of an order. Empty text and 0 mean none."""

    order_id: str
    status: Status
    reason: str
    cum_lots: int
    price_ticks: int
    fill_id: str
    quote_id: str
    duplicate: bool
    ts_ms: int

    @classmethod
    def parse(cls, order_id: str, line: str) -> Report:
        """Read a record of a reports stream; ValueError when it is not a report.

        A report has one of the four statuses, and names its fill exactly when it has lots.
        """
        status, reason, cum, price, fill, quote, duplicate, ts = line.split(" ")
        lots = int(cum)
        if status not in _STATUSES or not (_FILL_ID.fullmatch(fill) if lots else fill == "-"):
            raise ValueError(f"not a report: {order_id} {line}")
        return cls(
            order_id,
            _STATUSES[status],
            _word(reason),
            lots,
            _int(price),
            _word(fill),
            _word(quote),
            duplicate == "1",
            int(ts),
        )

    def can_answer(self, order: Order) -> bool:
        """Whether the order can have this outcome. A fill must be of its symbol, size and price."""
        if not self.cum_lots:
            return self.status in ("canceled", "rejected")
        better = order.limit_ticks - self.price_ticks
        return (
            self.fill_id.rpartition("-")[0] == order.symbol
            and self.cum_lots <= order.qty_lots
            and self.status == ("filled" if self.cum_lots == order.qty_lots else "partially_filled")
            and (better if order.side == "buy" else -better) >= 0
        )

    def as_conflict(self) -> Report:
        """The report of an order whose id was used before, for the order that this one is of."""
        return Report(self.order_id, "rejected", CONFLICT, 0, 0, "", "", False, self.ts_ms)


@dataclass(frozen=True)
class Fill:
    """A record of the ledger. ``side`` is the order's: a buy makes the maker's position smaller.

    ``spread_ticks`` lies between the bid and the ask of the quote; None in a record of an earlier
    version, which lacks it.
    """

    fill_id: str
    symbol: str
    seq: int
    side: Side
    qty_lots: int
    price_ticks: int
    client_id: str
    order_id: str
    quote_id: str
    ts_ms: int
    spread_ticks: int | None = None

    @classmethod
    def parse(cls, fill_id: str, line: str) -> Fill:
        """Read a record of the fills stream; ValueError when it is not a fill."""
        symbol, dash, seq = fill_id.rpartition("-")
        side, qty, price, client, order, quote, ts, *spread = line.split(" ")
        if side not in ("buy", "sell") or not dash or len(spread) > 1:
            raise ValueError(f"not a fill: {fill_id} {line}")
        return cls(
            fill_id,
            symbol,
            int(seq),
            side,  # type: ignore[arg-type]  # checked above
            int(qty),
            int(price),
            client,
            order,
            quote,
            int(ts),
            int(spread[0]) if spread else None,
        )

    @property
    def signed_lots(self) -> int:
        """Change of the maker's position in lots."""
        return self.qty_lots if self.side == "sell" else -self.qty_lots


@dataclass(frozen=True)
class Prices:
    """The prices and sizes of a two-sided quote: what the quote rule returns."""

    bid_ticks: int
    bid_lots: int
    ask_ticks: int
    ask_lots: int


@dataclass(frozen=True)
class Proposal:
    """A maker's request to place a quote, with the versions that it was computed from (R5).

    ``history`` is that of the server in which they were read; ``-`` without replicas.
    """

    symbol: str
    maker_id: str
    trigger: Trigger
    position_version: int
    quote_version: int
    prices: Prices
    config_version: int
    history: str = "-"


@dataclass(frozen=True)
class Placement:
    """What ``place.lua`` did with a proposal. A side that is not quoted has 0 lots."""

    outcome: Outcome
    quote_id: str
    bid_lots: int
    ask_lots: int
    expires_ms: int
