"""From every state the system comes to rest in a right state, and no symbol starves.

The rounds use the explorer's own moves. Each process finishes what it has begun, then works until
it changes nothing. No new orders come and no time passes. Calls of a dead maker do not arrive.
"""

from __future__ import annotations

from mm.market import LIVE_MS, Prices, Symbol, follow_last
from mm.market import Position as Holding
from tests.hunts.explorer.canon import digest, unprocessed
from tests.hunts.explorer.db import Db
from tests.hunts.explorer.invariants import (
    SIDES,
    demand,
    entries,
    is_frozen,
    ledger,
    mode_of,
    own_mode_of,
    records,
    unit,
)
from tests.hunts.explorer.moves import Moves
from tests.hunts.explorer.parts import Position, Spec, Violation
from tests.hunts.explorer.system import System

#: Rounds within which the system must come to rest.
ROUNDS = 8
#: Steps of one process within a round.
STEPS = 20


class Drain:
    """Brings states to rest; ``settled`` remembers from where it is known to succeed."""

    def __init__(self, moves: Moves) -> None:
        self.moves = moves
        self.system: System = moves.system
        self.spec: Spec = moves.spec
        self.trail: list[str] = []
        self.settled: set[tuple[str, bytes]] = set()
        self.fed: set[bytes] = set()

    def check(self, at: Position, feed: bool = False) -> None:
        """Violation when the system does not come to rest from here, or not as it should.

        ``feed`` also lets time pass from there, until every symbol has had its full size. The
        moves made are left in ``trail``.
        """
        self.trail = []
        rest = self.settle(at)
        if feed and rest is not None:
            before = list(self.trail)
            if self.spec.ticks:
                self.feed(rest)
            for number in range(1, self.spec.makers + 1) if self.spec.presence else ():
                self.trail = list(before)
                self.take_over(rest, f"maker-{number}")

    def settle(
        self, at: Position, without: tuple[str, ...] = (), judge: bool = True
    ) -> Position | None:
        """The state at rest, or None when it is known that it will be reached.

        The processes named in ``without`` do nothing; ``judge`` says whether it is also judged.
        """
        passed: list[tuple[str, bytes]] = []
        for _ in range(ROUNDS):
            start = digest(self.system, at)
            for stage in ("finish", "exchange", "state", "maker"):
                here = (stage, digest(self.system, at))
                if here in self.settled and not without:
                    self.settled.update(passed)
                    return None
                passed.append(here)
                at = self._stage(at, stage, without)
            if digest(self.system, at) == start:
                if judge:
                    check_rest(self.system, at.db)
                self.settled.update(passed)
                return at
        raise Violation(f"the system does not come to rest in {ROUNDS} rounds")

    def _stage(self, at: Position, stage: str, without: tuple[str, ...]) -> Position:
        for index, proc in enumerate(at.procs):
            if proc.name in without:
                continue
            if stage == "finish":
                at = self._finish(at, index)
            elif proc.name.startswith(stage):
                if not proc.up:
                    at = self._whole(at, index, "open")
                elif "beat" in self.system.modes(at.procs[index]):
                    at = self._whole(at, index, "beat")
                at = self._work(at, index)
        return at

    def _work(self, at: Position, index: int) -> Position:
        for _ in range(STEPS):
            modes = self.system.modes(at.procs[index])
            after = self._whole(at, index, "reconcile" if "reconcile" in modes else "step")
            if digest(self.system, after) == digest(self.system, at):
                return at
            at = after
        raise Violation(f"{at.procs[index].name} is not done after {STEPS} steps of its own")

    def _whole(self, at: Position, index: int, mode: str) -> Position:
        return self._finish(self._make(at, f"{mode} {at.procs[index].name}"), index)

    def _finish(self, at: Position, index: int) -> Position:
        while at.procs[index].calls:
            at = self._make(at, f"go {at.procs[index].name}")
        return at

    def _make(self, at: Position, name: str) -> Position:
        self.trail.append(name)
        return self.moves.make(at, name)

    def feed(self, at: Position) -> None:
        """Time passes from rest: each side of each symbol has all it could have, in turn (R11)."""
        key = digest(self.system, at)
        if key in self.fed:
            return
        self.fed.add(key)
        served: set[tuple[str, str]] = set()
        # Each waiter yields after at most one lifetime of the quotes before it.
        config = self.spec.current(at.db)
        until = at.db.now + config.quote_ttl_ms * 2 * (len(config.symbols) + 1)
        while left := self._unserved(at.db, served):
            instant = self.moves.next_instant(at.db)
            demand(0 < instant <= until, f"starved: {sorted(left)}")
            at = self._make(at, f"wait {instant - at.db.now}")
            at = self.settle(at, without=("nobody",)) or at

    def take_over(self, at: Position, dead: str) -> None:
        """A maker dies for good: past its silence and its quotes the others quote everything."""
        at = self._make(at, f"kill {dead}")
        until = at.db.now + LIVE_MS + self.spec.config.quote_ttl_ms
        while at.db.now <= until:
            instant = self.moves.next_instant(at.db)
            at = self._make(at, f"wait {instant - at.db.now}")
            at = self.settle(at, (dead,), judge=at.db.now > until) or at

    def _unserved(self, db: Db, served: set[tuple[str, str]]) -> set[tuple[str, str]]:
        """The sides that have not had all that they could have; the others go to ``served``."""
        left = set()
        for symbol in self.spec.current(db).symbols:
            if _is_halted(self.spec, db, symbol.name):
                continue
            quote = db.get(self.spec.key("quote:*", symbol.name), {})
            for side, full in wanted(self.spec, db, symbol).items():
                if int(quote.get(f"{side}_lots", "0")) == full:
                    served.add((symbol.name, side))
                elif (symbol.name, side) not in served:
                    left.add((symbol.name, side))
        return left


