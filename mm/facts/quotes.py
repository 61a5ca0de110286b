"""Quotes and exposure as plain facts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from mm.facts.positions import Facts, number
from mm.market import Symbol
from mm.store import Snapshot


def _side_facts(symbol: Symbol, quote: Mapping[str, str], side: Literal["bid", "ask"]) -> Facts:
    size = number(quote, f"{side}_size_lots")
    lots = number(quote, f"{side}_lots")
    ticks = number(quote, f"{side}_ticks")
    return {
        side: symbol.price(ticks) if size else None,
        f"{side}_ticks": ticks if size else None,
        f"{side}_lots": lots,
        f"{side}_quantity": symbol.quantity(lots),
        f"{side}_size_lots": size,
    }


def quotes_facts(snapshot: Snapshot) -> list[Facts]:
    """Each symbol's live quote, remaining and as placed, and the outcome of the last placement.

    Without a live quote ``active`` is False and the quote's own facts are None, quantities 0.
    """
    found: list[Facts] = []
    for name, state in snapshot.symbols.items():
        quote = state.live_quote(snapshot.now_ms)
        found.append(
            {
                "symbol": name,
                "active": bool(quote),
                "quote_id": quote.get("quote_id"),
                "quote_version": number(state.state, "quote_version"),
                "position_version": number(quote, "position_version") if quote else None,
                **_side_facts(state.symbol, quote, "bid"),
                **_side_facts(state.symbol, quote, "ask"),
                "expires_ms": number(quote, "expires_ms") if quote else None,
                "ttl_ms": number(quote, "expires_ms") - snapshot.now_ms if quote else None,
                "maker_id": quote.get("maker_id"),
                "outcome": state.state.get("outcome"),
                "halted": state.halted or None,
            }
        )
    return found


def exposure_facts(snapshot: Snapshot) -> Facts:
    """Both budgets in units, and the symbols that wait for each, first in turn first."""
    limit = number(snapshot.exposure, "limit_units")
    long, short = number(snapshot.exposure, "bid_units"), number(snapshot.exposure, "ask_units")
    return {
        "exposure_mode": snapshot.config.exposure_mode,
        "limit_units": limit,
        "long_units": long,
        "short_units": short,
        "long_free_units": limit - long,
        "short_free_units": limit - short,
        "waiting_long": list(snapshot.waiting_bid),
        "waiting_short": list(snapshot.waiting_ask),
    }


def symbol_count(snapshot: Snapshot) -> int:
    """How many symbols the system has, as far as the snapshot knows.

    One that was cut to the first few still knows those that have or wait for a quote.
    """
    known = snapshot.symbols.keys() | snapshot.expiry.keys()
    return len(known | snapshot.waiting_bid.keys() | snapshot.waiting_ask.keys())


def active_quotes(snapshot: Snapshot) -> int:
    """How many quotes can be executed at the instant."""
    return sum(1 for expires_ms in snapshot.expiry.values() if expires_ms > snapshot.now_ms)


def halts(snapshot: Snapshot) -> dict[str, str]:
    """The halted symbols and why."""
    return {name: one.halted for name, one in snapshot.symbols.items() if one.halted}
