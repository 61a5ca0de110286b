"""The contract's invariants, judged of what a call changed."""

from __future__ import annotations

from typing import Any

from mm.market import LIVE_MS
from tests.hunts.explorer.archiving import check_trim, ledger_entries
from tests.hunts.explorer.db import Db
from tests.hunts.explorer.invariants import (
    SIDES,
    check_state,
    demand,
    entries,
    is_frozen,
    ledger,
    mode_of,
    records,
)
from tests.hunts.explorer.parts import Spec
from tests.hunts.explorer.system import System
from tests.hunts.explorer.wire import Call


def check_call(system: System, call: Call, before: Db, after: Db) -> None:
    """Judge a call that was not refused: the keys after it, and what it changed."""
    if after is not before:
        check_state(system, after)
        check_fills(system.spec, before, after)
        check_events(system.spec, before, after)
    name, args = system.describe(call)
    check_collection(system.spec, before, after)
    if name == "trim":
        check_trim(system.spec, before, after)
    if name == "withdraw":
        check_withdrawal(system.spec, before, after)
    if name == "place":
        check_gate(system.spec, args, before)
        for side in SIDES:
            check_turn(system.spec, side, args, before, after)
            check_limit(system.spec, side, before, after)


def check_collection(spec: Spec, before: Db, after: Db) -> None:
    """What leaves an inbox is in the orders once, or refused if it has another client's name."""
    if not spec.clients:
        return
    taken: list[tuple[str, str]] = []
    refused: list[str] = []
    for client in spec.clients:
        key = spec.key("inbox:*", client)
        was, now = records(before, key), records(after, key)
        gone = was[: len(was) - len(now)]
        demand(was == gone + now, f"collected: {client} had {was} and has {now}")
        own = [one for one in gone if one[1].split(" ")[0] == client]
        taken += own
        refused += [f"{one[0]} {one[1]}" for one in gone if one not in own]
    skip = len(before.get(spec.key("orders"), ()))
    sent = records(after, spec.key("orders"), skip)
    demand(sorted(sent) == sorted(taken), f"collected: {taken} from inboxes, {sent} to the orders")
    skip = len(before.get(spec.key("deadletter"), ()))
    letters = entries(after, spec.key("deadletter"), skip)
    foreign = [one["raw"] for one in letters if one["reason"] == "foreign_client"]
    demand(sorted(foreign) == sorted(refused), f"collected: {refused} is not refused: {letters}")


def check_gate(spec: Spec, args: list[str], before: Db) -> None:
    """A placed proposal names the committed position and the quote that it replaces (R5)."""
    symbol, _, _, position_version, quote_version = args[:5]
    version = before.get(spec.key("config"), {}).get("config_version", "1")
    demand(args[9] == version, f"gate-kept: placed {args} at configuration version {version}")
    position = before.get(spec.key("position:*", symbol), {})
    state = before.get(spec.key("symbol:*", symbol), {})
    demand(
        position_version == position["position_version"] == state["fill_seq"]
        and quote_version == state["quote_version"],
        f"gate-kept: placed {args} at position {position}, {state}",
    )


def live_makers(spec: Spec, db: Db) -> list[str]:
    """The makers that count as live."""
    beats = db.get(spec.key("processes"), {})
    return [
        name
        for name, at in beats.items()
        if name.startswith("maker-") and 0 <= db.now - int(at) <= LIVE_MS
    ]


def check_withdrawal(spec: Spec, before: Db, after: Db) -> None:
    """With a live maker nothing changes; else nothing is quoted, reserved or waiting."""
    if live_makers(spec, before):
        demand(after is before, "withdrawn although a maker is live")
        return
    left = [after.get(spec.key(f"waiting:{side}"), {}) for side in SIDES]
    left += [after.get(spec.key("expiry"), {})]
    totals = [after.get(spec.key("exposure"), {})[f"{side}_units"] for side in SIDES]
    demand(not any(left) and totals == ["0", "0"], f"left after a withdrawal: {left}, {totals}")


def check_limit(spec: Spec, side: str, before: Db, after: Db) -> None:
    """A placement grants no unit beyond the limit, also while more is reserved than that (R23)."""
    limit = spec.current(after).limit_units
    was, now = (int(db.get(spec.key("exposure"), {})[f"{side}_units"]) for db in (before, after))
    demand(now <= max(limit, was), f"granted beyond the limit {limit}: {side} {was} -> {now}")


