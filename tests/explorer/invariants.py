"""The contract's invariants, judged of one state of the keys and of each call that changed them.

Written for the explorer alone: it shares nothing with the audit or with the scripts.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any, NamedTuple

from explorer.system import Spec, System, Violation
from explorer.table import Db
from explorer.wire import Call

SIDES = ("bid", "ask")


class Filled(NamedTuple):
    """A record of the ledger; ``signed`` is the maker's change in lots."""

    symbol: str
    seq: int
    side: str
    lots: int
    price: int
    order: str
    quote_id: str
    ts: int

    @property
    def signed(self) -> int:
        """The maker's change in lots."""
        return self.lots if self.side == "sell" else -self.lots


def demand(holds: bool, text: str) -> None:
    """Raise a Violation of that text unless it holds."""
    if not holds:
        raise Violation(text)


def records(db: Db, key: str, skip: int = 0) -> list[tuple[str, str]]:
    """The records of a stream's entries after the first ``skip``, in order."""
    found: list[tuple[str, str]] = []
    for _, words in db.get(key, ())[skip:]:
        found += zip(words[::2], words[1::2], strict=True)
    return found


def ledger(spec: Spec, db: Db, skip: int = 0) -> list[Filled]:
    """The fills of the ledger, the record of the foreign hand aside."""
    found = []
    for name, line in records(db, spec.key("fills"), skip):
        if (name, line) != spec.rogue:
            symbol, _, seq = name.rpartition("-")
            side, lots, price, client, order, quote, ts = line.split(" ")
            found.append(
                Filled(
                    symbol,
                    int(seq),
                    side,
                    int(lots),
                    int(price),
                    f"{client}/{order}",
                    quote,
                    int(ts),
                )
            )
    return found


def check_call(system: System, call: Call, before: Db, after: Db) -> None:
    """Judge a call that was not refused: the keys after it, and what it changed."""
    if after is not before:
        check_state(system, after)
        check_fills(system.spec, before, after)
        check_events(system.spec, before, after)
    name, args = system.describe(call)
    if name == "place":
        check_gate(system.spec, args, before)
        for side in SIDES:
            check_turn(system.spec, side, args, before, after)


def check_state(system: System, db: Db) -> None:
    """Judge a state of the keys by itself."""
    spec = system.spec
    fills = ledger(spec, db)
    by_symbol: dict[str, list[Filled]] = defaultdict(list)
    for fill in fills:
        by_symbol[fill.symbol].append(fill)
    _check_exposure(spec, db)
    for symbol in spec.config.symbols:
        own = by_symbol.pop(symbol.name, [])
        _check_position(spec, db, symbol.name, own)
        _check_room(spec, db, symbol.name, symbol.position_limit_lots, own)
    demand(not by_symbol, f"ledger-dense: fills of unknown symbols {sorted(by_symbol)}")
    _check_orders(spec, db, fills)


def unit(spec: Spec, symbol: str, ticks: int) -> int:
    """Exposure units of one lot at a price."""
    if spec.config.exposure_mode == "lots":
        return 1
    return ticks * spec.config.symbol(symbol).multiplier


def _check_exposure(spec: Spec, db: Db) -> None:
    totals = db.get(spec.key("exposure"), {})
    due = db.get(spec.key("expiry"), {})
    for side in SIDES:
        total, reserved = int(totals[f"{side}_units"]), 0
        for symbol in spec.config.symbols:
            name = symbol.name
            held = db.get(spec.key("reservation:*", name), {})
            quote = db.get(spec.key("quote:*", name), {})
            units = int(held[f"{side}_units"])
            reserved += units
            if quote and int(quote["expires_ms"]) > db.now:
                remaining = int(quote[f"{side}_lots"])
                each = unit(spec, name, int(quote[f"{side}_ticks"]))
                demand(
                    units == remaining * each
                    and held["quote_id"] == quote["quote_id"]
                    and held["state"] == "active",
                    f"exposure-exact: {name} {side} {held} for {quote}",
                )
                demand(
                    due.get(name) == int(quote["expires_ms"]),
                    f"exposure-exact: {name} is not in the expiry set with its quote's deadline",
                )
            elif units:
                demand(
                    due.get(name, db.now + 1) <= db.now,
                    f"exposure-exact: {name} {side} holds {units} units, no quote, no deadline",
                )
        demand(total == reserved, f"exposure-exact: {side} total {total}, reservations {reserved}")
        demand(
            0 <= total <= spec.config.limit_units,
            f"exposure-bounded: {side} {total} of {spec.config.limit_units}",
        )


