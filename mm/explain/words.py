"""The words of a story: each event of a symbol's past as a sentence, and its facts."""

from __future__ import annotations

from typing import Any

from mm.explain.lives import Absence
from mm.explain.sent import SentOrder
from mm.explain.sizes import signed, size_reasons
from mm.explain.step import Step, instant, seconds
from mm.market import Config, Fill, Position, Symbol
from mm.store import Commit, EventSide, Operation, QuoteEvent, SymbolState

_TRIGGERS = {
    "position": "position version {version} was committed",
    "refresh": "the quote before it was about to expire",
    "expired": "the quote before it had ended",
    "bootstrap": "the symbol had no quote yet",
    "capacity": "exposure that it waited for had become free",
}
#: Cause of a withdrawal -> what had happened. Earlier versions knew one cause and did not write it.
_WITHDRAWN = {
    "halted": "the symbol being halted after an integrity error",
    "operator_halt": "as an operator had halted the symbol",
    "config": "as the symbol's configuration changed",
    "protection": "as the symbol's protection had frozen it",
    "reducing": "as it might have grown the position, which must only shrink",
    "stopped": "as its makers had stopped in order",
    "": "the symbol being halted",
}


def left_text(symbol: Symbol, quote: QuoteEvent, filled: tuple[int, int]) -> str:
    """What was left of a quote's two sides."""
    bid, ask = quote.bid.lots, quote.ask.lots
    return (
        f"{symbol.quantity(bid - filled[0])} of {symbol.quantity(bid)} bid and"
        f" {symbol.quantity(ask - filled[1])} of {symbol.quantity(ask)} ask"
    )


def fill_step(symbol: Symbol, fill: Fill, order: SentOrder | None) -> Step:
    """The step from an order to its fill."""
    price, quantity = symbol.price(fill.price_ticks), symbol.quantity(fill.qty_lots)
    did = "bought" if fill.side == "buy" else "sold"
    facts: dict[str, Any] = {
        "fill_id": fill.fill_id,
        "client_id": fill.client_id,
        "order_id": fill.order_id,
        "side": fill.side,
        "quantity": quantity,
        "price": price,
        "quote_id": fill.quote_id,
        "order": None,
    }
    done = f"{did} {quantity} at {price} against {fill.quote_id}: fill {fill.fill_id}"
    if order is None:
        text = (
            f"Order {fill.order_id} of {fill.client_id} {done}. (Only the fill is known: its order"
            " is trimmed, or too far back to be read.)"
        )
        return Step("fill", fill.ts_ms, text, facts)
    before = max(0, fill.ts_ms - order.sent_ms)
    facts["order"] = {
        "quantity": symbol.quantity(order.qty_lots),
        "limit_price": symbol.price(order.limit_ticks),
        "sent_ms": order.sent_ms,
    }
    rest = order.qty_lots - fill.qty_lots
    ordered, limit = symbol.quantity(order.qty_lots), symbol.price(order.limit_ticks)
    text = (
        f"{fill.client_id} sent order {fill.order_id}, {fill.side} {ordered} at {limit} or better;"
    )
    text += f" {seconds(before)} later it {done}."
    if rest > 0:
        text += f" The remaining {symbol.quantity(rest)} did not fill and were canceled."
    return Step("fill", fill.ts_ms, text, facts)


def commit_step(symbol: Symbol, commit: Commit, before: int | None) -> Step:
    """The step from fills to a position version; ``before`` is the version before, if known."""
    last = commit.version
    if before is None:
        names = f"All fills up to {symbol.name}-{last} were"
    elif before + 1 < last:
        names = f"Fills {symbol.name}-{before + 1} to {symbol.name}-{last} were"
    else:
        names = f"Fill {symbol.name}-{last} was"
    text = (
        f"{names} committed: position version {commit.version}, net"
        f" {signed(symbol, commit.net_lots)}, last price {symbol.price(commit.last_price_ticks)}."
    )
    facts = {
        "position_version": commit.version,
        "version_before": before,
        "net": symbol.quantity(commit.net_lots),
        "cash": symbol.money(commit.cash_ticks),
        "last_price": symbol.price(commit.last_price_ticks),
    }
    return Step("commit", commit.ts_ms, text, facts)


