"""Both exposure budgets and the reservations in them as plain facts."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

from mm.market import Config
from mm.store import Snapshot


@dataclass(frozen=True)
class Budget:
    """One exposure budget in units, and the symbols that wait for it, the first in turn first."""

    name: Literal["long", "short"]
    limit_units: int
    used_units: int
    waiting: tuple[str, ...]

    @property
    def free_units(self) -> int:
        """The units that no quote has reserved."""
        return self.limit_units - self.used_units


def budgets(snapshot: Snapshot) -> tuple[Budget, Budget]:
    """The budget of the bids (long) and that of the asks (short)."""
    exposure = snapshot.exposure
    return (
        Budget("long", exposure.limit_units, exposure.bid_units, tuple(snapshot.waiting_bid)),
        Budget("short", exposure.limit_units, exposure.ask_units, tuple(snapshot.waiting_ask)),
    )


@dataclass(frozen=True)
class Reserved:
    """The exposure that one symbol's quote reserves, in units, until ``expires_ms``."""

    symbol: str
    quote_id: str
    long_units: int
    short_units: int
    expires_ms: int


def reservations(snapshot: Snapshot) -> list[Reserved]:
    """The reservations that hold any exposure; their sums are what the budgets have used."""
    found = []
    for name, state in snapshot.symbols.items():
        one = state.reservation
        if one is not None and (one.bid_units or one.ask_units):
            held = Reserved(name, one.quote_id, one.bid_units, one.ask_units, one.expires_ms)
            found.append(held)
    return found


def unit_text(config: Config) -> str:
    """What one unit of exposure is: ``1 lot``, or money such as ``0.01 USD``."""
    return f"{config.notional_unit:f} {config.currency}" if config.counts_money else "1 lot"


def exposure_facts(snapshot: Snapshot) -> dict[str, object]:
    """Both budgets, the reservations in them, and the symbols that wait for each.

    Amounts are in units, and as decimal text in what exposure counts: money, or lots.
    """
    config = snapshot.config
    long, short = budgets(snapshot)
    amount = config.exposure_amount
    return {
        "exposure_mode": config.exposure_mode,
        "currency": config.currency if config.counts_money else None,
        "unit": unit_text(config),
        "limit": amount(long.limit_units),
        "long": amount(long.used_units),
        "short": amount(short.used_units),
        "long_free": amount(long.free_units),
        "short_free": amount(short.free_units),
        "limit_units": snapshot.exposure.limit_units,
        "long_units": long.used_units,
        "short_units": short.used_units,
        "long_free_units": long.free_units,
        "short_free_units": short.free_units,
        "waiting_long": list(long.waiting),
        "waiting_short": list(short.waiting),
        "reservations": [
            {**asdict(one), "long": amount(one.long_units), "short": amount(one.short_units)}
            for one in reservations(snapshot)
        ],
    }
