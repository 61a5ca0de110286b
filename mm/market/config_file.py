"""The configuration as a TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, fields
from importlib import resources
from pathlib import Path
from typing import Any

from mm.errors import ConfigError, ValueRefused, shown
from mm.market.config import PLAIN_FIELDS, ZERO_ALLOWED, Config
from mm.market.model import SYMBOL_INTS, Symbol
from mm.market.numbers import check_int, check_symbol, parse_decimal, to_steps
from mm.market.partition import homes
from mm.market.units import check_currency

#: The largest file. One with the most symbols has a tenth of these bytes.
MAX_BYTES = 64 * 1024 * 1024
#: What a table of a symbol may leave out.
_SYMBOL_DEFAULTS = {
    field.name: field.default for field in fields(Symbol) if field.default is not MISSING
}
_LIMIT = ("exposure_mode", "limit_units", "limit", "currency")
#: The fields of [market]. The limit is either limit_units, or limit with currency.
MARKET_FIELDS = (
    *_LIMIT,
    *(
        field.name
        for field in fields(Config)
        if field.name not in (*_LIMIT, "symbols", "notional_unit", "version")
    ),
)


def _symbol_from_table(table: Mapping[str, Any]) -> Symbol:
    allowed = {"name", "tick", "lot", "reference", "currency", *SYMBOL_INTS}
    name = table.get("name")
    if not isinstance(name, str):
        raise ConfigError(f"[[symbol]] name {shown(name)}: it must be a text such as 'AAPL'")
    where = f"symbol {name}: "
    if unknown := sorted(set(table) - allowed):
        raise ConfigError(
            f"{where}unknown field {shown(unknown[0])}; known: {' '.join(sorted(allowed))}"
        )
    decimals = {}
    for field in ("tick", "lot", "reference"):
        value = table.get(field)
        if not isinstance(value, str):
            raise ConfigError(
                f'{where}{field} {shown(value)}: it must be a quoted decimal such as "0.01"'
            )
        decimals[field] = parse_decimal(where + field, value)
    for field in ("tick", "lot"):
        if decimals[field] <= 0:
            raise ConfigError(f"{where}{field} {decimals[field]}: it must be above 0")
    ints = {field: table.get(field, _SYMBOL_DEFAULTS.get(field)) for field in SYMBOL_INTS}
    for field, value in ints.items():
        check_int(where + field, value, low=0 if field in ZERO_ALLOWED else 1)
    reference = to_steps(where + "reference", decimals["reference"], decimals["tick"], "tick")
    currency = check_currency(table["currency"], where) if "currency" in table else ""
    return Symbol(
        *(check_symbol(name), decimals["tick"], decimals["lot"], reference),
        **ints,
        currency=currency,
    )


def parse_config(text: str) -> Config:
    """A configuration from TOML text; ConfigError names the value and the rule."""
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        # A TOMLDecodeError is a ValueError; so is an integer of too many digits.
        raise ConfigError(f"not TOML: {error}") from error
    if unknown := sorted(set(data) - {"market", "symbol"}):
        raise ConfigError(f"unknown section {shown(unknown[0])}; known: [market] and [[symbol]]")
    market, tables = data.get("market", {}), data.get("symbol", [])
    if not isinstance(market, dict):
        raise ConfigError("market: it must be a table, [market]")
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise ConfigError("symbol: it must be an array of tables, [[symbol]]")
    if unknown := sorted(set(market) - set(MARKET_FIELDS)):
        raise ConfigError(
            f"[market] unknown field {shown(unknown[0])}; known: {' '.join(MARKET_FIELDS)}"
        )
    try:
        symbols = tuple(_symbol_from_table(table) for table in tables)
        config = _with_limit(symbols, market)
        homes(config)
        return config
    except ValueRefused as error:
        raise ConfigError(str(error)) from error


def _with_limit(symbols: tuple[Symbol, ...], market: dict[str, Any]) -> Config:
    """The configuration with its limit, which is a number of lots, or money in notional mode."""
    if market.get("exposure_mode") != "notional":
        if "limit" in market:
            raise ConfigError(
                f'limit {shown(market["limit"])}: it goes with exposure_mode = "notional"; in'
                " lots the limit is limit_units"
            )
        if "currency" in market:
            check_currency(market["currency"])
        return Config(symbols=symbols, **market)
    if "limit_units" in market:
        raise ConfigError(
            f"limit_units {shown(market['limit_units'])}: notional exposure is money: write its"
            ' limit such as limit = "250000", and its currency such as currency = "USD"'
        )
    values = {name: value for name, value in market.items() if name != "exposure_mode"}
    currency, limit = check_currency(values.pop("currency", None)), values.pop("limit", None)
    if not isinstance(limit, str):
        raise ConfigError(f'limit {shown(limit)}: it must be a quoted decimal such as "250000"')
    amount = parse_decimal("limit", limit)
    if amount <= 0:
        raise ConfigError(f"limit {limit}: it must be above 0")
    return Config.notional(symbols, amount, currency, **values)


def load_config(path: Path) -> Config:
    """Read a configuration file; ConfigError names the file, the value and the rule."""
    try:
        if path.exists() and not path.is_file():
            raise ConfigError(f"{path}: not a regular file: it must be a TOML file")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise ConfigError(f"{path}: a configuration may have {MAX_BYTES} bytes at most")
        # Editors on Windows begin a file with a byte-order mark.
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    try:
        return parse_config(text)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def config_toml(config: Config) -> str:
    """The configuration as the text of a file that reads back to an equal one."""
    limit = {"limit_units": str(config.limit_units)}
    if config.counts_money:
        limit = {"limit": f'"{config.exposure_amount(config.limit_units)}"'}
    currency = {"currency": f'"{config.currency}"'} if config.currency else {}
    lines = ["[market]", *(f"{name} = {value}" for name, value in (currency | limit).items())]
    for name in PLAIN_FIELDS:
        if name not in ("limit_units", "currency", "notional_unit"):
            value = getattr(config, name)
            quoted = f'"{value}"' if isinstance(value, str) else value
            lines.append(f"{name} = {quoted}")
    for symbol in config.traded:
        lines += ["", "[[symbol]]", f'name = "{symbol.name}"']
        lines += [f'tick = "{symbol.tick:f}"', f'lot = "{symbol.lot:f}"']
        lines.append(f'reference = "{symbol.price(symbol.reference_ticks)}"')
        lines += [f'currency = "{symbol.currency}"'] if symbol.currency else []
        lines += [f"{name} = {getattr(symbol, name)}" for name in SYMBOL_INTS]
    return "\n".join(lines) + "\n"


#: The defaults, commented: what ``mm config init`` writes and :func:`default_config` reads.
TEMPLATE = resources.files("mm.market").joinpath("default.toml").read_text(encoding="utf-8")


def default_config() -> Config:
    """Eight symbols whose quotes together ask for a little more exposure than the limit."""
    return parse_config(TEMPLATE)
