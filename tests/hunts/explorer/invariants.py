"""The contract's invariants, judged of one state of the keys and of each call that changed them.

Written for the explorer alone: it shares nothing with the audit or with the scripts.
"""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from mm.market import Symbol
from tests.hunts.explorer.archiving import ledger_entries
from tests.hunts.explorer.db import Db
from tests.hunts.explorer.parts import Spec, Violation
from tests.hunts.explorer.system import System
from tests.kit import lot_units

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
    spread: int

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


def entries(db: Db, key: str, skip: int = 0) -> list[dict[str, str]]:
    """The fields of a stream's entries after the first ``skip``, in order."""
    found = db.get(key, ())[skip:]
    return [dict(zip(words[::2], words[1::2], strict=True)) for _, words in found]


def ledger(spec: Spec, db: Db, skip: int = 0) -> list[Filled]:
    """The fills of the ledger, without the record that a foreign hand has appended."""
    found = []
    whole = [pair for _, words in ledger_entries(spec, db)[skip:] for pair in _pairs(words)]
    for name, line in whole:
        if (name, line) != spec.rogue:
            symbol, _, seq = name.rpartition("-")
            side, lots, price, client, order, quote, ts, spread = line.split(" ")
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
                    int(spread),
                )
            )
    return found


def _pairs(words: tuple[str, ...]) -> list[tuple[str, str]]:
    return list(zip(words[::2], words[1::2], strict=True))


def check_state(system: System, db: Db) -> None:
    """Judge a state of the keys by itself."""
    spec = system.spec
    fills = ledger(spec, db)
    by_symbol: dict[str, list[Filled]] = defaultdict(list)
    for fill in fills:
        by_symbol[fill.symbol].append(fill)
    _check_exposure(spec, db)
    for symbol in spec.current(db).symbols:
        own = by_symbol.pop(symbol.name, [])
        _check_position(spec, db, symbol.name, own)
        _check_room(spec, db, symbol, own)
        _check_mode(spec, db, symbol.name, own)
        _check_protection(spec, db, symbol, own)
    demand(not by_symbol, f"ledger-dense: fills of unknown symbols {sorted(by_symbol)}")
    _check_orders(spec, db, fills)


def unit(spec: Spec, symbol: str, ticks: int) -> int:
    """Exposure units of one lot at a price."""
    return lot_units(spec.config, symbol, ticks)


def _check_exposure(spec: Spec, db: Db) -> None:
    totals = db.get(spec.key("exposure"), {})
    due = db.get(spec.key("expiry"), {})
    for side in SIDES:
        total, reserved = int(totals[f"{side}_units"]), 0
        for symbol in spec.current(db).symbols:
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
        limit = spec.current(db).limit_units
        demand(int(totals["limit_units"]) == limit, f"exposure-bounded: limit {totals}")
        over_until = int(totals.get("over_until_ms", "0"))
        if db.now <= over_until:
            limit = max(limit, int(totals[f"over_{side}_units"]))
        elif over_until:
            total -= sum(_expired(spec, db, name, side) for name in due)
        demand(0 <= total <= limit, f"exposure-bounded: {side} {total} of {limit}")


def _expired(spec: Spec, db: Db, name: str, side: str) -> int:
    """The units of the side that are still reserved for a quote whose expiry has passed."""
    held = db.get(spec.key("reservation:*", name), {})
    return int(held[f"{side}_units"]) if int(held["expires_ms"]) <= db.now else 0


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
    demand(found == (net, cash), f"position-exact: {name} {found}, its ledger has {(net, cash)}")
    last = applied[-1].price if applied else 0
    demand(int(position["last_price_ticks"]) == last, f"position-exact: {name} last price")
    earned = sum(fill.lots * fill.spread for fill in applied)
    demand(int(position["twice_spread_ticks"]) == earned, f"position-exact: {name} spread")
    trades = " ".join(f"{fill.signed} {fill.price}" for fill in applied[-16:])
    demand(position["trades"] == trades, f"position-exact: {name} trades")


