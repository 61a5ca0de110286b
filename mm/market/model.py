"""The words of the system: frozen records in integer ticks and lots, and their wire forms.

Decimals exist only at the edges. :func:`to_steps` and :func:`from_steps` are the one crossing,
exact in both directions. Wire lines are those of the contract: space-separated words in a fixed
order, ``-`` for none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from mm.errors import ValueRefused
from mm.market.numbers import _EXACT, check_id, check_int, check_symbol, from_steps

Side = Literal["buy", "sell"]
Status = Literal["filled", "partially_filled", "canceled", "rejected"]
Trigger = Literal["position", "refresh", "expired", "bootstrap", "capacity"]
Outcome = Literal["granted", "reduced", "omitted"]

_SIDES: Mapping[str, Side] = {"buy": "buy", "sell": "sell"}

#: Why an order did not fill in full: reason word -> what it means.
REASONS = {
    "no_quote": "the symbol has no quote on the side the order needs",
    "expired": "the symbol's quote had reached its expiry",
    "not_crossing": "the limit price does not reach the quote's price",
    "exhausted": "the quote's remaining quantity was smaller than the order",
    "halted": "the symbol is halted after an integrity error",
    "unknown_symbol": "no such symbol is configured",
    "malformed": "not five words: client_id symbol side qty_lots limit_ticks",
    "bad_client_id": "client_id is not 1 to 64 of A-Z a-z 0-9 . _ -",
    "bad_order_id": "order_id is not 1 to 64 of A-Z a-z 0-9 . _ -",
    "bad_symbol": "symbol is not 1 to 16 of A-Z 0-9 . _ -",
    "bad_side": "side is neither buy nor sell",
    "quantity_not_integer": "qty_lots is not a plain decimal integer",
    "quantity_not_positive": "qty_lots is zero or negative",
    "quantity_too_large": "qty_lots is above 2^53 - 1",
    "price_not_integer": "limit_ticks is not a plain decimal integer",
    "price_not_positive": "limit_ticks is zero or negative",
    "price_too_large": "limit_ticks is above 2^53 - 1",
}


@dataclass(frozen=True)
class Symbol:
    """A symbol's fixed parameters. Prices in ticks, quantities in lots."""

    name: str
    tick: Decimal
    lot: Decimal
    reference_ticks: int
    spread_ticks: int
    size_lots: int
    skew_ticks: int
    position_limit_lots: int
    multiplier: int = 1

    def price(self, ticks: int) -> str:
        """The price of ``ticks`` as exact decimal text."""
        return from_steps(ticks, self.tick)

    def quantity(self, lots: int) -> str:
        """The quantity of ``lots`` as exact decimal text."""
        return from_steps(lots, self.lot)

    def money(self, ticks_lots: int) -> str:
        """Money of ``ticks x lots`` as exact decimal text (tick x lot x multiplier each)."""
        value = _EXACT.multiply(_EXACT.multiply(self.tick, self.lot), Decimal(self.multiplier))
        return from_steps(ticks_lots, value)


def check_side(value: str) -> Side:
    """Return ``value`` if it is a side, else raise ValueRefused."""
    if value not in _SIDES:
        raise ValueRefused(f"side {value!r}: it must be buy or sell")
    return _SIDES[value]


@dataclass(frozen=True)
class Order:
    """An immediate-or-cancel limit order, as its sender wrote it."""

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

    def wire(self) -> str:
        """The order's line on the orders stream (its order_id is the field name)."""
        return f"{self.client_id} {self.symbol} {self.side} {self.qty_lots} {self.limit_ticks}"


def _int(word: str) -> int:
    return int(word) if word != "-" else 0


def _word(word: str) -> str:
    return word if word != "-" else ""


@dataclass(frozen=True)
class Report:
    """An execution report: the one outcome of an order. Empty text and 0 stand for none."""

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
        """Read a record of a reports stream."""
        status, reason, cum, price, fill, quote, duplicate, ts = line.split(" ")
        return cls(
            order_id,
            status,  # type: ignore[arg-type]  # the script writes only the four
            _word(reason),
            int(cum),
            _int(price),
            _word(fill),
            _word(quote),
            duplicate == "1",
            int(ts),
        )


@dataclass(frozen=True)
class Fill:
    """A ledger record. ``side`` is the order's: a buy order makes the maker's position smaller."""

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

    @classmethod
    def parse(cls, fill_id: str, line: str) -> Fill:
        """Read a record of the fills stream; ValueError when it is not one."""
        symbol, dash, seq = fill_id.rpartition("-")
        side, qty, price, client, order, quote, ts = line.split(" ")
        if side not in ("buy", "sell") or not dash:
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
        )

    @property
    def signed_lots(self) -> int:
        """Change of the maker's position in lots."""
        return self.qty_lots if self.side == "sell" else -self.qty_lots


@dataclass(frozen=True)
class Position:
    """A symbol's committed position.

    ``cash_ticks`` is the sum of -(signed lots x price_ticks); ``cost_ticks`` is what the open
    lots cost, signed like ``net_lots``, at average cost in whole ticks (see :meth:`apply`).
    """

    net_lots: int = 0
    cash_ticks: int = 0
    cost_ticks: int = 0
    position_version: int = 0
    last_price_ticks: int = 0

    def apply(self, signed_lots: int, price_ticks: int) -> Position:
        """The position after one more fill; what ``commit.lua`` does, in Python for the audit."""
        net = self.net_lots + signed_lots
        if self.net_lots * signed_lots >= 0:
            cost = self.cost_ticks + signed_lots * price_ticks
        elif net * self.net_lots > 0:
            sign = 1 if net > 0 else -1
            cost = sign * (abs(self.cost_ticks) * abs(net) // abs(self.net_lots))
        else:
            cost = net * price_ticks
        return Position(
            net,
            self.cash_ticks - signed_lots * price_ticks,
            cost,
            self.position_version + 1,
            price_ticks,
        )

    @property
    def realised_ticks(self) -> int:
        """Profit of what has been closed, in ticks x lots."""
        return self.cash_ticks + self.cost_ticks

    def unrealised_ticks(self, mark_ticks: int) -> int:
        """Profit of the open lots at ``mark_ticks``, in ticks x lots."""
        return self.net_lots * mark_ticks - self.cost_ticks


@dataclass(frozen=True)
class Prices:
    """A two-sided quote before it is asked for: what the quote rule returns."""

    bid_ticks: int
    bid_lots: int
    ask_ticks: int
    ask_lots: int


@dataclass(frozen=True)
class Proposal:
    """A maker's request to place a quote, with the versions that it was computed from."""

    symbol: str
    maker_id: str
    trigger: Trigger
    position_version: int
    quote_version: int
    prices: Prices


@dataclass(frozen=True)
class Placement:
    """What the placing script did with a proposal. A side that is not quoted has 0 lots."""

    outcome: Outcome
    quote_id: str
    bid_lots: int
    ask_lots: int
    expires_ms: int


#: Refusals of ``place.lua``: code -> the rule it stands for.
REFUSALS = {
    "UNKNOWN_SYMBOL": "the symbol must be a configured one",
    "BAD_PROPOSAL": "exact integers, 0 < bid < ask, and a trigger of rule R4 (R1, R2, R4)",
    "HALTED": "no quote while the symbol is halted (R15)",
    "STALE_POSITION": "the proposal names the current committed position version (R5)",
    "UNCOMMITTED_FILLS": "no emitted fill may be uncommitted (R5)",
    "STALE_QUOTE": "the proposal names the symbol's newest quote version (R5)",
}
