"""Tapes of real trades: CSV files with the columns ts_ms, symbol, side, price and qty, or packed.

The whole tape is read and checked before the first order is sent. What is made of it is in
:mod:`mm.orders.replay`.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from pathlib import Path

from mm.errors import ValueRefused
from mm.market import Side, check_side, check_symbol, parse_decimal
from mm.orders.tape_file import is_parquet, read_bytes, text_of

HEADER = ("ts_ms", "symbol", "side", "price", "qty")
#: The most trades of a tape, since it is read into memory.
MAX_TRADES = 2_000_000
#: Most digits before and after the point. Together they fit the 28 digits of a Decimal exactly.
MAX_DIGITS = 14
#: Most characters of a value. A longer one is refused before it is parsed or shown.
MAX_FIELD = 32
#: The times that a tape may have: milliseconds since its own start, up to 11 days, or since 1970,
#: from 1973 to 2286. What lies between or after them are seconds, or finer parts of a second.
LAST_OWN_MS = 999_999_999
FIRST_UNIX_MS, LAST_UNIX_MS = 100_000_000_000, 9_999_999_999_999


@dataclass(frozen=True, slots=True)
class Trade:
    """A line of a tape. ``side`` is the aggressor's; price and quantity are exact decimals."""

    line: int
    ts_ms: int
    symbol: str
    side: Side
    price: Decimal
    qty: Decimal


@dataclass(frozen=True)
class Tape:
    """The trades of a file, in its order."""

    path: Path
    trades: tuple[Trade, ...]

    @property
    def span_ms(self) -> int:
        """Milliseconds from the first trade to the last."""
        return self.trades[-1].ts_ms - self.trades[0].ts_ms

    @cached_property
    def by_symbol(self) -> dict[str, list[Trade]]:
        """The trades of each symbol; symbols are in the order of their first trades."""
        trades: dict[str, list[Trade]] = {}
        for trade in self.trades:
            trades.setdefault(trade.symbol, []).append(trade)
        return trades

    def refusal(self, line: int, why: object) -> ValueRefused:
        """The error that names the file and the line."""
        return ValueRefused(f"{self.path} line {line}: {why}")


def read_tape(path: Path) -> Tape:
    """Read and check a tape; ValueRefused names the file, the line, the value and the rule."""
    data = read_bytes(path, [])
    if is_parquet(data):
        raise ValueRefused(f"{path}: it is a Parquet file: `mm tape convert` makes a tape of it")
    rows = csv.reader(io.StringIO(text_of(path, data, []), newline=""), strict=True)
    trades: list[Trade] = []
    empty = Tape(path, ())
    header = True
    while True:
        try:
            row = next(rows, None)
            if row is None:
                break
            if header:
                _check_header(row)
                header = False
            elif row:
                trades.append(_trade(rows.line_num, row, trades[-1].ts_ms if trades else 0))
        except (csv.Error, ValueRefused) as error:
            raise empty.refusal(max(rows.line_num, 1), error) from error
        if len(trades) > MAX_TRADES:
            raise empty.refusal(rows.line_num, f"a tape may have {MAX_TRADES} trades at most")
    if not trades:
        raise ValueRefused(f"{path}: no trades: there must be a header line and one trade at least")
    return Tape(path, tuple(trades))


def _check_header(row: Sequence[str]) -> None:
    if tuple(row) != HEADER:
        found = ",".join(row)[:80]
        raise ValueRefused(
            f"header {found!r}: it must be {','.join(HEADER)}. `mm tape convert` makes such a file"
            " of those of other exchanges"
        )


def _trade(line: int, row: Sequence[str], earliest_ms: int) -> Trade:
    if len(row) != len(HEADER):
        raise ValueRefused(f"{len(row)} values: there must be {len(HEADER)}: {','.join(HEADER)}")
    for name, value in zip(HEADER, row, strict=True):
        if len(value) > MAX_FIELD:
            raise ValueRefused(
                f"{name} {value[:MAX_FIELD]!r}... of {len(value)} characters: it must have"
                f" {MAX_FIELD} at most"
            )
    ts, symbol, side, price, qty = row
    if not re.fullmatch(r"[0-9]{1,15}", ts):
        raise ValueRefused(f"ts_ms {ts!r}: it must be a whole number of milliseconds")
    if not (int(ts) <= LAST_OWN_MS or FIRST_UNIX_MS <= int(ts) <= LAST_UNIX_MS):
        raise ValueRefused(
            f"ts_ms {ts}: it must be milliseconds, since 1970 (13 digits today) or since the tape's"
            f" own start (at most {LAST_OWN_MS})"
            + ("; it looks like seconds: multiply by 1000" if len(ts) == 10 else "")
        )
    if int(ts) < earliest_ms:
        raise ValueRefused(f"ts_ms {ts}: it must not be before the trade above, at {earliest_ms}")
    aggressor = check_side(side)
    check_symbol(symbol)
    return Trade(
        line, int(ts), symbol, aggressor, check_amount("price", price), check_amount("qty", qty)
    )


def check_amount(name: str, value: str) -> Decimal:
    """The exact price or quantity in a value of a tape; ValueRefused names the rule."""
    amount = parse_decimal(name, value)
    if amount <= 0:
        raise ValueRefused(f"{name} {value}: it must be above 0")
    whole, _, decimals = value.partition(".")
    if len(whole) > MAX_DIGITS or len(decimals) > MAX_DIGITS:
        raise ValueRefused(
            f"{name} {value}: it must have at most {MAX_DIGITS} digits before and after the point"
        )
    return amount
