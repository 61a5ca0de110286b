"""The same moves on a real server, and random walks to play there: both must agree.

A server's clock cannot be moved. So a trace in which time passes runs the shipped scripts behind
four lines that answer ``TIME`` from a key, and what the server would have reaped by that clock is
deleted by hand. A trace without time runs exactly the shipped text, on the server's own clock.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from random import Random
from typing import Any

import redis
from redis.exceptions import NoScriptError, ResponseError

from mm.store import Keys, Scripts, execute, send_pipeline, text
from tests.hunts.explorer.canon import digest
from tests.hunts.explorer.db import Db, stream_id
from tests.hunts.explorer.moves import Moves
from tests.hunts.explorer.parts import START_MS, Position, Proc, Spec, Violation
from tests.hunts.explorer.system import System, TableHost
from tests.hunts.explorer.wire import Call

CLOCK = "{mm}:explorer-clock"
_CLOCKED = """
local server = redis
local redis = { error_reply = server.error_reply, call = function(name, ...)
  if name ~= 'TIME' then return server.call(name, ...) end
  local now = server.call('GET', 'CLOCK')
  return { string.sub(now, 1, -4), string.sub(now, -3) .. '000' }
end }
""".replace("CLOCK", CLOCK)


def clocked(source: str, shebang: bool) -> str:
    """The script with its clock taken from a key; ``shebang`` keeps its first line."""
    first, _, rest = source.partition("\n")
    return (first if shebang else "") + _CLOCKED + rest


class ServerHost:
    """A server as a host: every call is made there, and all keys are read after it.

    With ``clock`` the time is that of a key, else it is the server's own.
    """

    def __init__(self, client: redis.Redis, clock: bool = True, shebang: bool = True) -> None:
        self.client = client
        self._clock = clock
        self._shebang = shebang
        self._there: dict[str, str] = {}
        self._now = 0

    def source(self, shipped: str) -> str:
        """The text that this server gets for a shipped script."""
        if self._clock:
            return clocked(shipped, self._shebang)
        return shipped if self._shebang else shipped.partition("\n")[2]

    def scripts(self) -> Scripts:
        """The scripts with this server's clock, to read with."""
        outer = self

        class Here(Scripts):
            def source(self, name: str) -> str:
                return outer.source(super().source(name))

        return Here(self.client, Keys(), self._shebang)

    def run(self, db: Db, words: Call) -> tuple[Any, Db]:
        """Run a command there."""
        loaded = db.loaded
        reply: Any
        if words[0] == "SCRIPT LOAD":
            digest = hashlib.sha1(words[1].encode(), usedforsecurity=False).hexdigest()
            reply = self._there[digest] = text(self.client.script_load(self.source(words[1])))
            loaded |= {digest}
        else:
            if words[0] in ("EVALSHA", "EVALSHA_RO"):
                # Fakeredis has the first one only.
                words = ("EVALSHA", self._there[words[1]], *words[2:])
            elif words[0] == "XADD" and self._clock:
                words = (*words[:2], self._next_id(db, words[1]), *words[3:])
            try:
                reply = (
                    send_pipeline(self.client, [words])[0]
                    if words[0] == "XREAD"
                    else execute(self.client, *words)
                )
            except (NoScriptError, ResponseError) as error:
                reply = error
        after = self._read(loaded)
        same = (db.keys, db.expires, db.loaded) == (after.keys, after.expires, after.loaded)
        return reply, db if same else after

    def _next_id(self, db: Db, stream: str) -> str:
        # An order's id has the instant when it came, by the clock that the scripts read.
        ms, sequence = db.ids.get(stream, (0, 0))
        return f"{self._now}-0" if self._now > ms else f"{ms}-{sequence + 1}"

    def at(self, db: Db, now: int) -> Db:
        """Set the clock, and reap what a server with this clock would have reaped."""
        assert self._clock
        self._now = now
        execute(self.client, "SET", CLOCK, str(now))
        for key, instant in db.expires.items():
            if now > instant:
                execute(self.client, "DEL", key)
        return self._read(db.loaded)

    def forget(self, db: Db) -> Db:
        """Empty the script cache."""
        execute(self.client, "SCRIPT", "FLUSH")
        return self._read(frozenset())

    def empty(self, now: int) -> Db:
        """Delete all keys."""
        execute(self.client, "FLUSHALL")
        self._now = now
        if self._clock:
            execute(self.client, "SET", CLOCK, str(now))
        return self._read(frozenset())

    def _read(self, loaded: frozenset[str]) -> Db:
        if not self._clock:
            seconds, micros = execute(self.client, "TIME")
            self._now = int(seconds) * 1000 + int(micros) // 1000
        db = Db(self._now, loaded=loaded)
        for key in sorted(text(name) for name in execute(self.client, "KEYS", "{mm}:*")):
            if key == CLOCK:
                continue
            kind = text(execute(self.client, "TYPE", key))
            instant = int(execute(self.client, "PEXPIRETIME", key))
            # PEXPIRE counts from the server's own clock, which means nothing here.
            if instant > (START_MS if self._clock else 0):
                db.expires[key] = instant
            if kind == "hash":
                found = self.client.hgetall(key)
                db.keys[key] = {text(name): text(value) for name, value in found.items()}
            elif kind == "zset":
                ranked: Any = self.client.zrange(key, 0, -1, withscores=True)
                db.keys[key] = {text(member): int(score) for member, score in ranked}
            elif kind == "list":
                db.keys[key] = tuple(
                    text(one) for one in execute(self.client, "LRANGE", key, 0, -1)
                )
            elif kind == "stream":
                entries = execute(self.client, "XRANGE", key, "-", "+")
                db.keys[key] = tuple(
                    (text(name), tuple(text(word) for item in fields.items() for word in item))
                    for name, fields in entries
                )
                facts = self.client.xinfo_stream(key)
                db.ids[key] = stream_id(text(facts["last-generated-id"]))
        return db


