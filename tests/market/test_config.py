"""The configuration: what is accepted, and that a refusal names the value and the rule."""

from __future__ import annotations

import random
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from mm.errors import ConfigError, MMError, ValueRefused
from mm.market import MAX_INT, Config, config_toml, default_config, load_config
from mm.market.config_file import parse_config
from tests.kit import SEEDS, make_symbol, small_config

SYMBOL = """
[[symbol]]
name = "AAA"
tick = "0.01"
lot = "1"
reference = "1.00"
spread_ticks = 2
size_lots = 10
skew_ticks = 0
position_limit_lots = 100
"""


class TestRules:
    def test_default(self) -> None:
        """The default has eight symbols that together ask for more than the limit."""
        config = default_config()
        assert len(config.symbols) == 8
        assert config.limit_units == 100
        assert config.quote_ttl_ms == 30_000
        assert {symbol.position_limit_lots for symbol in config.symbols} == {100}
        assert sum(symbol.size_lots for symbol in config.symbols) > config.limit_units

    @pytest.mark.parametrize("name", ["limit_units", "quote_ttl_ms", "refresh_ms", "keep_orders"])
    @pytest.mark.parametrize("value", [0, -1, MAX_INT + 1, 1.5, "5", True])
    def test_integers(self, name: str, value: Any) -> None:
        """Each number is an integer from 1 to 2^53 - 1."""
        with pytest.raises(ConfigError, match=name):
            small_config(**{name: value} if name != "limit_units" else {"limit": value})

    @pytest.mark.parametrize("name", ["quote_ttl_ms", "dedup_window_ms", "report_idle_ms"])
    def test_longest_times(self, name: str) -> None:
        """A time is at most 10^14 ms: instants that lie so far ahead are exact integers."""
        longest: dict[str, Any] = {name: 10**14}
        assert getattr(small_config(**longest), name) == 10**14
        too_long: dict[str, Any] = {name: 10**14 + 1}
        with pytest.raises(ConfigError, match=f"{name} {10**14 + 1}: .* to {10**14}"):
            small_config(**too_long)

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"exposure_mode": "money"}, "lots or notional"),
            ({"durability": "none"}, "always, declared, relaxed"),
            ({"refresh_ms": 30_000}, "below quote_ttl_ms"),
            ({"symbols": ()}, "0 symbols"),
            ({"symbols": (make_symbol("AAA"), make_symbol("AAA"))}, "AAA"),
            ({"symbols": (make_symbol("aaa"),)}, "aaa"),
            ({"symbols": (make_symbol(tick=Decimal(0)),)}, "tick"),
            ({"symbols": (make_symbol(lot=Decimal(-1)),)}, "lot"),
            ({"symbols": (make_symbol(spread_ticks=0),)}, "spread_ticks"),
            ({"symbols": (make_symbol(skew_ticks=-1),)}, "skew_ticks"),
            ({"symbols": (make_symbol(size_lots=0),)}, "size_lots"),
            ({"symbols": (make_symbol(position_limit_lots=2**50),)}, "below 2\\^53"),
            ({"exposure_mode": "notional"}, "currency ''"),
            ({"currency": "usd"}, "currency 'usd': it must name"),
            ({"symbols": (make_symbol(currency="E"),)}, "symbol AAA: currency 'E'"),
            ({"symbols": (make_symbol(fair_weight=0),)}, "fair_weight"),
            ({"symbols": (make_symbol(fair_weight=101),)}, "fair_weight"),
            ({"notional_unit": Decimal("0.1")}, "lots are not money"),
        ],
    )
    def test_refused(self, changes: dict[str, Any], said: str) -> None:
        """A value that breaks a rule is refused, and the error names the rule."""
        with pytest.raises(ConfigError, match=said):
            replace(small_config(), **changes)

    def test_symbol(self) -> None:
        """A symbol is found by its name; an unknown one is refused with the known ones."""
        config = small_config()
        assert config.symbol("BBB").name == "BBB"
        with pytest.raises(ValueRefused, match="AAA BBB"):
            config.symbol("ZZZ")


