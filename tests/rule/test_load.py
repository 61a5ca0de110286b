"""Quote rules: how they are found, and what counts as a quote."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from mm.errors import RuleFault, ValueRefused
from mm.market import MAX_INT, Position, Prices, Symbol, Trade
from mm.rule import QuoteRule, load_rule
from mm.rule.example import quote
from tests.kit import make_symbol

SYMBOL = make_symbol(lot=Decimal("0.5"), position_limit_lots=50)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Writes a module into the working directory; returns its name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [one for one in sys.path if one])

    def write(source: str) -> str:
        name = f"rule_{tmp_path.name.replace('-', '_')}"
        (tmp_path / f"{name}.py").write_text(source, encoding="utf-8")
        sys.modules.pop(name, None)
        importlib.invalidate_caches()
        return name

    return write


def of(answer: object) -> QuoteRule:
    """A rule that always answers the same."""
    return QuoteRule("it", lambda position, symbol: answer)


def prices(answer: object, notional_units: int = 1) -> Prices:
    """What a maker makes of the answer."""
    return of(answer).prices(Position(), SYMBOL, notional_units)


class TestLoading:
    def test_of_the_working_directory(self, module: Callable[[str], str]) -> None:
        """A function of a module beside the user is found; what it gets is position and symbol."""
        name = module("def mine(p, s):\n    return p.net_lots + 1, 2, s.reference_ticks, 4\n")
        rule = load_rule(f"{name}:mine")
        assert rule.name == f"{name}:mine"
        assert rule.prices(Position(net_lots=6), SYMBOL, 1) == Prices(7, 2, 100, 4)

    @pytest.mark.parametrize(
        ("name", "said"),
        [
            ("nonsense", "one of follow_last, follow_trades, or package.module:function"),
            ("", "one of follow_last"),
            ("os:", "one of follow_last"),
            (":f", "one of follow_last"),
            ("os:f g", "one of follow_last"),
            ("no.such.module:f", "no.such.module cannot be imported: ModuleNotFoundError"),
            ("os:no_such", "os has no function no_such"),
            ("os:sep", "os has no function sep"),
        ],
    )
    def test_refused(self, name: str, said: str) -> None:
        """A name of nothing is refused with the name and the rule."""
        with pytest.raises(ValueRefused, match="--rule") as caught:
            load_rule(name)
        assert said in str(caught.value)

    def test_no_file_beside_the_user_is_a_library(self, module: Callable[[str], str]) -> None:
        """The working directory comes last, so a file there hides no library."""
        name = module("import colorsys\ndef mine(p, s):\n    return colorsys.answer\n")
        Path("colorsys.py").write_text("answer = (1, 2, 3, 4)\n")
        sys.modules.pop("colorsys", None)
        with pytest.raises(RuleFault, match="AttributeError"):
            load_rule(f"{name}:mine").prices(Position(), SYMBOL, 1)

    @pytest.mark.parametrize("source", ["1 / 0", "raise SystemExit(0)", "def mine(:"])
    def test_a_module_that_fails(self, module: Callable[[str], str], source: str) -> None:
        """A module that cannot be imported is the user's error, and ends nothing."""
        with pytest.raises(ValueRefused, match="cannot be imported"):
            load_rule(f"{module(source)}:mine")


