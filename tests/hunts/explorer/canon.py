"""Which states have the same future: one canonical form for all of them.

Instants count relative to the clock, versions of quotes relative to the newest, ids of stream
entries not at all; of a stream only what has not been processed or heard; of the queues only the
order. What no script reads to decide (names of makers, timestamps, counts) is left out. A field
that a script begins to read must be added here.
"""

from __future__ import annotations

import hashlib
import marshal
from typing import Any

from mm.market import LIVE_MS
from tests.hunts.explorer import archiving
from tests.hunts.explorer.db import Db, stream_id
from tests.hunts.explorer.parts import Position, Proc
from tests.hunts.explorer.system import System

#: A deduplication window up to this long is short enough for its bounds to be crossed.
SHORT_WINDOW_MS = 3_600_000


def unprocessed(system: System, db: Db, stream: str, consumer: str) -> list[tuple[str, str]]:
    """The records of a stream after a consumer's cursor, in order."""
    entries = db.get(system.spec.key(stream), ())
    cursor = stream_id(db.get(system.spec.key("cursors"), {}).get(consumer, "0-0"))
    found: list[tuple[str, str]] = []
    for name, words in reversed(entries):
        if stream_id(name) <= cursor:
            break
        found[:0] = zip(words[::2], words[1::2], strict=True)
    return found


def _symbol(system: System, db: Db, name: str) -> tuple[Any, ...]:
    key = system.spec.key
    state = db.get(key("symbol:*", name), {})
    position = db.get(key("position:*", name), {})
    words = (
        position.get("halted", ""),
        state.get("outcome", ""),
        db.get(key("terms:*", name), {}).get("mode", ""),
        "flattened_ms" in position,
    )
    quote = db.get(key("quote:*", name), {})
    held = db.get(key("reservation:*", name), {})
    newest = int(state["quote_version"])
    quoted: tuple[Any, ...] = ()
    if quote:
        sides = [quote[f"{side}_{what}"] for side in ("bid", "ask") for what in _SIDE]
        rest = _rest(system, db, int(quote["expires_ms"]))
        quoted = (newest - int(quote["quote_version"]), quote["position_version"], rest, *sides)
    reserved = tuple(held.get(f"{side}_{what}", "") for side in ("bid", "ask") for what in _HELD)
    return (
        (newest > 0, state["fill_seq"], *words),
        tuple(position[what] for what in _POSITION),
        quoted,
        (held["state"], *reserved),
        _protection(system, db, name),
    )


def _protection(system: System, db: Db, name: str) -> tuple[Any, ...]:
    """For how long it is frozen, and of its window what each entry adds, and until when."""
    frozen = int(db.get(system.spec.key("position:*", name), {}).get("frozen_until_ms", "0"))
    window = [tuple(map(int, e.split(" "))) for e in db.get(system.spec.key("window:*", name), ())]
    first = window[0][1] if window else 0
    added = [
        (max(-9, at - db.now), before - first, after - first, value)
        for at, before, after, value in window
    ]
    return (max(0, frozen - db.now), tuple(added))


_SIDE = ("ticks", "lots", "size_lots")
_HELD = ("units", "wanted_lots", "lot_units")
_POSITION = ("net_lots", "cash_ticks", "cost_ticks", "position_version", "last_price_ticks")


def _seen(system: System, db: Db) -> list[tuple[Any, ...]]:
    """What is remembered of orders, and where the clock stands in a short window."""
    window = system.spec.config.dedup_window_ms
    prefix = system.spec.key("seen:*")
    bucket = db.now // window
    found: list[tuple[Any, ...]] = []
    for key in db.keys:
        if key.startswith(prefix):
            age = bucket - int(key.removeprefix(prefix))
            for order, outcome in db.get(key, {}).items():
                found.append((age, order, *outcome.split(" ")[:5]))
    if window <= SHORT_WINDOW_MS:
        newest = db.get(system.spec.key("cursors"), {}).get("seen_bucket", "-")
        age = bucket - int(newest) if newest != "-" else -1
        found.append((age, str(db.now % window)))
    return sorted(found)


