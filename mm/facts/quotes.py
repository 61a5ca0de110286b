"""Quotes and halts as plain facts."""

from __future__ import annotations

from mm.market import Symbol
from mm.store import Control, QuoteSide, SideName, Snapshot, SymbolState


def _side_facts(symbol: Symbol, name: SideName, side: QuoteSide) -> dict[str, object]:
    return {
        name: symbol.price(side.ticks) if side.size_lots else None,
        f"{name}_ticks": side.ticks if side.size_lots else None,
        f"{name}_lots": side.lots,
        f"{name}_quantity": symbol.quantity(side.lots),
        f"{name}_size_lots": side.size_lots,
    }


def quotes_facts(snapshot: Snapshot) -> list[dict[str, object]]:
    """Each symbol's live quote, remaining and as placed, and the outcome of its placement.

    Without a live quote ``active`` is False, the quote's quantities are 0, and its other facts
    None; ``outcome`` is then ``omitted`` if the last proposal got nothing, else None.
    """
    return [_quote_facts(snapshot, name, state) for name, state in snapshot.symbols.items()]


def _quote_facts(snapshot: Snapshot, name: str, state: SymbolState) -> dict[str, object]:
    symbol, quote, now_ms = state.symbol, state.quote, snapshot.now_ms
    no_side = QuoteSide(ticks=0, lots=0, size_lots=0)
    return {
        "symbol": name,
        "active": quote is not None,
        "quote_id": quote.quote_id if quote else None,
        "quote_version": state.quote_version,
        "position_version": quote.position_version if quote else None,
        **_side_facts(symbol, "bid", quote.bid if quote else no_side),
        **_side_facts(symbol, "ask", quote.ask if quote else no_side),
        "expires_ms": quote.expires_ms if quote else None,
        "ttl_ms": quote.expires_ms - now_ms if quote else None,
        "maker_id": quote.maker_id if quote else None,
        "outcome": placement_of(state) or None,
        "mode": snapshot.mode_of(name),
        "halted": state.halted or None,
        "frozen": state.frozen or None,
        "frozen_until_ms": state.frozen_until_ms if state.frozen else None,
        "retired": state.symbol.retired,
    }


def symbol_count(snapshot: Snapshot) -> int:
    """How many symbols the system has."""
    return len(snapshot.symbol_names)


def placement_of(state: SymbolState) -> str:
    """What became of the proposal for what is quoted now; empty text when nothing is quoted.

    ``granted`` and ``reduced`` are said of an active quote only. ``omitted`` says that the last
    proposal got nothing.
    """
    return state.outcome if state.quote is not None or state.outcome == "omitted" else ""


def active_quotes(snapshot: Snapshot) -> int:
    """How many quotes can be executed at the instant."""
    return sum(1 for expires_ms in snapshot.expiry.values() if expires_ms > snapshot.now_ms)


def modes_set(snapshot: Snapshot) -> dict[str, Control]:
    """The trading modes that operators have set and that are not active, by symbol.

    That of all symbols comes first, under ``*``. A closed symbol is left out: its mode is for good.
    """
    modes = {"*": snapshot.control}
    modes |= {name: one.control for name, one in snapshot.symbols.items() if not one.closed}
    return {name: control for name, control in modes.items() if control.mode != "active"}


def modes_facts(snapshot: Snapshot) -> list[dict[str, object]]:
    """The same as plain values."""
    return [
        {
            "symbol": name,
            "mode": control.mode,
            "why": control.why,
            "who": control.who,
            "since_ms": control.since_ms,
        }
        for name, control in modes_set(snapshot).items()
    ]


def operator_halts(snapshot: Snapshot) -> int:
    """How many symbols an operator has halted, each of them or all at once."""
    if snapshot.control.mode == "halted":
        return symbol_count(snapshot)
    return sum(one.control.mode == "halted" and not one.closed for one in snapshot.symbols.values())


def freezes(snapshot: Snapshot) -> dict[str, SymbolState]:
    """The symbols that their protection has frozen at the instant."""
    return {name: one for name, one in snapshot.symbols.items() if one.frozen}


def halts(snapshot: Snapshot) -> dict[str, str]:
    """The symbols that an integrity error has halted, with their reasons."""
    return {name: one.halted for name, one in snapshot.symbols.items() if one.halted}
