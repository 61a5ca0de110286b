"""Exposure in notional mode is exact money: its unit, its limit, and what the file says of it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner

from mm.cli import main
from mm.errors import ConfigError
from mm.market import TEMPLATE, Config, Symbol, config_toml, default_config
from mm.market.config_file import parse_config
from mm.market.units import money_text, unit_of
from tests.kit import make_symbol, notional_config

#: A share at 187.50 in steps of a cent, and a future at 5,000 in steps of a quarter, 50 dollars a
#: point.
SHARE = make_symbol("AAPL", reference_ticks=18_750)
FUTURE = make_symbol("ES", tick=Decimal("0.25"), reference_ticks=20_000, multiplier=50)
COIN = make_symbol("BTC", tick=Decimal("0.1"), lot=Decimal("0.0001"), reference_ticks=642_500)

FILE = """
[market]
exposure_mode = "notional"
currency = "USD"
limit = "250000"

[[symbol]]
name = "AAPL"
tick = "0.01"
lot = "1"
reference = "187.50"
spread_ticks = 2
size_lots = 10
skew_ticks = 0
position_limit_lots = 100

[[symbol]]
name = "ES"
tick = "0.25"
lot = "1"
reference = "5000"
spread_ticks = 2
size_lots = 10
skew_ticks = 0
position_limit_lots = 100
multiplier = 50
"""


def dollars(config: Config, symbol: Symbol) -> str:
    """The exposure of a lot at the reference price, as money."""
    return config.exposure_amount(config.lot_units(symbol, symbol.reference_ticks))


def test_a_lot_is_its_money() -> None:
    """A lot counts price x quantity x multiplier in dollars, whatever its tick and its lot."""
    config = Config.notional([SHARE, FUTURE], Decimal(250_000), "USD")
    assert config.notional_unit == Decimal("0.01")
    assert (config.notional_units(SHARE), config.notional_units(FUTURE)) == (1, 1250)
    assert (dollars(config, SHARE), dollars(config, FUTURE)) == ("187.50", "250000.00")
    assert config.limit_units == 25_000_000
    assert config.exposure_amount(config.limit_units) == "250000.00"


def test_tick_and_lot_do_not_change_the_money() -> None:
    """The same price and quantity in finer steps is the same exposure."""
    finer = replace(SHARE, tick=Decimal("0.0005"), reference_ticks=375_000, lot=Decimal("0.1"))
    config = Config.notional([finer], Decimal(250_000), "USD")
    assert 10 * Decimal(dollars(config, finer)) == Decimal("187.5")


@pytest.mark.parametrize(
    ("symbols", "limit", "unit"),
    [
        ([FUTURE], "250000", "0.1"),
        ([FUTURE], "250000.05", "0.01"),
        ([replace(FUTURE, multiplier=100)], "500000", "1"),
        ([SHARE, FUTURE, COIN], "250000", "0.00001"),
        ([replace(SHARE, tick=Decimal("2"), reference_ticks=50)], "250000", "1"),
    ],
)
def test_largest_unit(symbols: list[Symbol], limit: str, unit: str) -> None:
    """The unit is the largest power of ten, 1 at most, that divides the limit and all values."""
    config = Config.notional(symbols, Decimal(limit), "USD")
    assert config.notional_unit == Decimal(unit)
    for symbol in symbols:
        units = config.notional_units(symbol) * config.notional_unit
        assert units == symbol.tick * symbol.lot * symbol.multiplier
    assert config.limit_units * config.notional_unit == Decimal(limit)


def test_unit_of_amounts() -> None:
    """Zeros behind the point do not make the unit finer."""
    assert unit_of([Decimal("1.500"), Decimal(20)]) == Decimal("0.1")
    assert unit_of([Decimal("3.00")]) == 1


def test_too_many_units() -> None:
    """A limit that is too large for its unit is refused, and the symbols' values are named."""
    fine = replace(COIN, lot=Decimal("0.00000001"))
    with pytest.raises(ConfigError, match=r"limit 10000000000: it is 1\d+ units of 0\.000000001"):
        Config.notional([SHARE, fine], Decimal(10**10), "USD")


def test_too_fine_for_a_coarse_symbol() -> None:
    """A unit in which a lot of another symbol would not be exact is refused with that symbol."""
    fine = replace(COIN, tick=Decimal("0.00000001"), lot=Decimal("0.0001"), reference_ticks=100)
    with pytest.raises(ConfigError, match=r"symbol ES: .* units of 0\.000000000001 USD"):
        Config.notional([FUTURE, fine], Decimal(5000), "USD")


def test_one_lot_must_fit() -> None:
    """A limit below one lot at its reference price is refused with both amounts of money."""
    with pytest.raises(ConfigError, match=r"ES: .* 250000\.00 USD of exposure: limit 249999\.99 "):
        Config.notional([SHARE, FUTURE], Decimal("249999.99"), "USD")


