"""What differs between two configurations, and what of it may change."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from mm.errors import ConfigError
from mm.market import Config, SymbolChange, check_changeable, config_changes, config_toml
from tests.kit import make_symbol, small_config

STORED = small_config(2)
FIRST, SECOND = STORED.symbols


def changed(**changes: Any) -> list[SymbolChange]:
    """What it takes to change these fields."""
    return config_changes(STORED, replace(STORED, **changes))


def test_nothing() -> None:
    """Equal configurations differ in nothing, whatever their versions."""
    assert changed(version=7) == []
    assert replace(STORED, version=7) == STORED


def test_each_kind() -> None:
    """Fields of the market, then the symbols of the new one in its order, then what is gone."""
    third = make_symbol("CCC")
    found = changed(limit_units=30, symbols=(third, replace(SECOND, size_lots=4)))
    assert [(one.kind, one.symbol) for one in found] == [
        ("market", ""),
        ("add", "CCC"),
        ("alter", "BBB"),
        ("retire", "AAA"),
    ]
    assert found[0].fields == {"limit_units": ("20", "30")}
    assert found[1].fields["size_lots"] == ("", "10")
    assert set(found[1].fields) >= {"tick", "lot", "multiplier", "notional_units"}
    assert found[2].fields == {"size_lots": ("10", "4")}
    check_changeable(found)


def test_retired() -> None:
    """A retired symbol is not missed; one that the new configuration names returns."""
    stored = replace(STORED, symbols=(FIRST, replace(SECOND, retired=True)))
    assert config_changes(stored, replace(STORED, symbols=(FIRST,))) == []
    (back,) = config_changes(stored, STORED)
    assert (back.kind, back.symbol, back.fields) == ("return", "BBB", {})
    assert stored.traded == (FIRST,)
    assert "BBB" not in config_toml(stored)


@pytest.mark.parametrize(
    "changes",
    [
        {"dedup_window_ms": 5},
        {"durability": "relaxed"},
        {"symbols": (replace(FIRST, tick=Decimal("0.05")), SECOND)},
        {"symbols": (FIRST, replace(SECOND, lot=Decimal(10)))},
        {"symbols": (FIRST, replace(SECOND, multiplier=2))},
    ],
)
def test_what_never_changes(changes: dict[str, Any]) -> None:
    """The ledger, exposure and memory are counted in these: they are refused by name."""
    found = changed(**changes)
    (name,) = {name for one in found for name in one.fields}
    with pytest.raises(ConfigError, match=rf"{name} \S+ -> \S+: it never changes"):
        check_changeable(found)


def test_another_mode_of_exposure() -> None:
    """Lots do not become money."""
    money = Config.notional(STORED.symbols, Decimal(500), "USD")
    with pytest.raises(ConfigError, match="exposure_mode lots -> notional: it never changes"):
        check_changeable(config_changes(STORED, money))


def test_money_keeps_its_unit() -> None:
    """A limit is compared in the unit in which the system counts, or refused with the unit."""
    stored = Config.notional(STORED.symbols, Decimal("500.55"), "USD")
    assert stored.notional_unit == Decimal("0.01")
    coarser = replace(FIRST, name="NEW", tick=Decimal(1), reference_ticks=10)
    higher = Config.notional((*STORED.symbols, coarser), Decimal(700), "USD")
    found = config_changes(stored, higher)
    assert found[0].fields == {"limit_units": ("50055", "70000")}
    assert found[1].fields["notional_units"] == ("", "100")
    check_changeable(found)
    with pytest.raises(ConfigError, match=r"limit 500\.555: it must be whole units of 0\.01 USD"):
        config_changes(stored, Config.notional(STORED.symbols, Decimal("500.555"), "USD"))
    finer = replace(FIRST, name="NEW", tick=Decimal("0.0001"), reference_ticks=10_000)
    with pytest.raises(ConfigError, match=r"symbol NEW: .* 0\.0001 USD: it must be whole units"):
        config_changes(stored, Config.notional((*STORED.symbols, finer), Decimal(500), "USD"))