def check_turn(spec: Spec, side: str, args: list[str], before: Db, after: Db) -> None:
    """A placement takes nothing that symbols which began to wait earlier could have (R11)."""
    symbol, trigger = args[0], args[2]
    queue = before.get(spec.key(f"waiting:{side}"), {})
    mine = int(queue.get(symbol, 2**53))
    claims = 0
    for other in queue:
        if int(queue[other]) < mine:
            held = after.get(spec.key("reservation:*", other), {})
            claimed = int(held[f"{side}_wanted_lots"]) * int(held[f"{side}_lot_units"])
            claims += max(0, claimed - int(held[f"{side}_units"]))
    units = int(after.get(spec.key("reservation:*", symbol), {})[f"{side}_units"])
    # A top-up may keep what the symbol has, even when others wait.
    kept = int(before.get(spec.key("reservation:*", symbol), {})[f"{side}_units"])
    free = spec.current(after).limit_units - int(
        after.get(spec.key("exposure"), {})[f"{side}_units"]
    )
    demand(
        free >= claims or units <= (kept if trigger == "capacity" else 0),
        f"out of turn: {symbol} {side} got {units} units, {free} are left for claims of {claims}",
    )


def check_fills(spec: Spec, before: Db, after: Db) -> None:
    """Each new fill was executed against the quote that stood, as its order allowed."""
    first = {f"{line.split(' ')[0]}/{name}": line for name, line in reversed(_sent(spec))}
    left: dict[tuple[str, str], int] = {}
    for fill in ledger(spec, after, len(ledger_entries(spec, before))):
        quote = before.get(spec.key("quote:*", fill.symbol), {})
        side = "ask" if fill.side == "buy" else "bid"
        demand(
            bool(quote)
            and quote["quote_id"] == fill.quote_id
            and int(quote["expires_ms"]) > fill.ts
            and int(quote[f"{side}_ticks"]) == fill.price,
            f"fills-within-quote: {fill} against {quote}",
        )
        remaining = left.get((fill.symbol, side), int(quote[f"{side}_lots"]))
        demand(fill.order in first, f"fills-within-quote: nobody has sent {fill.order}")
        _, symbol, taker, lots, limit = first[fill.order].split(" ")
        crosses = fill.price <= int(limit) if taker == "buy" else fill.price >= int(limit)
        demand(
            (symbol, taker) == (fill.symbol, fill.side)
            and crosses
            and fill.lots == min(int(lots), remaining),
            f"fills-within-quote: {fill} of the order {first[fill.order]}, {remaining} remaining",
        )
        left[fill.symbol, side] = remaining - fill.lots


def _sent(spec: Spec) -> list[tuple[str, str]]:
    """What is sent in a world, but for what is sent under another client's name."""
    found = [pair for words in spec.orders for pair in zip(words[::2], words[1::2], strict=True)]
    for client, words in spec.mail:
        pairs = zip(words[::2], words[1::2], strict=True)
        found += [pair for pair in pairs if pair[1].split(" ")[0] == client]
    return found


def check_events(spec: Spec, before: Db, after: Db) -> None:
    """Each new quote event is true, and its gate was kept."""
    key = spec.key("quotes")
    for _, words in after.get(key, ())[len(before.get(key, ())) :]:
        event = dict(zip(words[::2], words[1::2], strict=True))
        name = event["symbol"]
        state = before.get(spec.key("symbol:*", name), {})
        quote = before.get(spec.key("quote:*", name), {})
        if event["event"] == "active":
            _check_placed(spec, before, event)
        elif event["event"] == "expired":
            ended = before.get(spec.key("expiry"), {}).get(name, after.now + 1)
            demand(ended <= after.now, f"expired before its time: {event}, {quote}")
        else:
            halted = after.get(spec.key("position:*", name), {}).get("halted")
            omitted = int(event["quote_version"]) == int(state["quote_version"]) + 1
            stopped = not live_makers(spec, before)
            mode = mode_of(spec, after, name)
            reasons = {
                "halted": bool(halted),
                "stopped": stopped,
                "none": omitted,
                "operator_halt": mode == "halted",
                "reducing": mode in ("reducing", "flattening"),
                "protection": is_frozen(spec, after, name),
                "config": spec.current(after).version > spec.current(before).version,
            }
            demand(reasons[event.get("cause", "none")], f"withdrawn without a reason: {event}")


def _check_placed(spec: Spec, before: Db, event: dict[str, Any]) -> None:
    name = event["symbol"]
    state = before.get(spec.key("symbol:*", name), {})
    position = before.get(spec.key("position:*", name), {})
    demand(
        event["position_version"] == event["fill_seq"] == state["fill_seq"]
        and event["fill_seq"] == position["position_version"],
        f"gate-kept: {event} placed at fill_seq {state['fill_seq']}, position {position}",
    )
    halted = "halted" in position or mode_of(spec, before, name) == "halted"
    halted = halted or is_frozen(spec, before, name)
    demand(not halted, f"gate-kept: {name} is halted and was quoted: {event}")
    demand(
        int(event["quote_version"]) == int(state["quote_version"]) + 1,
        f"one-quote: {event['quote_id']} follows version {state['quote_version']}",
    )
    demand(
        0 < int(event["bid_ticks"]) < int(event["ask_ticks"])
        and all(int(event[f"{s}_lots"]) <= int(event[f"requested_{s}_lots"]) for s in SIDES)
        and int(event["expires_ms"]) == int(event["ts_ms"]) + spec.current(before).quote_ttl_ms,
        f"one-quote: {event} is no quote",
    )