def _check_position(spec: Spec, db: Db, name: str, fills: list[Filled]) -> None:
    state = db.get(spec.key("symbol:*", name), {})
    position = db.get(spec.key("position:*", name), {})
    sequence, version = int(state["fill_seq"]), int(position["position_version"])
    demand(
        [fill.seq for fill in fills] == list(range(1, sequence + 1)),
        f"ledger-dense: {name} has {[fill.seq for fill in fills]}, fill_seq {sequence}",
    )
    demand(version <= sequence, f"position-exact: {name} version {version} of {sequence} fills")
    applied = fills[:version]
    net, cash = sum(f.signed for f in applied), -sum(f.signed * f.price for f in applied)
    found = int(position["net_lots"]), int(position["cash_ticks"])
    demand(found == (net, cash), f"position-exact: {name} {found}, its ledger says {(net, cash)}")
    last = applied[-1].price if applied else 0
    demand(int(position["last_price_ticks"]) == last, f"position-exact: {name} last price")


def _check_room(spec: Spec, db: Db, name: str, limit: int, fills: list[Filled]) -> None:
    state = db.get(spec.key("symbol:*", name), {})
    quote = db.get(spec.key("quote:*", name), {})
    net = 0
    for fill in fills:
        net += fill.signed
        demand(abs(net) <= limit, f"position-limited: {name} at {net} of {limit}")
    if not quote:
        return
    newest = state["quote_version"]
    demand(
        quote["quote_version"] == newest and quote["quote_id"] == f"{name}-{newest}",
        f"one-quote: {name} shows {quote['quote_id']}, its newest version is {newest}",
    )
    bid, ask = int(quote["bid_lots"]), int(quote["ask_lots"])
    demand(
        net + bid <= limit and net - ask >= -limit,
        f"position-limited: {name} at {net} quotes {bid}x{ask}, limit {limit}",
    )
    for side, taker in (("bid", "sell"), ("ask", "buy")):
        used = sum(f.lots for f in fills if f.quote_id == quote["quote_id"] and f.side == taker)
        demand(
            int(quote[f"{side}_lots"]) + used == int(quote[f"{side}_size_lots"]),
            f"fills-within-quote: {quote['quote_id']} {side} {quote}, filled {used}",
        )


def _check_orders(spec: Spec, db: Db, fills: list[Filled]) -> None:
    filled: dict[str, int] = defaultdict(int)
    for fill in fills:
        filled[fill.order] += fill.lots
    first: dict[str, tuple[list[str], int]] = {}
    reported: dict[str, int] = defaultdict(int)
    prefix = spec.key("reports:*")
    for key in db.keys:
        if not key.startswith(prefix):
            continue
        for order_id, line in records(db, key):
            *outcome, duplicate, ts = line.split(" ")
            order = f"{key.removeprefix(prefix)}/{order_id}"
            known = first.get(order)
            if duplicate == "1":
                demand(
                    known is not None and outcome == known[0],
                    f"order-once: {order} again {outcome}, first {known}",
                )
            elif order_id != "-":
                demand(
                    known is None or int(ts) - known[1] >= spec.config.dedup_window_ms,
                    f"order-once: {order} has two outcomes, {known} and {outcome}",
                )
                first[order] = outcome, int(ts)
                reported[order] += int(outcome[2])
    for order in {*filled, *first}:
        demand(
            reported[order] == filled[order],
            f"order-once: {order} reports {reported[order]} lots, the ledger {filled[order]}",
        )


# --- what a call changed


