"""The proof of a quote rule: it passes pure ones, and finds what the others do."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from mm.market import MAX_INT, Config, Position, Prices, Symbol, default_config
from mm.rule import QuoteRule, load_rule, prove
from mm.rule.proof import positions
from tests.kit import make_symbol, small_config

CONFIG = default_config()
ROOT = Path(__file__).resolve().parents[2]

SOURCE = """
import random

calls = 0

def counts(position, symbol):
    global calls
    calls += 1
    return 10, 1, 20 + (calls > 300), 1

def throws_dice(position, symbol):
    return 10, 1, random.randint(20, 99), 1

def by_a_hash(position, symbol):
    return 10, 1, 20 + hash(symbol.name) % 1000, 1

def prints(position, symbol):
    print("hello")
    return 10, 1, 20, 1

def long_ones_fail(position, symbol):
    return 10, 1, 20 // (position.net_lots < 90), 1
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The rules above as a module of the working directory; its name."""
    name = f"proved_{random.Random(str(tmp_path)).getrandbits(32)}"
    (tmp_path / f"{name}.py").write_text(SOURCE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return name


@pytest.mark.parametrize("name", ["follow_last", "follow_trades", "mm.rule.example:quote"])
def test_shipped_rules_are_good(name: str) -> None:
    """The shipped rules and what `mm rule init` writes pass over all kinds of positions."""
    proof = prove(load_rule(name), CONFIG, 400, 5)
    assert (proof.fault, proof.cases, proof.symbols) == ("", 400, 8)
    assert (proof.one_sided, proof.without) == (0, 0)
    assert 1 <= proof.narrowest_ticks <= proof.widest_ticks


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("counts", "it is not a pure function: first Prices(bid_ticks=10"),
        ("throws_dice", "it is not a pure function: first"),
        ("by_a_hash", "a second interpreter, with another hash seed, gives other answers"),
        ("long_ones_fail", "it raised ZeroDivisionError"),
    ],
)
def test_bad_rules_are_found(here: str, name: str, said: str) -> None:
    """State, dice, a hash, and a fault at few positions: each is found."""
    proof = prove(load_rule(f"{here}:{name}"), CONFIG, 400, 5)
    assert said in proof.fault
    if "second interpreter" not in said:
        assert "It was asked for" in proof.fault and "net_lots" in proof.fault


def test_the_rule_in_the_documents_is_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The maker in 25 lines has no more of them, and passes."""
    page = ROOT.joinpath("docs", "QUOTE_RULES.md").read_text(encoding="utf-8")
    found = re.search(r"```python\n(.*?)```", page, re.DOTALL)
    assert found and len(found[1].strip().splitlines()) <= 25
    (tmp_path / "rule_of_the_page.py").write_text(found[1], encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    proof = prove(load_rule("rule_of_the_page:quote"), CONFIG, 400, 5)
    assert proof.fault == "" and proof.one_sided > 0


def test_a_rule_may_print(here: str) -> None:
    """What a rule prints is no answer."""
    assert prove(load_rule(f"{here}:prints"), CONFIG, 50, 1).fault == ""


def test_what_was_asked() -> None:
    """New positions, both limits, no trades and all that are kept: the proof looks at each."""
    config = small_config(2, limit=100)
    asked = list(positions(config, 1_500, 3))
    assert asked == list(positions(config, 1_500, 3)) != list(positions(config, 1_500, 4))
    nets = {position.net_lots for position, _ in asked}
    assert min(nets) == -100 and max(nets) == 100 and 0 in nets
    assert {len(position.trades) for position, _ in asked} >= {0, 1, 16}
    assert {symbol.name for _, symbol in asked} == {"AAA", "BBB"}
    assert any(position.last_price_ticks <= 5 for position, _ in asked)


def test_one_side_and_none_are_counted() -> None:
    """The proof says how often a rule quotes one side, or nothing."""

    def by_side(position: Position, symbol: Symbol) -> Prices | None:
        if position.net_lots == 0:
            return None
        return Prices(98, int(position.net_lots < 0), 101, 1)

    proof = prove(QuoteRule("follow_last", by_side), small_config(1, limit=100), 500, 1)
    assert 0 < proof.one_sided < 500 and 0 < proof.without < 500
    assert (proof.narrowest_ticks, proof.widest_ticks) == (3, 3)
    # The name is that of another rule, so the second interpreter answers otherwise.
    assert "second interpreter" in proof.fault


def test_the_largest_parameters() -> None:
    """The shipped rules give quotes for a symbol near the largest numbers too."""
    symbol = make_symbol(reference_ticks=MAX_INT // 5, position_limit_lots=2, size_lots=1)
    for name in ("follow_last", "follow_trades"):
        assert prove(load_rule(name), Config((symbol,)), 200, 1).fault == ""
