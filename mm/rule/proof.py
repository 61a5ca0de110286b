"""Proves a quote rule over random positions: that its answers are quotes, and always the same."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mm.errors import RuleFault
from mm.market import KEEP_TRADES, Config, Position, Prices, Symbol, config_toml
from mm.rule.load import QuoteRule

#: Seconds that a second interpreter may take.
OTHER_TIMEOUT_S = 120.0
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Proof:
    """What a proof looked at, and the first fault; empty text when there is none.

    ``one_sided`` and ``without`` count the answers with one side and with none.
    """

    cases: int
    symbols: int
    one_sided: int
    without: int
    narrowest_ticks: int
    widest_ticks: int
    fault: str


def prove(rule: QuoteRule, config: Config, cases: int, seed: int) -> Proof:
    """Ask the rule ``cases`` times: in order, once more in another order, and in another process.

    Its answers must be quotes, and the same each time. The other process hashes texts otherwise, so
    that the order of a set shows. The cases follow from the seed.
    """
    asked = list(positions(config, cases, seed))
    answers: list[Prices] = []
    fault = ""
    for position, symbol in asked:
        try:
            answers.append(rule.prices(position, symbol, config.notional_units(symbol)))
        except RuleFault as error:
            fault = f"{error}. It was asked for {described(position, symbol)}"
            break
    else:
        fault = _changed(rule, config, asked, answers, seed) or _elsewhere(
            rule, config, cases, seed, digest(answers)
        )
    spreads = [one.ask_ticks - one.bid_ticks for one in answers if one.bid_lots or one.ask_lots]
    return Proof(
        len(answers),
        len(config.traded),
        sum((one.bid_lots == 0) != (one.ask_lots == 0) for one in answers),
        sum(one.bid_lots == one.ask_lots == 0 for one in answers),
        min(spreads, default=0),
        max(spreads, default=0),
        fault,
    )


def positions(config: Config, cases: int, seed: int) -> Iterator[tuple[Position, Symbol]]:
    """Positions that a symbol can have: new ones, at the limits, after few trades and many.

    Prices stay within a half and twice the reference price, or are a few ticks.
    """
    rng = random.Random(seed)
    for number in range(cases):
        symbol = config.traded[number % len(config.traded)]
        limit = symbol.position_limit_lots
        if rng.random() < 0.02:
            yield Position(), symbol
            continue
        low, high = symbol.reference_ticks // 2 + 1, 2 * symbol.reference_ticks
        if rng.random() < 0.05:
            low, high = 1, 5
        center = rng.randint(low, high)
        position = Position()
        for _ in range(rng.choice((1, 2, KEEP_TRADES - 1, KEEP_TRADES, 3 * KEEP_TRADES))):
            price = min(max(center + rng.randint(-9, 9) * symbol.spread_ticks, 1), high)
            wanted = rng.choice((-limit, limit, rng.randint(-limit, limit), 0))
            if lots := wanted - position.net_lots:
                position = position.apply(lots, price, symbol.spread_ticks, symbol.fair_weight)
        yield position, symbol


def described(position: Position, symbol: Symbol) -> str:
    """A case for people, so that it can be tried again."""
    trades = ", ".join(f"{trade.lots:+} @ {trade.ticks}" for trade in position.trades[-4:])
    return (
        f"{symbol.name} with net_lots {position.net_lots}, last_price_ticks"
        f" {position.last_price_ticks}, fair_ticks {position.fair_ticks}; last trades:"
        f" {trades or 'none'}"
    )


def digest(answers: list[Prices]) -> str:
    """A text that is the same for the same answers."""
    return hashlib.sha256(repr(answers).encode()).hexdigest()


def _changed(
    rule: QuoteRule,
    config: Config,
    asked: list[tuple[Position, Symbol]],
    answers: list[Prices],
    seed: int,
) -> str:
    """Where a second answer differs, when the cases come in another order."""
    order = list(range(len(asked)))
    random.Random(seed).shuffle(order)
    for index in order:
        position, symbol = asked[index]
        try:
            again: object = rule.prices(position, symbol, config.notional_units(symbol))
        except RuleFault as error:
            again = f"a fault, {error}"
        if again != answers[index]:
            return (
                f"it is not a pure function: first {answers[index]}, then {again}. It was asked for"
                f" {described(position, symbol)}"
            )
    return ""


def _elsewhere(rule: QuoteRule, config: Config, cases: int, seed: int, expected: str) -> str:
    """Whether a second interpreter gives the same answers, else what is wrong."""
    # This package, wherever it was found, before what the user names.
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "mm.rule", rule.name, str(cases), str(seed)],
            input=config_toml(config).encode(),
            capture_output=True,
            timeout=OTHER_TIMEOUT_S,
            env={**os.environ, "PYTHONHASHSEED": "17", "PYTHONPATH": path},
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"a second interpreter did not end within {OTHER_TIMEOUT_S:.0f} s"
    if done.returncode:
        last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        return f"a second interpreter failed: {' '.join(last)}"
    # What the rule itself prints stands before the last line.
    if done.stdout.decode("utf-8", "replace").split()[-1:] != [expected]:
        return (
            "it is not a pure function: a second interpreter, with another hash seed, gives other"
            " answers to the same cases"
        )
    return ""