def _check_room(spec: Spec, db: Db, symbol: Symbol, fills: list[Filled]) -> None:
    name, limit = symbol.name, symbol.position_limit_lots
    terms, state = db.get(spec.key("terms:*", name), {}), db.get(spec.key("symbol:*", name), {})
    widest = max(limit, int(terms.get("widest_limit_lots", "0")))
    quote = db.get(spec.key("quote:*", name), {})
    net = 0
    for fill in fills:
        net += fill.signed
        demand(abs(net) <= widest, f"position-limited: {name} at {net} of {widest}")
    if not quote:
        return
    newest = state["quote_version"]
    demand(
        quote["quote_version"] == newest and quote["quote_id"] == f"{name}-{newest}",
        f"one-quote: {name} shows {quote['quote_id']}, its newest version is {newest}",
    )
    bid, ask = int(quote["bid_lots"]), int(quote["ask_lots"])
    demand(
        (not bid or net + bid <= limit) and (not ask or net - ask >= -limit),
        f"position-limited: {name} at {net} quotes {bid}x{ask}, limit {limit}",
    )
    for side, taker in (("bid", "sell"), ("ask", "buy")):
        used = sum(f.lots for f in fills if f.quote_id == quote["quote_id"] and f.side == taker)
        demand(
            int(quote[f"{side}_lots"]) + used == int(quote[f"{side}_size_lots"]),
            f"fills-within-quote: {quote['quote_id']} {side} {quote}, filled {used}",
        )


def own_mode_of(spec: Spec, db: Db, name: str) -> str:
    """A symbol's own mode; one that was flat after it was to be flattened is halted."""
    mode = str(db.get(spec.key("terms:*", name), {}).get("mode", "active"))
    flattened = "flattened_ms" in db.get(spec.key("position:*", name), {})
    return "halted" if mode == "flattening" and flattened else mode


def mode_of(spec: Spec, db: Db, name: str) -> str:
    """The stricter one of a symbol's own mode and that of all symbols."""
    own = own_mode_of(spec, db, name)
    of_all = str(db.get(spec.key("control"), {}).get("mode", "active"))
    order = ("active", "reducing", "flattening", "halted")
    return max(own, of_all, key=order.index)


def is_frozen(spec: Spec, db: Db, name: str) -> bool:
    """Whether the symbol's protection has frozen it at the instant."""
    return int(db.get(spec.key("position:*", name), {}).get("frozen_until_ms", "0")) > db.now


def _check_protection(spec: Spec, db: Db, symbol: Symbol, fills: list[Filled]) -> None:
    """A frozen symbol has no quote, and it was frozen by the steps that had to, and by no other.

    Each committing step has an update with its instant. From these follow the lots of each window
    (R24). In a world with a protection nobody resumes a symbol.
    """
    if not symbol.protection_lots:
        return
    config, name = spec.current(db), symbol.name
    quote = db.get(spec.key("quote:*", name), {})
    live = bool(quote) and int(quote["expires_ms"]) > db.now
    demand(not (live and is_frozen(spec, db, name)), f"frozen and quoted: {name}")
    window: list[tuple[int, int]] = []
    version = frozen_until = 0
    for updated, line in records(db, spec.key("positions")):
        if updated != name:
            continue
        _, _, committed, _, ts = map(int, line.split(" "))
        lots = sum(fill.lots for fill in fills[version:committed])
        version = committed
        if ts < frozen_until:
            continue
        window = [one for one in [*window, (ts, lots)] if one[0] > ts - config.protection_window_ms]
        if sum(lots for _, lots in window) > symbol.protection_lots:
            frozen_until, window = ts + config.protection_freeze_ms, []
    stored = int(db.get(spec.key("position:*", name), {}).get("frozen_until_ms", "0"))
    demand(stored == frozen_until, f"not frozen as it must be: {name} {stored}, not {frozen_until}")


def _check_mode(spec: Spec, db: Db, name: str, fills: list[Filled]) -> None:
    """Halted, a symbol has no quote; reducing, no fill of its quote can grow the position."""
    mode, quote = mode_of(spec, db, name), db.get(spec.key("quote:*", name), {})
    if mode == "active" or not quote or int(quote["expires_ms"]) <= db.now:
        return
    demand(mode != "halted", f"mode-kept: {name} is halted and shows {quote}")
    net = sum(fill.signed for fill in fills)
    most = {"bid": max(0, -net), "ask": max(0, net)}
    for side in SIDES:
        demand(
            int(quote[f"{side}_lots"]) <= most[side],
            f"mode-kept: {name} is {mode} at net {net} and shows {quote}",
        )


def _check_orders(spec: Spec, db: Db, fills: list[Filled]) -> None:
    filled: dict[str, int] = defaultdict(int)
    for fill in fills:
        filled[fill.order] += fill.lots
    contents: dict[str, set[str]] = defaultdict(set)
    for order_id, line in records(db, spec.key("orders")):
        contents[f"{line.split(' ')[0]}/{order_id}"].add(line)
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
            if outcome[1] == "foreign_client":
                demand(duplicate == "0", f"order-once: {order} is refused as a duplicate")
            elif outcome[1] == "order_id_conflict":
                demand(
                    known is not None and duplicate == "0" and len(contents[order]) > 1,
                    f"order-once: {order} is refused for {contents[order]}, first {known}",
                )
            elif duplicate == "1":
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