def _rest(system: System, db: Db, instant: int) -> int:
    """What is left until an instant, in the world's grain: 0 from that instant on."""
    return max(0, -((db.now - instant) // system.spec.grain_ms))


def _beyond(system: System, db: Db) -> tuple[Any, ...]:
    """What is reserved beyond a limit that was lowered, and for how long it may be."""
    exposure = db.get(system.spec.key("exposure"), {})
    until = int(exposure.get("over_until_ms", "0"))
    sides = [exposure.get(f"over_{side}_units", "") for side in ("bid", "ask")]
    return (exposure["limit_units"], max(0, until - db.now + 1) if until else -1, *sides)


def _ranked(db: Db, key: str) -> list[str]:
    return [member for _, member in sorted((n, member) for member, n in db.get(key, {}).items())]


def of_db(system: System, db: Db) -> bytes:
    """The digest of the canonical form of the keys."""
    if "canon" in db.memo:
        return bytes(db.memo["canon"])
    key = system.spec.key
    exposure = db.get(key("exposure"), {})
    due = db.get(key("expiry"), {})
    beats = db.get(key("processes"), {})
    fills = unprocessed(system, db, "fills", "state")
    form = (
        tuple(_symbol(system, db, symbol.name) for symbol in system.spec.config.symbols),
        (exposure["bid_units"], exposure["ask_units"], *_beyond(system, db)),
        db.get(key("control"), {}).get("mode", ""),
        sorted((_rest(system, db, instant), name) for name, instant in due.items()),
        (_ranked(db, key("waiting:bid")), _ranked(db, key("waiting:ask"))),
        unprocessed(system, db, "orders", "exchange"),
        [[words for _, words in db.get(key("inbox:*", one), ())] for one in system.spec.clients],
        [(name, *line.split(" ")[:3]) for name, line in fills],
        _seen(system, db),
        sorted((name, min(LIVE_MS + 1, db.now - beat)) for name, beat in beats.items()),
        sorted(system.script_of[digest] for digest in db.loaded),
        archiving.form(system.spec, db),
    )
    db.memo["canon"] = _digest(form)
    return bytes(db.memo["canon"])


def _digest(form: Any) -> bytes:
    # Version 0 of the format has no references: equal forms give equal bytes.
    return hashlib.blake2b(marshal.dumps(form, 0), digest_size=16).digest()


def call_form(system: System, db: Db, call: tuple[Any, ...]) -> tuple[Any, ...]:
    """What a call will do; all proposals that the gate will refuse for ever are one."""
    name, args = system.describe(call)
    if name == "place":
        symbol, _, trigger, position_version, quote_version = args[:5]
        config_version = db.get(system.spec.key("config"), {}).get("config_version")
        state = db.get(system.spec.key("symbol:*", symbol), {})
        position = db.get(system.spec.key("position:*", symbol), {})
        # Versions only grow: what names an older one is refused whenever it comes.
        if quote_version != state["quote_version"]:
            return ("stale",)
        if position_version != position["position_version"]:
            return ("stale",)
        if args[9] != config_version:
            return ("stale",)
        return (name, symbol, trigger == "capacity", *args[5:])
    if name == "trim":
        return (name, *archiving.call_form(system.spec, db, args))
    if name == "heartbeat":
        return (name, args[0])
    if name in ("XREAD", "XREVRANGE"):
        return (name, *args[:1])
    return (name, *args)


def of_proc(system: System, db: Db, proc: Proc) -> bytes:
    """The digest of the canonical form of a process, seen from these keys."""
    if proc in db.memo:
        return bytes(db.memo[proc])
    *heard, peers = proc.now
    calls = tuple(call_form(system, db, call) for call in proc.calls)
    if heard and heard[0] is not None:
        heard = [*system.listen(db, heard[0]), *heard[1:]]
    db.memo[proc] = _digest((proc.up, peers, heard, calls))
    return bytes(db.memo[proc])


def digest(system: System, position: Position) -> bytes:
    """The digest of a whole state: equal for states with the same future."""
    whole = hashlib.blake2b(of_db(system, position.db), digest_size=16)
    for proc in position.procs:
        whole.update(of_proc(system, position.db, proc))
    letters = tuple(call_form(system, position.db, call) for call in position.letters)
    done = (position.rogue, position.restarts, position.withdrawals, position.controls)
    sent = (position.sent, position.again, position.mailed, position.examined, position.repaired)
    archived = (position.hand, position.copied, position.restored)
    rest = (letters, *sent, *done, position.applied, *archived)
    whole.update(marshal.dumps(rest, 0))
    return whole.digest()
