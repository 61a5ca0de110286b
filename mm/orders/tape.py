"""Tapes of real trades: CSV files with the columns ts_ms, symbol, side, price and qty.

The whole tape is read and checked before the first order is sent. Each trade becomes a marketable
order with its side, quantity and price. A tape can define its symbols (:func:`tape_symbols`).
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property
from itertools import pairwise
from pathlib import Path

from mm.errors import ConfigError, ValueRefused
from mm.market import (
    MAX_INT,
    Config,
    Mode,
    Side,
    Symbol,
    check_side,
    check_symbol,
    default_config,
    parse_decimal,
    to_steps,
)
from mm.orders.flow import Intent

HEADER = ("ts_ms", "symbol", "side", "price", "qty")
#: The largest tape, since it is read into memory.
MAX_BYTES = 256 * 1024 * 1024
MAX_TRADES = 2_000_000
#: Most digits before and after the point. Together they fit the 28 digits of a Decimal exactly.
MAX_DIGITS = 14
#: Most characters of a value. A longer one is refused before it is parsed or shown.
MAX_FIELD = 32
#: Parameters of a symbol that a tape defines: the spread in median price changes, the position
#: limit in quoted sizes, the skew in spreads. Replays of real and random tapes, also reversed and
#: mirrored, chose them. With smaller ones a trend fills the position up to its limit, and then the
#: maker no longer follows the price.
SPREAD_CHANGES = 3
POSITION_SIZES = 20
SKEW_SPREADS = 2


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
    rows = csv.reader(io.StringIO(_text(path), newline=""), strict=True)
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


def _text(path: Path) -> str:
    try:
        if not path.is_file():
            raise ValueRefused(f"{path}: no such file, or not a regular one: it must be a CSV file")
        if (size := path.stat().st_size) > MAX_BYTES:
            raise ValueRefused(f"{path}: {size} bytes: a tape may have {MAX_BYTES} at most")
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        raise ValueRefused(f"{path}: cannot be read: {error}") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        found = data[error.start : error.start + 1]
        raise Tape(path, ()).refusal(line, f"byte {found!r}: the file must be UTF-8") from error


def _check_header(row: Sequence[str]) -> None:
    if tuple(row) != HEADER:
        found = ",".join(row)[:80]
        raise ValueRefused(f"header {found!r}: it must be {','.join(HEADER)}")


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
    if int(ts) < earliest_ms:
        raise ValueRefused(f"ts_ms {ts}: it must not be before the trade above, at {earliest_ms}")
    aggressor = check_side(side)
    check_symbol(symbol)
    return Trade(line, int(ts), symbol, aggressor, _amount("price", price), _amount("qty", qty))


def _amount(name: str, value: str) -> Decimal:
    amount = parse_decimal(name, value)
    if amount <= 0:
        raise ValueRefused(f"{name} {value}: it must be above 0")
    whole, _, decimals = value.partition(".")
    if len(whole) > MAX_DIGITS or len(decimals) > MAX_DIGITS:
        raise ValueRefused(
            f"{name} {value}: it must have at most {MAX_DIGITS} digits before and after the point"
        )
    return amount


def _step(amounts: Sequence[Decimal]) -> Decimal:
    """The largest power of ten, 1 at most, of which all amounts are multiples."""
    decimals = max(len(f"{amount:f}".partition(".")[2].rstrip("0")) for amount in amounts)
    return Decimal(1).scaleb(-decimals)


def _symbol(tape: Tape, name: str) -> Symbol:
    trades = tape.by_symbol[name]
    tick = _step([trade.price for trade in trades])
    lot = _step([trade.qty for trade in trades])
    ticks, lots = [], []
    for trade in trades:
        try:
            ticks.append(to_steps("price", trade.price, tick, "tick"))
            lots.append(to_steps("qty", trade.qty, lot, "lot"))
        except ValueRefused as error:
            raise tape.refusal(trade.line, error) from error
    changes = sorted(abs(b - a) for a, b in pairwise(ticks) if a != b)
    change = changes[len(changes) // 2] if changes else 1
    spread = max(2, SPREAD_CHANGES * change)
    skew = SKEW_SPREADS * spread
    reference = ticks[0]
    # The configuration bounds price x lots by 2^53 (R1).
    max_lots = max(1, MAX_INT // (2 * reference + spread + skew))
    size = min(sorted(lots)[len(lots) * 9 // 10], max_lots)
    position_limit = min(POSITION_SIZES * size, max_lots)
    return Symbol(name, tick, lot, reference, spread, size, skew, position_limit)


def tape_symbols(tape: Tape) -> tuple[Symbol, ...]:
    """The symbols that the tape defines, in the order of their first trades.

    Tick and lot follow from the number of decimals. The reference is the first price. The spread
    follows from the median change between successive different prices. The size is the 90th
    percentile of the quantities. The position limit follows from the size, the skew from the
    spread.
    """
    return tuple(_symbol(tape, name) for name in tape.by_symbol)


def limit_for_symbols(symbols: Sequence[Symbol], mode: Mode = "lots") -> int:
    """The exposure limit, in units, that allows the full quotes of all symbols at once.

    In notional mode it allows for prices up to twice the reference prices.
    """
    if mode == "lots":
        return sum(symbol.size_lots for symbol in symbols)
    return sum(
        2 * symbol.reference_ticks * symbol.size_lots * symbol.multiplier for symbol in symbols
    )


def config_for_tape(tape: Tape, base: Config) -> Config:
    """The configuration to run the tape with.

    It is ``base`` when ``base`` names all symbols of the tape. When it names none of them, it is
    ``base`` with the symbols that the tape defines, and an exposure limit that allows their quotes.
    ConfigError when it names some of them.
    """
    known = {symbol.name for symbol in base.symbols}
    missing = [name for name in tape.by_symbol if name not in known]
    if not missing:
        return base
    if len(missing) < len(tape.by_symbol):
        raise ConfigError(
            f"{tape.path}: symbol {missing[0]!r}: the configuration names others of this tape but"
            " not this one; it must name all of the tape's symbols, or none, and then the tape"
            " defines them"
        )
    symbols = tape_symbols(tape)
    try:
        limit = limit_for_symbols(symbols, base.exposure_mode)
        return replace(base, symbols=symbols, limit_units=limit)
    except ConfigError as error:
        raise ConfigError(f"{tape.path}: {error}") from error


def tape_orders(tape: Tape, config: Config, speed: float = 1.0) -> list[Intent]:
    """An order for each trade, with the trade's price as its limit.

    ``speed`` 1 is real time, 10 is ten times faster, 0 is flat out. ValueRefused names the line of
    a trade whose symbol is not configured, or that is not in whole ticks and lots.
    """
    if not (math.isfinite(speed) and 0 <= speed <= 1_000_000):
        raise ValueRefused(f"speed {speed}: it must be from 0 (flat out) to 1000000")
    start_ms = tape.trades[0].ts_ms
    orders = []
    for trade in tape.trades:
        try:
            symbol = config.symbol(trade.symbol)
            lots = to_steps("qty", trade.qty, symbol.lot, "lot")
            ticks = to_steps("price", trade.price, symbol.tick, "tick")
        except ValueRefused as error:
            raise tape.refusal(trade.line, error) from error
        at_s = (trade.ts_ms - start_ms) / 1000 / speed if speed else 0.0
        orders.append(Intent(at_s, trade.symbol, trade.side, lots, ticks))
    return orders


def config_to_replay(tape: Tape, config: Config | None, speed: float) -> Config:
    """The configuration to run the tape with; every order of the tape is checked against it.

    ``config`` None stands for the default. Errors are those of :func:`config_for_tape` and
    :func:`tape_orders`.
    """
    replayed = config_for_tape(tape, config or default_config())
    tape_orders(tape, replayed, speed)
    return replayed