class TestAnswers:
    @pytest.mark.parametrize(
        "answer",
        [
            (98, 4, 102, 6),
            Prices(98, 4, 102, 6),
            (Decimal("0.98"), 4, Decimal("1.020"), Decimal(3)),
            (98, Decimal("2.0"), 102, 6),
        ],
    )
    def test_integers_and_decimals(self, answer: object) -> None:
        """Integers are ticks and lots, Decimals prices and quantities, mixed as one likes."""
        assert prices(answer) == Prices(98, 4, 102, 6)

    def test_no_side(self) -> None:
        """A size of 0 leaves a side out, None both."""
        assert prices((98, 0, 102, 6)) == Prices(98, 0, 102, 6)
        assert prices((98, Decimal(0), 102, 6)) == Prices(98, 0, 102, 6)
        none = prices(None)
        assert (none.bid_lots, none.ask_lots) == (0, 0) and none.bid_ticks < none.ask_ticks

    @pytest.mark.parametrize(
        ("answer", "said"),
        [
            (7, "it returned 7: it must be Prices"),
            ((98, 4, 102), "it must be Prices"),
            ([98, 4, 102, 6], "it must be Prices"),
            ((98.0, 4, 102, 6), "bid 98.0: it must be an integer of ticks or an exact Decimal"),
            ((98, True, 102, 6), "bid size True: it must be an integer of lots"),
            ((98, 4, "102", 6), "ask '102': it must be an integer of ticks"),
            ((98, 4, None, 6), "ask None"),
            ((98, -1, 102, 6), "bid size -1: it must be 0 to 2^53 - 1 lots"),
            ((98, 4, 102, MAX_INT + 1), "ask size 9007199254740992"),
            ((98, 4, 98, 6), "a bid of 98 and an ask of 98 ticks: it must be 0 < bid < ask"),
            ((0, 4, 98, 6), "0 < bid < ask"),
            ((0, 0, 98, 6), "also where a size is 0"),
            ((Decimal("0.985"), 4, 102, 6), "bid 0.985: it must be a multiple of the tick 0.01"),
            ((98, Decimal("0.3"), 102, 6), "bid size 0.3: it must be a multiple of the lot 0.5"),
            ((Decimal("NaN"), 4, 102, 6), "bid NaN"),
            ((98, 4, Decimal("-1"), 6), "ask -1"),
            ((98, 4, Decimal("1e40"), 6), "it must be 0 to 2\\^53 - 1 ticks"),
            ((98, 4, MAX_INT // 50 + 1, 6), "times 50 it must stay below 2\\^53"),
            (Prices(98, 4, 97, 6), "0 < bid < ask"),
        ],
    )
    def test_refused(self, answer: object, said: str) -> None:
        """Everything else is a fault that names the value and the rule."""
        with pytest.raises(RuleFault) as caught:
            prices(answer)
        assert said.replace("\\", "") in str(caught.value)

    def test_the_largest_price(self) -> None:
        """The largest price that stays exact is accepted, in units of money too."""
        assert prices((98, 4, MAX_INT // 50, 6)).ask_ticks == MAX_INT // 50
        with pytest.raises(RuleFault, match="times 51"):
            prices((98, 4, MAX_INT // 50, 6), notional_units=51)

    @pytest.mark.parametrize("error", [ZeroDivisionError("0"), SystemExit(3), RecursionError()])
    def test_raised(self, error: BaseException) -> None:
        """Whatever a rule raises is its fault and ends no maker."""

        def failing(position: Position, symbol: Symbol) -> object:
            raise error

        with pytest.raises(RuleFault, match=f"it raised {type(error).__name__}"):
            QuoteRule("it", failing).prices(Position(), SYMBOL, 1)

    def test_what_no_log_would_take(self) -> None:
        """Lines, lone surrogates, and objects that cannot even be shown: each is one clean line."""

        class Odd(Exception):
            def __str__(self) -> str:
                raise KeyError

        class Unreadable(tuple[int, ...]):
            def __len__(self) -> int:
                raise KeyError("no")

        def failing(error: Exception) -> QuoteRule:
            def rule(position: Position, symbol: Symbol) -> object:
                raise error

            return QuoteRule("it", rule)

        for error, said in (
            (ValueError("a\n\tb \ud800"), "it raised ValueError: a b \\ud800"),
            (Odd(), "it raised Odd: an error that cannot say what it is"),
        ):
            with pytest.raises(RuleFault) as caught:
                failing(error).prices(Position(), SYMBOL, 1)
            assert str(caught.value) == said
            str(caught.value).encode()
        with pytest.raises(RuleFault, match="it returned what cannot be read: 'no'"):
            prices(Unreadable())


class TestExample:
    def test_what_init_writes(self) -> None:
        """It quotes round the mean of the last trades, wider after rough ones, leaning away."""
        symbol = make_symbol(reference_ticks=1000, spread_ticks=4, skew_ticks=10)
        assert quote(Position(), symbol) == Prices(998, 10, 1002, 10)
        trades = (Trade(1, 990), Trade(-1, 1010))
        assert quote(Position(trades=trades), symbol) == Prices(995, 10, 1005, 10)
        assert quote(Position(net_lots=50, trades=trades), symbol) == Prices(990, 10, 1000, 10)
