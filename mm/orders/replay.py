"""What is made of a tape: its orders, the symbols that it defines, and its configuration.

Each trade becomes a marketable order with its side, quantity and price.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import accumulate, pairwise
from typing import Literal

from mm.errors import ConfigError, ValueRefused
from mm.market import MAX_INT, Config, Symbol, default_config, from_steps, to_steps
from mm.orders.flow import Intent
from mm.orders.tape import LAST_OWN_MS, Tape, Trade

#: Parameters of a symbol that a tape defines: the spread in median price changes, the position
#: limit in quoted sizes, the skew in spreads. Replays of real and random tapes, also reversed and
#: mirrored, chose them. With smaller ones a trend fills the position up to its limit, and then the
#: maker no longer follows the price.
SPREAD_CHANGES = 3
POSITION_SIZES = 20
SKEW_SPREADS = 2
#: The limits that a tape defines keep numbers exact up to this many times its highest price.
PRICE_ROOM = 10
#: A value is the noise of a floating-point number when it is that near to a multiple of the step
#: of most other rows, as a share of the step. A real finer step gives other distances too.
NOISE = Decimal("0.00001")


def _decimals(amount: Decimal) -> int:
    """The number of digits after the point, without trailing zeros."""
    return len(f"{amount:f}".partition(".")[2].rstrip("0"))


def _is_noise(amount: Decimal, step: Decimal) -> bool:
    nearest = (amount / step).to_integral_value() * step
    return nearest > 0 and abs(amount - nearest) <= NOISE * step


def _step(tape: Tape, trades: Sequence[Trade], name: Literal["price", "qty"]) -> Decimal:
    """The largest power of ten, 1 at most, of which all the values are multiples.

    ValueRefused names the line of a value that would make it finer by nothing but noise.
    """
    amounts = [trade.price if name == "price" else trade.qty for trade in trades]
    decimals = [_decimals(amount) for amount in amounts]
    counts = sorted(Counter(decimals).items())
    for (most, _), rows in zip(counts, accumulate(count for _, count in counts), strict=True):
        finer = [index for index, found in enumerate(decimals) if found > most]
        step = Decimal(1).scaleb(-most)
        if not finer:
            return step
        if 2 * rows >= len(trades) and all(_is_noise(amounts[index], step) for index in finer):
            first = finer[0]
            raise tape.refusal(
                trades[first].line,
                f"{name} {amounts[first]:f}: it has {decimals[first]} digits after the point, most"
                f" others of {trades[first].symbol} have {most} or fewer. It looks like the noise"
                " of a floating-point number, and would set the step of all of them. Write"
                f" {amounts[first].quantize(step).normalize():f}, or give the symbol with"
                " --config.",
            )
    raise AssertionError("the last count of decimals has no finer one")


def _symbol(tape: Tape, name: str) -> Symbol:
    trades = tape.by_symbol[name]
    tick, lot = _step(tape, trades, "price"), _step(tape, trades, "qty")
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
    highest = max(ticks)
    # The configuration bounds price x lots by 2^53 (R1).
    max_lots = MAX_INT // (PRICE_ROOM * highest + spread + skew)
    if max_lots < 1:
        raise tape.refusal(
            trades[ticks.index(highest)].line,
            f"price {from_steps(highest, tick)}: in steps of {tick:f} numbers would not stay exact"
            f" at {PRICE_ROOM} times this price. Write fewer digits, or give the symbol with"
            " --config.",
        )
    size = min(_usual_lots(lots), max_lots)
    position_limit = min(POSITION_SIZES * size, max_lots)
    return Symbol(name, tick, lot, ticks[0], spread, size, skew, position_limit)


def _usual_lots(lots: Sequence[int]) -> int:
    """The 90th percentile."""
    return sorted(lots)[len(lots) * 9 // 10]


def tape_symbols(tape: Tape) -> tuple[Symbol, ...]:
    """The symbols that the tape defines, in the order of their first trades.

    Tick and lot follow from the number of decimals. The reference is the first price. The spread
    follows from the median change between successive different prices. The size is the 90th
    percentile of the quantities. The position limit follows from the size, the skew from the
    spread. Size and position limit leave room for a price of PRICE_ROOM times the highest.
    ValueRefused names a line that no such symbol can have.
    """
    return tuple(_symbol(tape, name) for name in tape.by_symbol)


def config_of_tape(tape: Tape) -> Config:
    """The configuration that the tape defines: its symbols, and exposure for all their quotes.

    All else is as in the built-in configuration. ConfigError and ValueRefused name the tape.
    """
    symbols = tape_symbols(tape)
    limit = sum(symbol.size_lots for symbol in symbols)
    try:
        return replace(default_config(), symbols=symbols, limit_units=limit)
    except ConfigError as error:
        raise ConfigError(f"{tape.path}: {error}") from error


def check_speed(speed: float) -> None:
    """Raise ValueRefused for a speed at which no tape can be sent."""
    if not (math.isfinite(speed) and 0 <= speed <= 1_000_000):
        raise ValueRefused(f"speed {speed}: it must be from 0 (flat out) to 1000000")


def tape_orders(tape: Tape, config: Config, speed: float = 1.0) -> list[Intent]:
    """An order for each trade, with the trade's price as its limit.

    ``speed`` 1 is real time, 10 is ten times faster, 0 is flat out. ValueRefused names the line of
    a trade whose symbol is not configured, or that is not in whole ticks and lots. A partition has
    the orders of its symbols alone.
    """
    check_speed(speed)
    own = {symbol.name for symbol in config.symbols}
    start_ms = tape.trades[0].ts_ms
    orders = []
    for trade in tape.trades:
        if config.partitions > 1 and trade.symbol not in own:
            continue
        try:
            symbol = config.symbol(trade.symbol)
            lots = to_steps("qty", trade.qty, symbol.lot, "lot")
            ticks = to_steps("price", trade.price, symbol.tick, "tick")
        except ValueRefused as error:
            raise tape.refusal(trade.line, error) from error
        at_s = (trade.ts_ms - start_ms) / 1000 / speed if speed else 0.0
        orders.append(Intent(at_s, trade.symbol, trade.side, lots, ticks))
    return orders


def config_to_replay(
    tape: Tape, given: Config | None, stored: Config | None, speed: float
) -> tuple[Config, str]:
    """The configuration to run the tape with, and a sentence that says what was chosen.

    ``given`` comes first, then ``stored``, the one that the keys hold; without both the tape
    defines it. Every order of the tape is checked against it. Errors are those of
    :func:`config_of_tape` and :func:`tape_orders`.
    """
    if given is not None:
        config, whose = given, "symbols and limits are those of --config"
    elif stored is not None:
        config, whose = stored, "symbols and limits are those that the running system has"
    else:
        config = config_of_tape(tape)
        whose = f"it defines its symbols and an exposure limit of {config.limit_units} lots"
        whose += "".join(_smaller_size(tape, symbol) for symbol in config.symbols)
    try:
        tape_orders(tape, config, speed)
    except ValueRefused as error:
        if given is not None:
            way = "Without --config the tape defines its symbols."
        elif stored is not None:
            way = "In a new --data-dir the tape defines its symbols."
        else:
            raise
        raise ValueRefused(f"{error}. The tape's {whose}. {way}") from error
    return config, f"tape {tape.path}: {tape_words(tape, speed)}; {whose}"


def _smaller_size(tape: Tape, symbol: Symbol) -> str:
    """What to say when a symbol is quoted in a smaller size than the tape trades; else nothing."""
    trades = tape.by_symbol[symbol.name]
    usual = _usual_lots([to_steps("qty", trade.qty, symbol.lot, "lot") for trade in trades])
    if symbol.size_lots == usual:
        return ""
    return (
        f"; {symbol.name} is quoted in sizes of {symbol.quantity(symbol.size_lots)} in place of"
        f" {symbol.quantity(usual)}: larger ones would not stay exact at {PRICE_ROOM} times its"
        " highest price"
    )


def tape_words(tape: Tape, speed: float) -> str:
    """How many trades of how many symbols, over which time, and how long they take to send."""
    first_ms, span_s = tape.trades[0].ts_ms, tape.span_ms / 1000
    trades, symbols = len(tape.trades), len(tape.by_symbol)
    words = f"{trades:,} trade{'s' * (trades != 1)} of {symbols} symbol{'s' * (symbols != 1)}"
    words += f" over {span_s:,.1f} s"
    if first_ms > LAST_OWN_MS:
        words += f" from {datetime.fromtimestamp(first_ms // 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
    pace = f"in {span_s / speed:,.1f} s" if speed else "flat out"
    return f"{words}, sent {pace}"
