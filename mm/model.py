"""The words of the system: frozen records in integer ticks and lots, and their wire forms.

Decimals exist only at the edges. :func:`to_steps` and :func:`from_steps` are the one crossing,
exact in both directions. Wire lines are those of the contract: space-separated words in a fixed
order, ``-`` for none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Literal

from mm.errors import ValueRefused, shown

#: Largest integer anywhere: what a Lua number holds exactly.
MAX_INT = 2**53 - 1

Side = Literal["buy", "sell"]
Status = Literal["filled", "partially_filled", "canceled", "rejected"]
Trigger = Literal["position", "refresh", "expired", "bootstrap", "capacity"]
Outcome = Literal["granted", "reduced", "omitted"]

#: Decimals of at most 20 + 20 digits and integers of 16 multiply exactly in this many digits.
_EXACT = Context(prec=120)

ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
SYMBOL = re.compile(r"[A-Z0-9._-]{1,16}")

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


def check_int(name: str, value: int, low: int = 1, high: int = MAX_INT) -> int:
    """Return ``value`` if ``low <= value <= high``, else raise ValueRefused naming both."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueRefused(f"{name} {shown(value)}: it must be an integer from {low} to {high}")
    return value


def check_id(name: str, value: str) -> str:
    """Return ``value`` if it is an id (1 to 64 of ``A-Za-z0-9._-``), else raise ValueRefused."""
    if not ID.fullmatch(value):
        raise ValueRefused(f"{name} {shown(value)}: it must be 1 to 64 of A-Z a-z 0-9 . _ -")
    return value


def check_symbol(value: str) -> str:
    """Return ``value`` if it is a symbol (1 to 16 of ``A-Z0-9._-``), else raise ValueRefused."""
    if not SYMBOL.fullmatch(value):
        raise ValueRefused(f"symbol {shown(value)}: it must be 1 to 16 of A-Z 0-9 . _ -")
    return value


def parse_decimal(name: str, text: str) -> Decimal:
    """An exact finite decimal from plain text (no exponent), or ValueRefused."""
    if not re.fullmatch(r"-?[0-9]{1,20}(\.[0-9]{1,20})?", text):
        rule = "a plain decimal number such as 187.25, with at most 20 digits on each side"
        raise ValueRefused(f"{name} {shown(text)}: it must be {rule} of the point")
    return Decimal(text)


def to_steps(name: str, value: Decimal, step: Decimal, step_name: str) -> int:
    """How many whole steps (ticks or lots) ``value`` is; ValueRefused when it is off the grid."""
    count, rest = _EXACT.divmod(value, step)
    if rest != 0:
        raise ValueRefused(f"{name} {value}: it must be a multiple of the {step_name} {step}")
    return check_int(f"{name} in {step_name}s", int(count), low=1)


def from_steps(count: int, step: Decimal) -> str:
    """The exact decimal text of ``count`` steps, with the step's number of decimals."""
    return f"{_EXACT.multiply(Decimal(count), step):f}"


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
        if self.side not in ("buy", "sell"):
            raise ValueRefused(f"side {self.side!r}: it must be buy or sell")
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
