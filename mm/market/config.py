"""The configuration: what all processes of one system must agree on.

It comes from a TOML file, from the keys of a running system, or from the defaults. The first
process that starts writes it to the keys (``setup.lua``). A process with another configuration
refuses to start.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from mm.errors import ConfigError, ValueRefused, shown
from mm.market.model import Symbol
from mm.market.numbers import MAX_INT, check_int, check_symbol, parse_decimal, to_steps

#: Version of the key layout. A program refuses keys of another version. `mm up` carries a system of
#: the old version over, unless its exposure is notional.
SCHEMA, OLD_SCHEMA = "2", "1"

#: A process counts as dead when its last heartbeat is older than this. The same for every system.
LIVE_MS = 2_000

#: The longest time: an instant that much later is still an exact integer.
MAX_MS = 10**14

#: Bounds on a configuration. A file with this many symbols has a tenth of these bytes.
MAX_SYMBOLS = 20_000
MAX_BYTES = 64 * 1024 * 1024

#: What a unit of exposure is: a lot, or price_ticks x multiplier for each lot (R7).
Mode = Literal["lots", "notional"]
#: Whether the server must have every write on disk before it answers (R18).
Durability = Literal["always", "relaxed"]

#: The integer parameters of a symbol, under these names in files, in keys and in :class:`Symbol`.
_SYMBOL_INTS = ("spread_ticks", "size_lots", "skew_ticks", "position_limit_lots", "multiplier")


@dataclass(frozen=True)
class Config:
    """A complete and valid configuration; times are in milliseconds.

    ``keep_orders`` counts records; the other ``keep_`` fields count entries, which hold one record
    or more. ConfigError names the value and the rule that it breaks.
    """

    symbols: tuple[Symbol, ...]
    limit_units: int = 100
    exposure_mode: Mode = "lots"
    quote_ttl_ms: int = 30_000
    refresh_ms: int = 5_000
    dedup_window_ms: int = 86_400_000
    report_idle_ms: int = 3_600_000
    keep_orders: int = 1_000_000
    keep_reports: int = 10_000
    keep_updates: int = 100_000
    keep_quotes: int = 1_000_000
    keep_deadletters: int = 100_000
    durability: Durability = "always"

    def __post_init__(self) -> None:
        try:
            self._check()
        except ValueRefused as error:
            raise ConfigError(str(error)) from error

    def _check(self) -> None:
        for name in INT_FIELDS:
            high = MAX_MS if name.endswith("_ms") else MAX_INT
            check_int(name, getattr(self, name), high=high)
        if self.exposure_mode not in ("lots", "notional"):
            raise ConfigError(
                f"exposure_mode {shown(self.exposure_mode)}: it must be lots or notional"
            )
        if self.durability not in ("always", "relaxed"):
            raise ConfigError(f"durability {shown(self.durability)}: it must be always or relaxed")
        if not self.refresh_ms < self.quote_ttl_ms:
            raise ConfigError(
                f"refresh_ms {self.refresh_ms}: it must be below quote_ttl_ms {self.quote_ttl_ms}"
            )
        if not 1 <= len(self.symbols) <= MAX_SYMBOLS:
            raise ConfigError(f"{len(self.symbols)} symbols: there must be 1 to {MAX_SYMBOLS}")
        names = [symbol.name for symbol in self.symbols]
        seen: set[str] = set()
        for name in names:
            if name in seen:
                raise ConfigError(f"symbol {shown(name)}: it must be configured once only")
            seen.add(name)
        for symbol in self.symbols:
            _check_symbol_rules(symbol, self.limit_units, self.exposure_mode)

    @cached_property
    def _by_name(self) -> dict[str, Symbol]:
        return {symbol.name: symbol for symbol in self.symbols}

    def symbol(self, name: str) -> Symbol:
        """The symbol of that name; ValueRefused names the configured symbols."""
        if name in self._by_name:
            return self._by_name[name]
        known = " ".join(symbol.name for symbol in self.symbols[:20])
        more = "" if len(self.symbols) <= 20 else f" and {len(self.symbols) - 20} more"
        raise ValueRefused(f"symbol {shown(name)}: it must be a configured one: {known}{more}")

    def store_fields(self) -> dict[str, str]:
        """The fields of the config hash."""
        stored = {"schema": SCHEMA, "symbols": " ".join(symbol.name for symbol in self.symbols)}
        return stored | {name: str(getattr(self, name)) for name in _PLAIN_FIELDS}

    @classmethod
    def from_store(cls, stored: Mapping[str, str], symbols: Iterable[Symbol]) -> Config:
        """The configuration in the config hash; ConfigError when its values cannot be used."""
        if stored.get("schema") != SCHEMA:
            raise ConfigError(f"schema {stored.get('schema')!r}: this program reads {SCHEMA}")
        values: dict[str, Any] = {name: int(stored[name]) for name in INT_FIELDS}
        return cls(
            symbols=tuple(symbols),
            exposure_mode=stored["exposure_mode"],  # type: ignore[arg-type]  # checked on creation
            durability=stored["durability"],  # type: ignore[arg-type]  # checked on creation
            **values,
        )

    def to_toml(self) -> str:
        """The configuration as the text of a file that reads back to an equal one."""
        lines = ["[market]"]
        for name in _PLAIN_FIELDS:
            value = getattr(self, name)
            lines.append(f'{name} = "{value}"' if isinstance(value, str) else f"{name} = {value}")
        for symbol in self.symbols:
            lines += ["", "[[symbol]]", f'name = "{symbol.name}"']
            lines += [f'tick = "{symbol.tick:f}"', f'lot = "{symbol.lot:f}"']
            lines.append(f'reference = "{symbol.price(symbol.reference_ticks)}"')
            lines += [f"{name} = {getattr(symbol, name)}" for name in _SYMBOL_INTS]
        return "\n".join(lines) + "\n"


#: The fields of the configuration other than its symbols, and those of them that are integers.
_PLAIN_FIELDS = tuple(field.name for field in fields(Config) if field.name != "symbols")
INT_FIELDS = tuple(name for name in _PLAIN_FIELDS if name not in ("exposure_mode", "durability"))


def _check_symbol_rules(symbol: Symbol, limit_units: int, mode: Mode) -> None:
    check_symbol(symbol.name)
    where = f"symbol {symbol.name}: "
    for name in ("tick", "lot"):
        value: Decimal = getattr(symbol, name)
        if value <= 0:
            raise ConfigError(f"{where}{name} {value}: it must be above 0")
    for name in ("reference_ticks", "size_lots", "position_limit_lots", "multiplier"):
        check_int(where + name, getattr(symbol, name))
    check_int(where + "spread_ticks", symbol.spread_ticks)
    check_int(where + "skew_ticks", symbol.skew_ticks, low=0)
    # Every product of a price and a quantity must stay an exact integer. The price may move to
    # twice the reference, and from there by the spread and the widest skew.
    highest = 2 * symbol.reference_ticks + symbol.spread_ticks + symbol.skew_ticks
    if highest * symbol.position_limit_lots * symbol.multiplier > MAX_INT:
        raise ConfigError(
            f"{where}position_limit_lots {symbol.position_limit_lots} at reference_ticks"
            f" {symbol.reference_ticks}: price x lots x multiplier must stay below 2^53"
        )
    unit = symbol.reference_ticks * symbol.multiplier if mode == "notional" else 1
    if unit > limit_units:
        raise ConfigError(
            f"{where}one lot at the reference price is {unit} units of exposure: limit_units"
            f" {limit_units} must allow at least one"
        )


def symbol_fields(symbol: Symbol) -> dict[str, str]:
    """The parameter fields of the symbol's hash."""
    return {
        "tick": f"{symbol.tick:f}",
        "lot": f"{symbol.lot:f}",
        "reference_ticks": str(symbol.reference_ticks),
        **{name: str(getattr(symbol, name)) for name in _SYMBOL_INTS},
    }