def check_gate(spec: Spec, args: list[str], before: Db) -> None:
    """A placed proposal names the committed position and the quote that it replaces (R5)."""
    symbol, _, _, position_version, quote_version = args[:5]
    position = before.get(spec.key("position:*", symbol), {})
    state = before.get(spec.key("symbol:*", symbol), {})
    demand(
        position_version == position["position_version"] == state["fill_seq"]
        and quote_version == state["quote_version"],
        f"gate-kept: placed {args} at position {position}, {state}",
    )


def check_turn(spec: Spec, side: str, args: list[str], before: Db, after: Db) -> None:
    """A placement takes nothing that symbols which began to wait earlier could have (R11)."""
    symbol, trigger = args[0], args[2]
    queue = before.get(spec.key(f"waiting:{side}"), {})
    mine = int(queue.get(symbol, 2**53))
    claims = 0
    for other in queue:
        if int(queue[other]) < mine:
            held = after.get(spec.key("reservation:*", other), {})
            most = int(held[f"{side}_wanted_lots"]) * int(held[f"{side}_lot_units"])
            claims += max(0, most - int(held[f"{side}_units"]))
    units = int(after.get(spec.key("reservation:*", symbol), {})[f"{side}_units"])
    # A top-up may keep what the symbol has, whoever waits.
    kept = int(before.get(spec.key("reservation:*", symbol), {})[f"{side}_units"])
    free = spec.config.limit_units - int(after.get(spec.key("exposure"), {})[f"{side}_units"])
    demand(
        free >= claims or units <= (kept if trigger == "capacity" else 0),
        f"out of turn: {symbol} {side} got {units} units, {free} are left for claims of {claims}",
    )


def check_fills(spec: Spec, before: Db, after: Db) -> None:
    """Each new fill was executed against the quote that stood, as its order allowed."""
    key = spec.key("fills")
    sent = {f"{line.split(' ')[0]}/{name}": line for name, line in _sent(spec)}
    left: dict[tuple[str, str], int] = {}
    for fill in ledger(spec, after, len(before.get(key, ()))):
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
        _, symbol, taker, lots, limit = sent[fill.order].split(" ")
        crosses = fill.price <= int(limit) if taker == "buy" else fill.price >= int(limit)
        demand(
            (symbol, taker) == (fill.symbol, fill.side)
            and crosses
            and fill.lots == min(int(lots), remaining),
            f"fills-within-quote: {fill} of the order {sent[fill.order]}, {remaining} remaining",
        )
        left[fill.symbol, side] = remaining - fill.lots


def _sent(spec: Spec) -> list[tuple[str, str]]:
    return [pair for words in spec.orders for pair in zip(words[::2], words[1::2], strict=True)]


def check_events(spec: Spec, before: Db, after: Db) -> None:
    """Each new quote event says what happened, and its gate was kept."""
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
            halted = after.get(spec.key("symbol:*", name), {}).get("halted")
            omitted = int(event["quote_version"]) == int(state["quote_version"]) + 1
            demand(bool(halted) or omitted, f"withdrawn without a reason: {event}")


def _check_placed(spec: Spec, before: Db, event: dict[str, Any]) -> None:
    name = event["symbol"]
    state = before.get(spec.key("symbol:*", name), {})
    position = before.get(spec.key("position:*", name), {})
    demand(
        event["position_version"] == event["fill_seq"] == state["fill_seq"]
        and event["fill_seq"] == position["position_version"],
        f"gate-kept: {event} placed at fill_seq {state['fill_seq']}, position {position}",
    )
    demand("halted" not in state, f"gate-kept: {name} is halted and was quoted: {event}")
    demand(
        int(event["quote_version"]) == int(state["quote_version"]) + 1,
        f"one-quote: {event['quote_id']} follows version {state['quote_version']}",
    )
    demand(
        0 < int(event["bid_ticks"]) < int(event["ask_ticks"])
        and all(int(event[f"{s}_lots"]) <= int(event[f"requested_{s}_lots"]) for s in SIDES)
        and int(event["expires_ms"]) == int(event["ts_ms"]) + spec.config.quote_ttl_ms,
        f"one-quote: {event} is no quote",
    )