def asked(spec: Spec, db: Db, symbol: Symbol) -> Prices:
    """What the quote rule asks for at the committed position."""
    stored = db.get(spec.key("position:*", symbol.name), {})
    holding = Holding(
        net_lots=int(stored["net_lots"]), last_price_ticks=int(stored["last_price_ticks"])
    )
    return follow_last(holding, symbol)


def wanted(spec: Spec, db: Db, symbol: Symbol) -> dict[str, int]:
    """Lots a side that the symbol would have if nobody else had a quote."""
    net = int(db.get(spec.key("position:*", symbol.name), {})["net_lots"])
    prices = asked(spec, db, symbol)
    limit, units = symbol.position_limit_lots, spec.current(db).limit_units
    room = {"bid": limit - net, "ask": limit + net}
    if mode_of(spec, db, symbol.name) != "active":
        room = {"bid": max(0, -net), "ask": max(0, net)}
    return {
        "bid": min(
            prices.bid_lots, room["bid"], units // unit(spec, symbol.name, prices.bid_ticks)
        ),
        "ask": min(
            prices.ask_lots, room["ask"], units // unit(spec, symbol.name, prices.ask_ticks)
        ),
    }


def _is_halted(spec: Spec, db: Db, name: str) -> bool:
    """Whether an integrity error or an operator has halted the symbol, or it is frozen."""
    halted = "halted" in db.get(spec.key("position:*", name), {})
    return halted or mode_of(spec, db, name) == "halted" or is_frozen(spec, db, name)


def check_rest(system: System, db: Db) -> None:
    """Judge a state at rest: all processed and committed, each symbol quoted or rightly waiting."""
    spec = system.spec
    demand(not unprocessed(system, db, "orders", "exchange"), "drained: orders are left")
    demand(not unprocessed(system, db, "fills", "state"), "drained: fills are left")
    waiting = [one for one in spec.clients if db.get(spec.key("inbox:*", one), ())]
    demand(not waiting, f"drained: the inboxes of {waiting} are not empty")
    _check_answers(spec, db)
    due = [name for name, at in db.get(spec.key("expiry"), {}).items() if at <= db.now]
    demand(not due, f"at rest {due} are reserved beyond their expiry")
    free = {
        side: spec.current(db).limit_units - int(db.get(spec.key("exposure"), {})[f"{side}_units"])
        for side in SIDES
    }
    for side in SIDES:
        _check_queue(spec, db, side, free[side])
    for symbol in spec.current(db).symbols:
        _check_symbol(spec, db, symbol)


