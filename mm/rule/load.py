"""A quote rule as makers use it: found by its name, called with care, its answer judged.

A rule is a pure function of a committed position, with its last trades, and the parameters of its
symbol::

    def my_rule(position: Position, symbol: Symbol) -> Prices | tuple | None

It returns :class:`mm.market.Prices`, or bid, bid size, ask and ask size as a tuple. Integers are
ticks and lots; Decimals are prices and quantities, which must be whole ticks and lots. A size of 0
leaves a side out, and None asks for no quote.
"""

from __future__ import annotations

import contextlib
import pkgutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from mm.errors import RuleFault, ValueRefused, shown
from mm.market import (
    MAX_INT,
    Position,
    Prices,
    Symbol,
    exact_quotient,
    follow_last,
    follow_trades,
    is_multiple,
)

Rule = Callable[[Position, Symbol], object]
#: The rules that come with the package. The first one is the default.
SHIPPED: dict[str, Rule] = {"follow_last": follow_last, "follow_trades": follow_trades}


@dataclass(frozen=True)
class QuoteRule:
    """A quote rule with the name by which it was found."""

    name: str
    function: Rule

    def prices(self, position: Position, symbol: Symbol, notional_units: int) -> Prices:
        """The quote to ask for; with 0 lots on both sides there is to be none.

        ``notional_units`` are the units of exposure of a tick x lot. RuleFault when the function
        raises, or returns what is no quote: the text says which.
        """
        try:
            answer = self.function(position, symbol)
        except (Exception, SystemExit) as error:  # a rule is anybody's code
            raise RuleFault(f"it raised {type(error).__name__}: {_words(error)}") from error
        try:
            return _judged(answer, symbol, max(symbol.position_limit_lots, notional_units))
        except RuleFault as error:
            raise RuleFault(_words(error)) from error
        except Exception as error:  # so are the methods of what it returns
            raise RuleFault(f"it returned what cannot be read: {_words(error)}") from error


def _words(error: BaseException) -> str:
    """What an error of anybody's code says, as one line that every log and server takes."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001  # its text is anybody's code too, and only that is lost
        return "an error that cannot say what it is"
    return " ".join(text.encode("utf-8", "backslashreplace").decode().split())


def load_rule(name: str) -> QuoteRule:
    """The rule of that name: a shipped one, or ``package.module:function``.

    Modules are looked for in the working directory too. ValueRefused says what is wrong.
    """
    if name in SHIPPED:
        return QuoteRule(name, SHIPPED[name])
    module, colon, function = name.partition(":")
    if not (colon and module and function.isidentifier()):
        shipped = ", ".join(SHIPPED)
        raise ValueRefused(
            f"--rule {shown(name)}: it must be one of {shipped}, or package.module:function"
        )
    with contextlib.suppress(FileNotFoundError):  # the working directory may have been removed
        if (here := str(Path.cwd())) not in sys.path:
            # At the end: no file here is to be taken for a library.
            sys.path.append(here)
    try:
        found = pkgutil.resolve_name(name)
    except AttributeError:
        found = None
    except (Exception, SystemExit) as error:  # the module is anybody's code
        raise ValueRefused(
            f"--rule {shown(name)}: {module} cannot be imported: {type(error).__name__}: {error}"
        ) from error
    if not callable(found):
        raise ValueRefused(f"--rule {shown(name)}: {module} has no function {function}")
    return QuoteRule(name, found)


def _judged(answer: object, symbol: Symbol, most_factor: int) -> Prices:
    """The answer of a rule as prices in ticks and lots; RuleFault when it is no quote."""
    if answer is None:
        return Prices(symbol.reference_ticks, 0, symbol.reference_ticks + 1, 0)
    if isinstance(answer, Prices):
        answer = (answer.bid_ticks, answer.bid_lots, answer.ask_ticks, answer.ask_lots)
    if not isinstance(answer, tuple) or len(answer) != 4:
        raise RuleFault(
            f"it returned {shown(answer)}: it must be Prices, a tuple of bid, bid size, ask and ask"
            " size, or None"
        )
    bid, bid_lots, ask, ask_lots = answer
    prices = Prices(
        _steps("bid", bid, symbol.tick, "tick"),
        _steps("bid size", bid_lots, symbol.lot, "lot"),
        _steps("ask", ask, symbol.tick, "tick"),
        _steps("ask size", ask_lots, symbol.lot, "lot"),
    )
    if not 0 < prices.bid_ticks < prices.ask_ticks:
        raise RuleFault(
            f"it returned a bid of {prices.bid_ticks} and an ask of {prices.ask_ticks} ticks: it"
            " must be 0 < bid < ask, also where a size is 0"
        )
    if prices.ask_ticks * most_factor > MAX_INT:
        raise RuleFault(
            f"it returned an ask of {prices.ask_ticks} ticks: times {most_factor} it must stay"
            " below 2^53, so that every number stays exact"
        )
    return prices


def _steps(what: str, value: object, step: Decimal, step_name: str) -> int:
    """A number of ticks or lots, 0 at least, from an integer of them or an exact Decimal."""
    if isinstance(value, Decimal):
        if not value.is_finite() or value < 0 or not is_multiple(value, step):
            raise RuleFault(
                f"it returned {what} {value}: it must be a multiple of the {step_name} {step:f}"
            )
        value = exact_quotient(value, step)
    if isinstance(value, bool) or not isinstance(value, int):
        raise RuleFault(
            f"it returned {what} {shown(value)}: it must be an integer of {step_name}s or an exact"
            " Decimal"
        )
    if not 0 <= value <= MAX_INT:
        raise RuleFault(f"it returned {what} {shown(value)}: it must be 0 to 2^53 - 1 {step_name}s")
    return value
