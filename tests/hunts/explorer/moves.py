"""Every action that a state enables, by name, so that a trace reads as text and plays again."""

from __future__ import annotations

from collections.abc import Iterator

from mm.market import LIVE_MS, config_changes
from mm.store.control import REPAIRED_FIELDS, config_words
from tests.hunts.explorer import archiving
from tests.hunts.explorer.changes import check_call
from tests.hunts.explorer.db import Db
from tests.hunts.explorer.invariants import mode_of
from tests.hunts.explorer.parts import Position, Proc
from tests.hunts.explorer.system import System
from tests.hunts.explorer.wire import Call
from tests.kit import SYSTEM_ID

#: The calls whose effect others see, so that it matters when their reply is lost.
_WRITING = ("place", "collect", "match", "commit", "expire", "heartbeat")


class Moves:
    """The actions of a world. Each call's effect is judged as it happens, once for each state."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.spec = system.spec
        system.judge = check_call
        self._index = {name: index for index, name in enumerate(system.names)}

    def enabled(self, at: Position) -> Iterator[str]:
        """The name of every action that is possible at a state."""
        for proc in at.procs:
            for verb in self._of_process(proc):
                yield f"{verb} {proc.name}"
            if self.spec.zombie and not at.letters and _proposes(self.system, proc):
                yield f"orphan {proc.name}"
        if at.letters:
            yield "arrive"
        if at.sent < len(self.spec.orders):
            yield f"send {at.sent}"
        if at.mailed < len(self.spec.mail):
            yield f"mail {at.mailed}"
        if len(at.again) < self.spec.again:
            for number in range(at.again[-1] if at.again else 0, at.sent):
                yield f"again {number}"
        if self.spec.rogue and not at.rogue:
            yield "rogue"
        if at.restarts < self.spec.restarts:
            yield "restart"
        if at.withdrawals < self.spec.withdrawals:
            yield "withdraw"
        if at.controls < len(self.spec.controls):
            yield f"control {at.controls}"
        if self.spec.repair and not at.examined and self._can_be_examined(at.db):
            yield "examine"
        if at.examined and not at.repaired:
            yield "repair"
        if at.applied < len(self.spec.configs):
            yield "apply"
        if self.spec.archives:
            yield from self._of_archivist(at)
        if self.spec.ticks and (instant := self.next_instant(at.db)):
            yield f"wait {instant - at.db.now}"

    def make(self, at: Position, name: str) -> Position:
        """Make the move of that name, which must be one of those that the state enables."""
        verb, _, rest = name.partition(" ")
        if verb == "orphan":
            return self._orphan(at, self._index[rest])
        if verb == "arrive":
            return self._arrive(at)
        if verb == "send":
            return self._send(at, int(rest))
        if verb == "mail":
            return self._mail(at, int(rest))
        if verb == "again":
            return self._again(at, int(rest))
        if verb == "rogue":
            return self._rogue(at)
        if verb == "restart":
            return self._restart(at)
        if verb == "withdraw":
            return self._withdraw(at)
        if verb == "control":
            return self._control(at, int(rest))
        if verb == "apply":
            return self._apply(at)
        if verb == "examine":
            return at._replace(examined=self._repair_words(at.db))
        if verb == "repair":
            return self._repair(at)
        if verb in ("read", "file", "drop", "tell", "record", "copy", "old"):
            return self._archiving(at, verb)
        if verb == "wait":
            return self.waited(at, at.db.now + int(rest))
        return self._moved(at, self._index[rest], verb)

    # processes

    def _of_process(self, proc: Proc) -> list[str]:
        names = ["go"] if proc.calls else list(self.system.modes(proc))
        if proc.calls and self._writes(proc.calls[0]):
            names.append("lose")
        if self.spec.crashes and proc != self.system.fresh(proc.name):
            names.append("kill")
        return names

    def _writes(self, call: Call) -> bool:
        return self.system.describe(call)[0] in _WRITING

    def _moved(self, at: Position, index: int, name: str) -> Position:
        proc, db = self.moved(at.db, at.procs[index], name)
        return at._replace(db=db, procs=_with(at.procs, index, proc))

    def moved(self, db: Db, proc: Proc, name: str) -> tuple[Proc, Db]:
        """A process's move, worked out once for each state of the keys."""
        key = (proc, name)
        if key not in db.memo:
            if name == "kill":
                db.memo[key] = self.system.fresh(proc.name), db
            else:
                move = {"go": self.system.go, "lose": self.system.lose}.get(name)
                if move:
                    db.memo[key] = move(db, proc)
                else:
                    db.memo[key] = self.system.begin(db, proc, name)
        found: tuple[Proc, Db] = db.memo[key]
        return found

    # what a dead maker has left behind

    def _orphan(self, at: Position, index: int) -> Position:
        proc = at.procs[index]
        procs = _with(at.procs, index, self.system.fresh(proc.name))
        return at._replace(procs=procs, letters=proc.calls)

    def _arrive(self, at: Position) -> Position:
        key = ("arrive", at.letters[0])
        if key not in at.db.memo:
            _, at.db.memo[key] = self.system.run(at.db, at.letters[0])
        return at._replace(db=at.db.memo[key], letters=at.letters[1:])

    # the world outside

    def _append(self, db: Db, stream: str, words: tuple[str, ...], member: str = "") -> Db:
        key = ("append", stream, member, words)
        if key not in db.memo:
            call = ("XADD", self.spec.key(stream, member), "*", *words)
            _, db.memo[key] = self.system.host.run(db, call)
        found: Db = db.memo[key]
        return found

    def _send(self, at: Position, number: int) -> Position:
        db = self._append(at.db, "orders", self.spec.orders[number])
        return at._replace(db=db, sent=at.sent + 1)

    def _mail(self, at: Position, number: int) -> Position:
        client, words = self.spec.mail[number]
        db = self._append(at.db, "inbox:*", words, client)
        return at._replace(db=db, mailed=at.mailed + 1)

    def _again(self, at: Position, number: int) -> Position:
        db = self._append(at.db, "orders", self.spec.orders[number])
        return at._replace(db=db, again=(*at.again, number))

    def _rogue(self, at: Position) -> Position:
        assert self.spec.rogue
        return at._replace(db=self._append(at.db, "fills", self.spec.rogue), rogue=True)

    def _restart(self, at: Position) -> Position:
        # What was acknowledged is on disk; connections, requests under way and scripts are gone.
        procs = tuple(self.system.reconnected(proc) for proc in at.procs)
        db = self.system.host.forget(at.db)
        return at._replace(db=db, procs=procs, letters=(), hand=-1, restarts=at.restarts + 1)

    def _withdraw(self, at: Position) -> Position:
        key = ("withdraw",)
        if key not in at.db.memo:
            words = self.system.scripts._words("withdraw", [SYSTEM_ID, LIVE_MS])
            db = at.db.knowing(at.db.loaded | {str(words[0])})
            _, at.db.memo[key] = self.system.run(db, ("EVALSHA", *words))
        return at._replace(db=at.db.memo[key], withdrawals=at.withdrawals + 1)

    def _control(self, at: Position, number: int) -> Position:
        key = ("control", number)
        if key not in at.db.memo:
            mode, *symbols = self.spec.controls[number]
            args = [SYSTEM_ID, mode, "ann", "operator", "a test", "0", *symbols]
            words = self.system.scripts._words("control", args)
            db = at.db.knowing(at.db.loaded | {str(words[0])})
            _, at.db.memo[key] = self.system.run(db, ("EVALSHA", *words))
        return at._replace(db=at.db.memo[key], controls=number + 1)

    def _apply(self, at: Position) -> Position:
        key = ("apply",)
        if key not in at.db.memo:
            current = self.spec.current(at.db)
            changes = config_changes(current, self.spec.configs[at.applied])
            who = (SYSTEM_ID, current.version, "ann", "operator", "a test")
            words = self.system.scripts._words("configure", [*who, *config_words(changes)])
            db = at.db.knowing(at.db.loaded | {str(words[0])})
            _, at.db.memo[key] = self.system.run(db, ("EVALSHA", *words))
        return at._replace(db=at.db.memo[key], applied=at.applied + 1)

    def _can_be_examined(self, db: Db) -> bool:
        spec, name = self.spec, self.spec.repair
        version = db.get(spec.key("position:*", name), {})["position_version"]
        fills = db.get(spec.key("symbol:*", name), {})["fill_seq"]
        return mode_of(spec, db, name) == "halted" and version == fills

    def _repair_words(self, db: Db) -> tuple[str, ...]:
        """What the operator finds; the ledger says the same, as long as every invariant holds."""
        state = db.get(self.spec.key("symbol:*", self.spec.repair), {})
        position = db.get(self.spec.key("position:*", self.spec.repair), {})
        found = {"fill_seq": state["fill_seq"], **position}
        return tuple(found.get(name, "") for name in REPAIRED_FIELDS)

    def _repair(self, at: Position) -> Position:
        key = ("repair", at.examined)
        if key not in at.db.memo:
            who = (SYSTEM_ID, self.spec.repair, "ann", "operator", "a test")
            words = self.system.scripts._words("repair", [*who, *at.examined, *at.examined])
            db = at.db.knowing(at.db.loaded | {str(words[0])})
            _, at.db.memo[key] = self.system.run(db, ("EVALSHA", *words))
        return at._replace(db=at.db.memo[key], repaired=True)

    # the archivist

    def _of_archivist(self, at: Position) -> Iterator[str]:
        """What an archivist may do next, or may happen to it or to its file."""
        if at.hand >= 0:
            yield from ("file", "drop")
        elif archiving.can_read(self.spec, at.db):
            yield "read"
        if archiving.can_record(self.spec, at.db):
            yield "record"
            if not at.letters:
                yield "tell"
        if at.copied < 0 and archiving.size(at.db):
            yield "copy"
        if 0 <= at.copied < archiving.size(at.db) and not at.restored and not at.letters:
            yield "old"

    def _archiving(self, at: Position, verb: str) -> Position:
        if verb == "read":
            return at._replace(hand=archiving.size(at.db))
        if verb == "drop":
            return at._replace(hand=-1)
        if verb == "copy":
            return at._replace(copied=archiving.size(at.db))
        if verb == "old":
            # Nobody archives while a file is put in place of another.
            db = self._run(at.db, ("HSET", archiving.FILE, "size", str(at.copied)))
            return at._replace(db=db, hand=-1, restored=True)
        if verb == "file":
            call = archiving.filing(self.spec, at.db, at.hand)
            db = at.db if call is None else self._run(at.db, call)
            return at._replace(db=db, hand=-1)
        words = self.system.scripts._words("trim", archiving.record_words(self.spec, at.db))
        call = ("EVALSHA", *words)
        if verb == "tell":
            return at._replace(letters=(call,))
        return at._replace(db=self._run(at.db, call))

    def _run(self, db: Db, call: Call) -> Db:
        """A call from outside the processes, worked out once for each state of the keys."""
        if call not in db.memo:
            known = db.knowing(db.loaded | {str(call[1])}) if call[0] == "EVALSHA" else db
            _, db.memo[call] = self.system.run(known, call)
        found: Db = db.memo[call]
        return found

    # time

    def next_instant(self, db: Db) -> int:
        """The next instant just before, at or just after a deadline; 0 when there is none."""
        config = self.spec.current(db)
        deadlines = []
        for instant in db.get(self.spec.key("expiry"), {}).values():
            deadlines += [int(instant), int(instant) - config.refresh_ms]
        for beat in db.get(self.spec.key("processes"), {}).values():
            deadlines.append(int(beat) + LIVE_MS)
        if config.dedup_window_ms <= 3_600_000 and db.get(self.spec.key("cursors"), {}):
            window = config.dedup_window_ms
            deadlines.append((db.now // window + 1) * window)
        for symbol in config.symbols if config.symbols[0].protection_lots else ():
            position = db.get(self.spec.key("position:*", symbol.name), {})
            deadlines.append(int(position.get("frozen_until_ms", "0")))
            for entry in db.get(self.spec.key("window:*", symbol.name), ()):
                deadlines.append(int(entry.partition(" ")[0]) + config.protection_window_ms)
        later = [d + by for d in deadlines for by in (-1, 0, 1) if d + by > db.now]
        return min(later, default=0)

    def waited(self, at: Position, instant: int) -> Position:
        """Time passes to an instant."""
        key = ("at", instant)
        if key not in at.db.memo:
            at.db.memo[key] = self.system.host.at(at.db, instant)
        return at._replace(db=at.db.memo[key])


def _with(procs: tuple[Proc, ...], index: int, proc: Proc) -> tuple[Proc, ...]:
    return (*procs[:index], proc, *procs[index + 1 :])


def _proposes(system: System, proc: Proc) -> bool:
    return bool(proc.calls) and system.describe(proc.calls[0])[0] == "place"