class TestToml:
    def test_round_trip(self) -> None:
        """A configuration written as TOML reads back as the same."""
        for config in (
            default_config(),
            small_config(mode="notional", limit=5000, quote_ttl_ms=777_777),
        ):
            assert parse_config(config_toml(config)) == config

    def test_round_trip_of_the_store(self) -> None:
        """A configuration read from its stored fields is the same."""
        config = default_config()
        assert Config.from_store(config.store_fields(), config.symbols) == config

    def test_other_schema(self) -> None:
        """Keys of another layout are refused."""
        stored = small_config().store_fields() | {"schema": "99"}
        with pytest.raises(ConfigError, match="99"):
            Config.from_store(stored, small_config().symbols)

    def test_defaults_apply(self) -> None:
        """A field that the file leaves out has its default; decimals become ticks exactly."""
        config = parse_config(SYMBOL)
        assert config.limit_units == 100
        assert config.symbols == (make_symbol("AAA"),)

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("", "0 symbols"),
            ("x", "not TOML"),
            ("[other]" + SYMBOL, "other"),
            ("market = 3" + SYMBOL, "market"),
            ("symbol = 3", "symbol"),
            ("[market]\nlimit = 3" + SYMBOL, "limit"),
            ("[market]\nlimit_units = 1.5" + SYMBOL, "limit_units"),
            ('[market]\nlimit_units = "5"' + SYMBOL, "limit_units"),
            ("[market]\nlimit_units = true" + SYMBOL, "limit_units"),
            ("[market]\nexposure_mode = []" + SYMBOL, "exposure_mode"),
            (SYMBOL + "colour = 1", "colour"),
            (SYMBOL.replace('"AAA"', "3"), "name"),
            (SYMBOL.replace('"AAA"', '"aaa"'), "aaa"),
            (SYMBOL.replace('"0.01"', "0.01"), "tick"),
            (SYMBOL.replace('"0.01"', '"0"'), "tick"),
            (SYMBOL.replace('"1.00"', '"1.005"'), "reference"),
            (SYMBOL.replace('"1.00"', '"1e2"'), "reference"),
            (SYMBOL.replace("size_lots = 10", "size_lots = 10.5"), "size_lots"),
            (SYMBOL.replace("size_lots = 10\n", ""), "size_lots"),
            (SYMBOL + SYMBOL, "AAA"),
        ],
    )
    def test_refused(self, text: str, said: str) -> None:
        """A file with a fault is refused, and the error names the fault."""
        with pytest.raises(ConfigError, match=said):
            parse_config(text)

    def test_load(self, tmp_path: Path) -> None:
        """A file that cannot be read or used is refused with its path."""
        path = tmp_path / "mm.toml"
        with pytest.raises(ConfigError, match=r"mm\.toml"):
            load_config(path)
        path.write_bytes(b"\xff")
        with pytest.raises(ConfigError, match=r"mm\.toml"):
            load_config(path)
        path.write_text("[other]")
        with pytest.raises(ConfigError, match=r"mm\.toml.*other"):
            load_config(path)
        path.write_text(config_toml(default_config()))
        assert load_config(path) == default_config()

    def test_byte_order_mark(self, tmp_path: Path) -> None:
        """A file that begins with a byte-order mark reads as one without."""
        path = tmp_path / "mm.toml"
        path.write_text(config_toml(default_config()), encoding="utf-8-sig")
        assert load_config(path) == default_config()

    @pytest.mark.parametrize("seed", SEEDS)
    def test_mutilated(self, seed: int) -> None:
        """A file with random damage is read or refused; no other error comes out."""
        rng, source = random.Random(seed), config_toml(default_config())
        for _ in range(200):
            text = list(source)
            for _ in range(rng.randint(1, 4)):
                at = rng.randrange(len(text))
                text[at] = rng.choice(('"', "[", "]", "=", "\n", "0", "9", "-", ".", "é", "", "e"))
            try:
                parse_config("".join(text))
            except MMError as error:
                assert str(error)