def bare(lines: Sequence[str]) -> list[str]:
    """The moves of an explained trace: the words before each ``#``."""
    return [line.partition("#")[0].strip() for line in lines]


def explained(spec: Spec, moves: Sequence[str]) -> list[str]:
    """A trace with the effect of each move beside it. ``play`` takes it unchanged."""
    walker = Moves(System(spec, TableHost()))
    system, at = walker.system, walker.system.root()
    lines = []
    for name in moves:
        lines.append(f"{name:<22} # {_meaning(system, at, name)}")
        try:
            at = walker.make(at, name)
        except Violation as violation:
            lines[-1] += f" -> {violation}"
            break
    return lines


#: What happens to the archive, in words.
_ARCHIVING = {
    "read": "the archivist reads the next entry of the ledger",
    "file": "the archivist commits to the archive what it has read",
    "drop": "the archivist dies before it has archived what it has read",
    "tell": "the archivist dies, and its call of trim.lua is still under way",
    "record": "an archivist calls trim.lua",
    "copy": "somebody copies the archive",
    "old": "the copy is put in the place of the archive",
}


def _meaning(system: System, at: Position, name: str) -> str:
    verb, _, rest = name.partition(" ")
    if verb in ("send", "again"):
        words = system.spec.orders[int(rest)]
        return f"{' '.join(words)}{', a second time' if verb == 'again' else ''}"
    if verb == "mail":
        client, words = system.spec.mail[int(rest)]
        return f"{client} sends to its inbox: {' '.join(words)}"
    if verb == "wait":
        instant = at.db.now + int(rest) - START_MS
        return f"{rest} ms pass, to {instant} ms after the start"
    if verb == "rogue":
        return f"a foreign hand appends {system.spec.rogue} to the ledger"
    if verb == "withdraw":
        return "somebody ends the quotes, as after a stop of the makers"
    if verb == "control":
        mode, *symbols = system.spec.controls[int(rest)]
        return f"an operator sets {' '.join(symbols) or 'all symbols'} to {mode}"
    if verb == "examine":
        return f"an operator examines {system.spec.repair}"
    if verb == "repair":
        return f"the repair by what was found arrives: {' '.join(at.examined)}"
    if verb == "apply":
        return "an operator applies the next configuration"
    if verb == "restart":
        return "the server restarts: connections and scripts are gone"
    if verb == "arrive":
        return f"what a dead maker sent arrives: {_call(system, at.letters[0])}"
    if verb in _ARCHIVING:
        return _ARCHIVING[verb]
    proc = next(one for one in at.procs if one.name == rest)
    if verb == "kill":
        return "it dies and starts afresh"
    if verb == "orphan":
        return f"it dies, and what it sent is still under way: {_call(system, proc.calls[0])}"
    if verb in ("go", "lose"):
        lost = "; the reply is lost, it connects again" if verb == "lose" else ""
        return _call(system, proc.calls[0]) + lost
    start = system.resume(Proc(proc.name, proc.up, proc.now, proc.now, verb))
    return _call(system, start.calls[0])


def _call(system: System, call: Call) -> str:
    name, args = system.describe(call)
    return " ".join([name, *args])


def play(spec: Spec, moves: Sequence[str]) -> Position:
    """Play a trace on the table, every invariant judged on the way; Violation where it breaks."""
    walker = Moves(System(spec, TableHost()))
    at = walker.system.root()
    for name in bare(moves):
        at = walker.make(at, name)
    return at


def compare(spec: Spec, moves: Sequence[str], host: ServerHost) -> Position:
    """Play a trace on the table and on a server; Violation where their states differ."""
    table, there = Moves(System(spec, TableHost())), Moves(System(spec, host))
    ours, theirs = table.system.root(), there.system.root()
    for number, name in enumerate(moves):
        ours, theirs = table.make(ours, name), there.make(theirs, name)
        if digest(table.system, ours) != digest(there.system, theirs):
            raise Violation(f"after {number + 1} moves ({name}): table {ours}, server {theirs}")
    return theirs


def random_walk(spec: Spec, seed: int, length: int) -> list[str]:
    """The moves of a random walk from empty keys, chosen on the table."""
    random = Random(seed)
    walker = Moves(System(spec, TableHost()))
    at, moves = walker.system.root(), list[str]()
    for _ in range(length):
        names = list(walker.enabled(at))
        # Deaths would keep every process from getting anywhere.
        likely = [
            name for name in names if not name.startswith(("kill", "lose", "orphan", "restart"))
        ]
        moves.append(random.choice(likely if likely and random.random() < 0.9 else names))
        at = walker.make(at, moves[-1])
    return moves
