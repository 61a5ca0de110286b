"""The configuration: what all processes of one system must agree on.

It comes from a TOML file (:mod:`mm.market.config_file`), or from the keys of a running system. The
process that creates a system writes it to the keys (``setup.lua``). A process with another
configuration refuses to start.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from decimal import Decimal
from functools import cached_property
from typing import Any

from mm.errors import ConfigError, ValueRefused, shown
from mm.market.durability import DURABILITIES, Durability
from mm.market.model import SYMBOL_INTS, Symbol
from mm.market.numbers import (
    MAX_INT,
    check_int,
    check_symbol,
    exact_product,
    exact_quotient,
    is_multiple,
)
from mm.market.units import (
    Mode,
    check_currency,
    check_unit,
    money_text,
    notional_limit,
    tick_lot_value,
)

#: Version of the key layout. A program refuses keys of another version. `mm up` carries a system of
#: the old version over, unless its exposure is notional.
SCHEMA, OLD_SCHEMAS = "3", (FIRST_SCHEMA := "1", "2")

#: A process counts as dead when its last heartbeat is older than this. The same for every system.
LIVE_MS = 2_000

#: The longest time: an instant that much later is still an exact integer.
MAX_MS = 10**14

MAX_SYMBOLS = 20_000

#: The fields, of the market or of a symbol, that may be 0.
ZERO_ALLOWED = (
    *("skew_ticks", "protection_lots", "protection_loss_ticks"),
    *("protection_freeze_ms", "replicas", "archive_days", "archive_mb"),
)
#: Fields that the keys of earlier versions lack: there the defaults hold.
ADDED_FIELDS = (
    *("protection_window_ms", "protection_freeze_ms", "partitions", "replicas"),
    *("keep_fills", "archive_days", "archive_mb"),
)
MAX_PARTITIONS, MAX_REPLICAS = 1_000, 5


@dataclass(frozen=True)
class Config:
    """A complete and valid configuration; times are in milliseconds.

    A unit of exposure is a lot, or in notional mode ``notional_unit`` money of ``currency``: the
    largest power of ten in which the limit and a tick x lot x multiplier of each symbol are whole.
    In lots mode ``notional_unit`` is 1. ``currency`` is that of all prices of symbols which do not
    name another one; in lots mode it may be empty. ``keep_orders`` and
    ``keep_fills`` count records; the other ``keep_`` fields count entries, which hold one record or
    more. ``archive_days`` and ``archive_mb`` bound what is archived beside the fills; 0 is none.
    ``version`` counts the changes made while the system ran, from 1. Two configurations that differ
    in it alone are equal. ConfigError names the value and the rule that it breaks.
    """

    symbols: tuple[Symbol, ...]
    limit_units: int = 100
    exposure_mode: Mode = "lots"
    currency: str = ""
    notional_unit: Decimal = Decimal(1)
    quote_ttl_ms: int = 30_000
    refresh_ms: int = 5_000
    dedup_window_ms: int = 86_400_000
    report_idle_ms: int = 3_600_000
    keep_fills: int = 100_000
    keep_orders: int = 1_000_000
    keep_reports: int = 10_000
    keep_updates: int = 100_000
    keep_quotes: int = 1_000_000
    keep_deadletters: int = 100_000
    archive_days: int = 30
    archive_mb: int = 1_000
    protection_window_ms: int = 10_000
    protection_freeze_ms: int = 60_000
    partitions: int = 1
    replicas: int = 0
    durability: Durability = "always"
    version: int = field(default=1, compare=False)

    def __post_init__(self) -> None:
        try:
            self._check()
        except ValueRefused as error:
            raise ConfigError(str(error)) from error

    def _check(self) -> None:
        for name in INT_FIELDS:
            high = MAX_MS if name.endswith("_ms") else MAX_INT
            high = {"partitions": MAX_PARTITIONS, "replicas": MAX_REPLICAS}.get(name, high)
            check_int(name, getattr(self, name), int(name not in ZERO_ALLOWED), high)
        if self.exposure_mode not in ("lots", "notional"):
            raise ConfigError(
                f"exposure_mode {shown(self.exposure_mode)}: it must be lots or notional"
            )
        self._check_unit()
        if self.durability not in DURABILITIES:
            known = ", ".join(DURABILITIES)
            raise ConfigError(f"durability {shown(self.durability)}: it must be {known}")
        if not self.refresh_ms < self.quote_ttl_ms:
            raise ConfigError(
                f"refresh_ms {self.refresh_ms}: it must be below quote_ttl_ms {self.quote_ttl_ms}"
            )
        check_int("version", self.version)
        if not 1 <= len(self.symbols) <= MAX_SYMBOLS:
            raise ConfigError(f"{len(self.symbols)} symbols: there must be 1 to {MAX_SYMBOLS}")
        names = [symbol.name for symbol in self.symbols]
        seen: set[str] = set()
        for name in names:
            if name in seen:
                raise ConfigError(f"symbol {shown(name)}: it must be configured once only")
            seen.add(name)
        for symbol in self.symbols:
            self._check_symbol(symbol)

    def _check_unit(self) -> None:
        if self.exposure_mode == "lots":
            if self.notional_unit != 1:
                raise ConfigError(f"notional_unit {self.notional_unit}: lots are not money")
            if self.currency:
                check_currency(self.currency)
            return
        check_currency(self.currency)
        check_unit(self.notional_unit)
        for symbol in self.symbols:
            value = tick_lot_value(symbol)
            if not is_multiple(value, self.notional_unit):
                raise ConfigError(
                    f"symbol {symbol.name}: a tick x lot x multiplier is {value:f}"
                    f" {self.currency}: it must be whole units of {self.notional_unit:f}, in which"
                    " this system counts exposure"
                )

    def _check_symbol(self, symbol: Symbol) -> None:
        check_symbol(symbol.name)
        where = f"symbol {symbol.name}: "
        for name in ("tick", "lot"):
            value: Decimal = getattr(symbol, name)
            if value <= 0:
                raise ConfigError(f"{where}{name} {value}: it must be above 0")
        for name in ("reference_ticks", *SYMBOL_INTS):
            high = 100 if name == "fair_weight" else MAX_INT
            check_int(where + name, getattr(symbol, name), int(name not in ZERO_ALLOWED), high)
        if symbol.currency:
            check_currency(symbol.currency, where)
            if self.counts_money and symbol.currency != self.currency:
                raise ConfigError(
                    f"{where}currency {symbol.currency}: exposure is {self.currency}, and money of"
                    " two currencies is never added, so in notional mode it must be"
                    f" {self.currency}"
                )
        # Every product must stay an exact integer. The price may move to twice the reference, and
        # from there by the spread and the widest skew.
        highest = 2 * symbol.reference_ticks + symbol.spread_ticks + symbol.skew_ticks
        if highest * symbol.position_limit_lots > MAX_INT:
            raise ConfigError(
                f"{where}position_limit_lots {symbol.position_limit_lots} at reference_ticks"
                f" {symbol.reference_ticks}: price x lots must stay below 2^53"
            )
        if highest * self.notional_units(symbol) > MAX_INT:
            raise ConfigError(
                f"{where}a lot at its reference price is {self.notional_units(symbol)} x"
                f" {symbol.reference_ticks} units of {self.notional_unit:f} {self.currency}: this"
                " must stay below 2^53 at twice the price"
            )
        units = self.lot_units(symbol, symbol.reference_ticks)
        if units > self.limit_units:
            name = "limit_units" if self.exposure_mode == "lots" else "limit"
            limit = f"{name} {self.exposure_amount(self.limit_units)}"
            raise ConfigError(
                f"{where}one lot at the reference price is {self.exposure_amount(units)}"
                f" {self.exposure_name} of exposure: {limit} must allow at least one"
            )

    @classmethod
    def notional(
        cls, symbols: Iterable[Symbol], limit: Decimal, currency: str, **values: Any
    ) -> Config:
        """A configuration with a limit of money; ``values`` are further fields."""
        every = tuple(symbols)
        units, unit = notional_limit(every, limit)
        return cls(every, units, "notional", currency, unit, **values)

    def counted_as(self, other: Config) -> Config:
        """The same configuration in the unit of exposure in which ``other`` counts.

        ConfigError when the limit or a tick x lot x multiplier is not whole in it. One of another
        mode or currency is returned as it is.
        """
        same = (self.exposure_mode, self.currency) == (other.exposure_mode, other.currency)
        if not same or self.notional_unit == other.notional_unit:
            return self
        limit = exact_product(Decimal(self.limit_units), self.notional_unit)
        if not is_multiple(limit, other.notional_unit):
            raise ConfigError(
                f"limit {limit:f}: it must be whole units of {other.notional_unit:f}"
                f" {other.currency}, in which this system counts exposure"
            )
        units = exact_quotient(limit, other.notional_unit)
        return replace(self, limit_units=units, notional_unit=other.notional_unit)

    def notional_units(self, symbol: Symbol) -> int:
        """The units of a tick x lot of the symbol; 1 in lots mode, where it is not used."""
        if self.exposure_mode == "lots":
            return 1
        return exact_quotient(tick_lot_value(symbol), self.notional_unit)

    def lot_units(self, symbol: Symbol, ticks: int) -> int:
        """The units of exposure of a lot of the symbol at a price."""
        return 1 if self.exposure_mode == "lots" else ticks * self.notional_units(symbol)

    def exposure_amount(self, units: int) -> str:
        """Exposure as exact text: a number of lots, or money without its currency."""
        return money_text(exact_product(Decimal(units), self.notional_unit))

    @property
    def traded(self) -> tuple[Symbol, ...]:
        """The symbols that are not retired."""
        return tuple(symbol for symbol in self.symbols if not symbol.retired)

    @property
    def counts_money(self) -> bool:
        """Whether exposure is money: the notional mode."""
        return self.exposure_mode == "notional"

    @property
    def exposure_name(self) -> str:
        """What exposure is counted in, for people: lots, or the currency."""
        return self.currency if self.counts_money else "lots"

    def currency_of(self, symbol: Symbol) -> str:
        """The currency of the symbol's prices, or empty text when nobody named one."""
        return symbol.currency or self.currency

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
        plain = {name: str(getattr(self, name)) for name in PLAIN_FIELDS}
        unit = {"currency": self.currency or "-", "notional_unit": f"{self.notional_unit:f}"}
        for name in ("partitions", "replicas"):
            if getattr(self, name) == getattr(Config, name):
                del plain[name]
        return stored | plain | unit

    @classmethod
    def from_store(cls, stored: Mapping[str, str], symbols: Iterable[Symbol]) -> Config:
        """The configuration in the config hash; ConfigError when its values cannot be used.

        A hash of the old schema, which counts lots, has neither a currency nor a unit.
        """
        if stored.get("schema") != SCHEMA:
            raise ConfigError(f"schema {stored.get('schema')!r}: run the version of mm that has it")
        added = {name: getattr(cls, name) for name in ADDED_FIELDS}
        values: dict[str, Any] = {name: int((added | dict(stored))[name]) for name in INT_FIELDS}
        currency = stored.get("currency", "-")
        return cls(
            symbols=tuple(symbols),
            exposure_mode=stored["exposure_mode"],  # type: ignore[arg-type]  # checked on creation
            currency="" if currency == "-" else currency,
            notional_unit=Decimal(stored.get("notional_unit", "1")),
            durability=stored["durability"],  # type: ignore[arg-type]  # checked on creation
            version=int(stored.get("config_version", "1")),
            **values,
        )


#: The fields of the configuration other than its symbols, and those of them that are integers.
PLAIN_FIELDS = tuple(one.name for one in fields(Config) if one.name not in ("symbols", "version"))
_TEXT_FIELDS = ("exposure_mode", "currency", "notional_unit", "durability")
INT_FIELDS = tuple(name for name in PLAIN_FIELDS if name not in _TEXT_FIELDS)