def _side_text(symbol: Symbol, side: EventSide) -> str:
    reduced = side.lots < side.requested_lots
    of = f" of {symbol.quantity(side.requested_lots)} asked for" if reduced else ""
    return f"{side.name} {symbol.price(side.ticks)} for {symbol.quantity(side.lots)}{of}"


def _side_facts(symbol: Symbol, side: EventSide, reasons: list[tuple[str, str]]) -> dict[str, Any]:
    return {
        "price": symbol.price(side.ticks),
        "quantity": symbol.quantity(side.lots),
        "requested": symbol.quantity(side.requested_lots),
        "reduced_by": [word for word, _ in reasons],
    }


def asked_for_none(quote: QuoteEvent) -> bool:
    """Whether the quote rule wanted no quote."""
    return quote.bid.requested_lots == quote.ask.requested_lots == 0


def placement_step(
    config: Config,
    symbol: Symbol,
    quote: QuoteEvent,
    position: Position | None,
    replaced: tuple[QuoteEvent, tuple[int, int]] | None,
) -> Step:
    """The step from a position version to a quote, or to its omission.

    ``position`` is that at the version, None if unknown. ``replaced`` is the quote
    before, with the lots filled of its two sides.
    """
    cause = _TRIGGERS.get(quote.trigger, quote.trigger).format(version=quote.fill_seq)
    sides = " and ".join(_side_text(symbol, side) for side in (quote.bid, quote.ask))
    net = "" if position is None else f", net {signed(symbol, position.net_lots)}"
    based = f"based on position version {quote.fill_seq}{net}"
    if quote.outcome == "omitted" and asked_for_none(quote):
        text = (
            f"{quote.quote_id} was omitted: the quote rule of {quote.maker_id} asked for no quote"
        )
        text += f" or failed, which its log says. It was asked because {cause}, {based}."
    elif quote.outcome == "omitted":
        text = f"{quote.quote_id} was omitted, nothing could be quoted ({sides}): {quote.maker_id}"
        text += f" asked because {cause}, {based}."
    else:
        text = f"{quote.quote_id} {quote.outcome} to {quote.maker_id}: {sides}, because {cause}"
        text += f", {based}."
    facts: dict[str, Any] = {
        "quote_id": quote.quote_id,
        "outcome": quote.outcome,
        "trigger": quote.trigger,
        "maker_id": quote.maker_id,
        "position_version": quote.fill_seq,
        "net": None if position is None else symbol.quantity(position.net_lots),
        "expires_ms": quote.expires_ms or None,
        "replaces": None,
        "end": None,
        "asked_for_none": asked_for_none(quote),
    }
    causes: dict[str, list[str]] = {}
    for side in (quote.bid, quote.ask):
        reasons = size_reasons(config, symbol, side, position, quote.mode)
        facts[side.name] = _side_facts(symbol, side, reasons)
        if reasons:
            causes.setdefault("; ".join(sentence for _, sentence in reasons), []).append(side.name)
    why = " ".join(f"Why the {' and the '.join(of)}: {cause}." for cause, of in causes.items())
    text += f" {why}" if why else ""
    if replaced is not None:
        before, filled = replaced
        did = "withdrew" if quote.outcome == "omitted" else "replaced"
        text += f" It {did} {before.quote_id} after {seconds(quote.ts_ms - before.ts_ms)},"
        text += f" with {left_text(symbol, before, filled)} left."
        facts["replaces"] = before.quote_id
    kind = "omitted" if quote.outcome == "omitted" else "quote"
    return Step(kind, quote.ts_ms, text, facts, why)


def end_step(
    symbol: Symbol,
    end: QuoteEvent,
    placed_ms: int | None,
    filled: tuple[int, int],
    absence: Absence | None,
) -> Step:
    """The end of a quote that no other replaced: its expiry, or its withdrawal.

    ``absence`` is for a quote that was not ended in time, since nobody was there to do it.
    """
    why = "expired" if end.event == "expired" else f"was withdrawn, {_why_withdrawn(end)},"
    lived = "" if placed_ms is None else f" {seconds(end.ts_ms - placed_ms)} after it was placed"
    text = f"{end.quote_id} {why}{lived}, with {left_text(symbol, end, filled)} left."
    facts = {
        "quote_id": end.quote_id,
        "bid_left": symbol.quantity(end.bid.lots - filled[0]),
        "ask_left": symbol.quantity(end.ask.lots - filled[1]),
        "cause": end.cause or None,
        "unattended_from_ms": absence.from_ms if absence else None,
    }
    if absence:
        text += f" That was {seconds(end.ts_ms - end.expires_ms)} after its expiry:"
        text += " the server was not there" if absence.of_server else f" {_NOBODY}"
        text += "." if absence.from_ms is None else f" since {instant(absence.from_ms)}."
    return Step(end.event, end.ts_ms, text, facts)