def symbol_from_store(name: str, stored: Mapping[str, str]) -> Symbol:
    """The symbol whose parameters its hash holds.

    KeyError, ValueError or ArithmeticError when a field is missing or not a number.
    """
    return Symbol(
        name,
        Decimal(stored["tick"]),
        Decimal(stored["lot"]),
        int(stored["reference_ticks"]),
        **{field: int(stored[field]) for field in _SYMBOL_INTS},
    )


def _symbol_from_table(table: Mapping[str, Any]) -> Symbol:
    allowed = {"name", "tick", "lot", "reference", *_SYMBOL_INTS}
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
    ints = {field: table.get(field, 1 if field == "multiplier" else None) for field in _SYMBOL_INTS}
    for field, value in ints.items():
        check_int(where + field, value, low=0 if field == "skew_ticks" else 1)
    reference = to_steps(where + "reference", decimals["reference"], decimals["tick"], "tick")
    return Symbol(check_symbol(name), decimals["tick"], decimals["lot"], reference, **ints)


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
    if unknown := sorted(set(market) - set(_PLAIN_FIELDS)):
        raise ConfigError(
            f"[market] unknown field {shown(unknown[0])}; known: {' '.join(_PLAIN_FIELDS)}"
        )
    try:
        symbols = tuple(_symbol_from_table(table) for table in tables)
    except ValueRefused as error:
        raise ConfigError(str(error)) from error
    return Config(symbols=symbols, **market)


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
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    try:
        return parse_config(text)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


#: The defaults, commented: what ``mm config init`` writes and :func:`default_config` reads.
TEMPLATE = resources.files("mm.market").joinpath("default.toml").read_text(encoding="utf-8")


def default_config() -> Config:
    """Eight symbols whose quotes together ask for a little more exposure than the limit."""
    return parse_config(TEMPLATE)