def _check_answers(spec: Spec, db: Db) -> None:
    sent: dict[str, int] = {}
    first: dict[str, str] = {}
    refused: dict[str, int] = {}
    for name, line in records(db, spec.key("orders")):
        order = f"{line.split(' ')[0]}/{name}"
        sent[order] = sent.get(order, 0) + 1
        if first.setdefault(order, line) != line:
            refused[order] = refused.get(order, 0) + 1
    for letter in entries(db, spec.key("deadletter")):
        if letter["reason"] == "foreign_client":
            order = f"{letter['source'].split(':')[1]}/{letter['raw'].split(' ')[0]}"
            sent[order] = sent.get(order, 0) + 1
    answered: dict[str, int] = {}
    prefix = spec.key("reports:*")
    for key in db.keys:
        if key.startswith(prefix):
            for name, line in records(db, key):
                order = f"{key.removeprefix(prefix)}/{name}"
                answered[order] = answered.get(order, 0) + 1
                if line.startswith("rejected order_id_conflict "):
                    refused[order] = refused.get(order, 0) - 1
    demand(sent == answered, f"order-once: sent {sent}, answered {answered}")
    # A conflict is with the first order of its id: no world with such orders forgets one.
    demand(not any(refused.values()), f"order-once: conflicts missing, or too many: {refused}")


def _check_queue(spec: Spec, db: Db, side: str, free: int) -> None:
    queue = db.get(spec.key(f"waiting:{side}"), {})
    for name in sorted(queue, key=lambda one: int(queue[one])):
        held = db.get(spec.key("reservation:*", name), {})
        each = int(held[f"{side}_lot_units"])
        claim = int(held[f"{side}_wanted_lots"]) * each - int(held[f"{side}_units"])
        demand(
            min(claim, free) < each,
            f"at rest {free} units of {side} are free and {name} waits for {claim}",
        )
        free -= max(0, claim)


def _check_symbol(spec: Spec, db: Db, symbol: Symbol) -> None:
    name = symbol.name
    position = db.get(spec.key("position:*", name), {})
    quote = db.get(spec.key("quote:*", name), {})
    held = db.get(spec.key("reservation:*", name), {})
    waits = {side: name in db.get(spec.key(f"waiting:{side}"), {}) for side in SIDES}
    if _is_halted(spec, db, name):
        demand(
            not quote and held["bid_units"] == held["ask_units"] == "0" and not any(waits.values()),
            f"halted {name} is still quoted, reserved or waiting",
        )
        return
    demand(
        own_mode_of(spec, db, name) != "flattening" or position["net_lots"] != "0",
        f"at rest {name} is flat, was to be flattened, and is not halted",
    )
    fills = [fill for fill in ledger(spec, db) if fill.symbol == name]
    version = int(position["position_version"])
    demand(version == len(fills), f"drained: {name} at {version} of {len(fills)} fills")
    full, prices = wanted(spec, db, symbol), asked(spec, db, symbol)
    totals, limit = db.get(spec.key("exposure"), {}), spec.current(db).limit_units
    # What was reserved before the limit was lowered stands until it ends.
    beyond = {side: int(totals[f"{side}_units"]) > limit for side in SIDES}
    for side in SIDES:
        lots = int(quote.get(f"{side}_lots", "0"))
        demand(
            lots == full[side] or (waits[side] if lots < full[side] else beyond[side]),
            f"at rest {name} {side} has {lots} lots of {full[side]} and does not wait",
        )
    if quote:
        shown = int(quote["bid_ticks"]), int(quote["ask_ticks"])
        demand(
            shown == (prices.bid_ticks, prices.ask_ticks)
            and int(quote["position_version"]) == version
            and int(quote["expires_ms"]) - db.now > spec.current(db).refresh_ms,
            f"at rest {name} shows an old quote {quote}, position {position}",
        )