_NOBODY = "no exchange, state service or maker was live to end it"


def _why_withdrawn(end: QuoteEvent) -> str:
    # A foreign program may have written any word.
    return _WITHDRAWN.get(end.cause, f"for the unknown cause {end.cause!r}")


#: What was done, by its word in the operations stream.
_OPERATIONS = {
    "mode": "set the mode of {subject} from {change}",
    "repair": "repaired {subject} from its ledger, {change}",
    "end_halt": "ended the halt of {subject} after a repair ({before})",
    "freeze": "froze {subject} by its protection, {after}",
    "end_freeze": "ended the freeze of {subject} ({before})",
    "admit": "admitted {after} as clients",
    "config": "changed the configuration, {change}",
    "alter": "changed the configuration of {subject}, {change}",
    "add": "added {subject} ({after})",
    "retire": "retired {subject}, {change}",
    "return": "let the retired {subject} trade again, {change}",
}


def operation_step(operation: Operation) -> Step:
    """What an operator has changed."""
    subject = "every symbol" if operation.symbol == "*" else operation.symbol
    who = operation.who if operation.who != "-" else f"the {operation.role} service"
    done = _OPERATIONS.get(operation.op, f"did {operation.op!r} to {{subject}}, {{change}}")
    before, after = operation.before, operation.after
    what = done.format(subject=subject, before=before, after=after, change=f"{before} to {after}")
    text = f"{who} {what}: {operation.why}"
    facts = {
        "op": operation.op,
        "symbol": operation.symbol,
        "who": operation.who,
        "role": operation.role,
        "why": operation.why,
        "before": operation.before,
        "after": operation.after,
    }
    return Step("operation", operation.ts_ms, text, facts)


def now_step(state: SymbolState, mode: str, now_ms: int, waits_for: list[str]) -> Step:
    """The state of the symbol at ``now_ms``.

    ``mode`` is the trading mode that holds, ``waits_for`` are the sides that wait for exposure.
    """
    symbol, position, quote = state.symbol, state.position, state.quote
    uncommitted = state.fill_seq - position.position_version
    facts: dict[str, Any] = {
        "quote_id": quote.quote_id if quote else None,
        "position_version": position.position_version,
        "net": symbol.quantity(position.net_lots),
        "uncommitted_fills": uncommitted,
        "mode": mode,
        "halted": state.halted or None,
        "frozen": state.frozen or None,
        "retired": symbol.retired,
        "waits_for": waits_for,
    }
    text = f"Now: position version {position.position_version}, net "
    text += signed(symbol, position.net_lots) + "; "
    if quote:
        sides = " and ".join(
            f"{name} {symbol.price(side.ticks)} with {symbol.quantity(side.lots)} of"
            f" {symbol.quantity(side.size_lots)} left"
            for name, side in (("bid", quote.bid), ("ask", quote.ask))
        )
        left_ms = quote.expires_ms - now_ms
        facts["expires_in_ms"] = left_ms
        text += f"{quote.quote_id} is active, {sides}, for {seconds(left_ms)} more"
    else:
        text += "no quote is active"
    if waits_for:
        text += f"; it waits for exposure to quote more of its {' and '.join(waits_for)}"
    if uncommitted:
        text += f"; {uncommitted} fill{' is' if uncommitted == 1 else 's are'} not committed yet"
    if mode != "active":
        text += f"; its mode is {mode}"
    if symbol.retired:
        text += "; it is retired"
    if state.frozen:
        text += f"; it is frozen by its protection: {state.frozen}"
    if state.halted:
        text += f"; the symbol is HALTED: {state.halted}"
    return Step("now", now_ms, text + ".", facts)