def test_another_unit_is_refused() -> None:
    """A unit that is no power of ten, or of which a lot has no whole number, is refused."""
    config = Config.notional([FUTURE], Decimal(250_000), "USD")
    finer = replace(
        config, limit_units=10 * config.limit_units, notional_unit=config.notional_unit / 10
    )
    assert finer.notional_units(FUTURE) == 10 * config.notional_units(FUTURE)
    with pytest.raises(ConfigError, match=r"symbol BTC: .* whole units of 0.1,"):
        replace(config, symbols=(COIN,))
    for unit in ("0", "10", "0.3"):
        with pytest.raises(ConfigError, match="notional_unit"):
            replace(config, notional_unit=Decimal(unit))


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("5", "5"),
        ("5.0", "5.0"),
        ("5.50", "5.50"),
        ("5.00100", "5.001"),
        ("5.00000", "5.00"),
        ("0.00000001", "0.00000001"),
    ],
)
def test_money_text(amount: str, text: str) -> None:
    """Zeros behind the second decimal are left out, and nothing else."""
    assert money_text(Decimal(amount)) == text


class TestFile:
    def test_limit_of_money(self) -> None:
        """The limit is decimal money with its currency; it reads back from keys and from TOML."""
        config = parse_config(FILE)
        assert (config.exposure_mode, config.currency) == ("notional", "USD")
        assert (config.limit_units, config.notional_unit) == (25_000_000, Decimal("0.01"))
        assert parse_config(config_toml(config)) == config
        assert 'limit = "250000.00"' in config_toml(config)
        stored = config.store_fields()
        assert (stored["currency"], stored["notional_unit"]) == ("USD", "0.01")
        assert Config.from_store(stored, config.symbols) == config

    @pytest.mark.parametrize(
        ("old", "new", "said"),
        [
            ('limit = "250000"', "limit_units = 5", 'limit_units 5: .* limit = "250000"'),
            ('limit = "250000"', "", "limit None: it must be a quoted decimal"),
            ('limit = "250000"', "limit = 250000", "limit 250000: it must be a quoted decimal"),
            ('limit = "250000"', 'limit = "0"', "limit 0: it must be above 0"),
            ('limit = "250000"', 'limit = "1e9"', "limit '1e9'"),
            ('currency = "USD"', "", "currency None: .* 3 to 8 letters"),
            ('currency = "USD"', 'currency = "usd"', "currency 'usd'"),
            ('currency = "USD"', "currency = 5", "currency 5"),
            ('exposure_mode = "notional"', "", 'currency|limit .* exposure_mode = "notional"'),
            ('currency = "USD"', 'currency = "USD"\nnotional_unit = "1"', "unknown field"),
        ],
    )
    def test_refused(self, old: str, new: str, said: str) -> None:
        """What does not fit notional mode, or fits only it, is refused by its name."""
        assert old in FILE
        with pytest.raises(ConfigError, match=said):
            parse_config(FILE.replace(old, new))

    def test_config_check(self, tmp_path: Path) -> None:
        """``mm config check`` names demand and limit in money, and the unit; or in lots."""
        path = tmp_path / "mm.toml"
        path.write_text(FILE, encoding="utf-8")
        said = CliRunner().invoke(main, ["config", "check", str(path)]).stdout
        assert "2 symbols ask for 2501875.00 USD at their reference prices a side" in said
        assert "the exposure limit is 250000.00 USD, counted in units of 0.01 USD." in said
        path.write_text(config_toml(default_config()), encoding="utf-8")
        said = CliRunner().invoke(main, ["config", "check", str(path)]).stdout
        assert "the exposure limit is 100 lots." in said


def test_kit_works_units_out_anew() -> None:
    """The units that the tests expect are those of the configuration."""
    config = notional_config([SHARE, FUTURE, COIN], 10**12)
    assert config.notional_units(FUTURE) == 1_250_000
    assert config.limit_units == 10**12


def test_money_of_two_currencies() -> None:
    """Lots may have prices in several currencies; notional exposure, which is added up, may not."""
    text = default_config_with('name = "AAPL"', 'name = "AAPL"\ncurrency = "EUR"')
    config = parse_config(text)
    by_name = {symbol.name: config.currency_of(symbol) for symbol in config.symbols}
    assert (by_name["AAPL"], by_name["MSFT"]) == ("EUR", "USD")
    assert parse_config(config_toml(config)) == config
    notional = text.replace("limit_units = 100", 'exposure_mode = "notional"\nlimit = "250000"')
    notional = notional.replace('exposure_mode = "lots"\n', "")
    with pytest.raises(ConfigError, match="symbol AAPL: currency EUR: exposure is USD"):
        parse_config(notional)


def default_config_with(before: str, after: str) -> str:
    """The default file with a text in place of another one, which it has once."""
    assert TEMPLATE.count(before) == 1
    return TEMPLATE.replace(before, after)
