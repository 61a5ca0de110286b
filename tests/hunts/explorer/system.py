"""The processes of a small world, taken apart call by call: real code, real scripts."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from typing import Any, cast
from unittest.mock import patch

from redis.exceptions import ConnectionError as LostConnection
from redis.exceptions import NoScriptError, RedisError

import mm.process
from mm.exchange import Exchange
from mm.maker import Maker
from mm.process import Process
from mm.state import StateService
from mm.store import Keys, Operator, script_names
from mm.store.lua import read_names
from tests.hunts.explorer.db import Db
from tests.hunts.explorer.parts import START_MS, Host, Position, Proc, Spec, Violation
from tests.hunts.explorer.table import Table
from tests.hunts.explorer.wire import Call, Suspended, Wire
from tests.kit import SYSTEM_ID

#: Nobody reads the log of a million futures.
_SILENT = logging.getLogger("mm.explorer")
_SILENT.disabled = True


class TableHost(Table):
    """The table as a host."""

    def at(self, db: Db, now: int) -> Db:
        """The keys at a later instant."""
        return db.at(now)

    def forget(self, db: Db) -> Db:
        """The keys on a server that has lost its script cache."""
        return db.knowing(frozenset())

    def empty(self, now: int) -> Db:
        """No keys."""
        return Db(now)


class System:
    """The processes of a world, moved from state to state; keeps none of its own."""

    def __init__(self, spec: Spec, host: Host) -> None:
        self.spec = spec
        self.host = host
        #: Judges each call that was not refused: the call, the keys before it and after it.
        self.judge: Callable[[System, Call, Db, Db], None] | None = None
        self._asked = Db(0)
        self.wire = Wire(self._ask, bool(spec.configs))
        self.scripts = spec.scripts(self.wire, Keys())  # type: ignore[arg-type]  # stands in for it
        self._processes = {process.name: process for process in self._make()}
        for process in self._processes.values():
            process.log = _SILENT
        self.names = list(self._processes)
        self.script_of = {self.scripts._words(name, ())[0]: name for name in script_names()}

    def _make(self) -> Iterator[Process]:
        kinds: list[tuple[type[Process], int]] = [
            (Exchange, self.spec.exchanges),
            (StateService, 1),
            (Maker, self.spec.makers),
        ]
        for kind, count in kinds:
            for number in range(1, count + 1):
                # A wire takes the place of a client: it answers the calls that a step makes.
                yield kind(lambda: cast(Any, self.wire), Keys(), str(number), self.spec.config)

    def _ask(self, call: Call) -> Any:
        return self.host.run(self._asked, call)[0]

    # the start

    def root(self) -> Position:
        """The world before anything has happened: keys set up, every process to start afresh."""
        db = self.host.empty(START_MS)
        for name in script_names():
            _, db = self.host.run(db, ("SCRIPT LOAD", self.scripts.source(name)))
        replies: tuple[Any, ...] = ()
        while True:
            self.wire.begin(replies)
            try:
                assert self.scripts.setup(self.spec.config, SYSTEM_ID) == "created"
                if self.spec.clients:
                    self.scripts.admit(SYSTEM_ID, Operator("ann"), "a test", self.spec.clients)
                break
            except Suspended as wish:
                reply, db = self.host.run(db, wish.calls[0])
                replies += (reply,)
        self._asked = db.at(db.now)
        procs = tuple(self.fresh(name) for name in self.names)
        return Position(db, procs)

    def fresh(self, name: str) -> Proc:
        """The process as it is when it has just started: it remembers nothing."""
        peers = (name,)
        known = (0,) if self.spec.configs else ()
        memory = (None, *known, peers) if isinstance(self._processes[name], Maker) else (peers,)
        return Proc(name, not self.spec.presence, memory, memory)

    def modes(self, proc: Proc) -> tuple[str, ...]:
        """What an idle process may do next."""
        if not proc.up:
            return ("open",)
        modes = ["step"]
        if isinstance(self._processes[proc.name], Maker) and proc.now[0] is not None:
            modes.append("reconcile")
        if self.spec.presence or proc.name.startswith("state-"):
            modes.append("beat")
        return tuple(modes)

    # the real code

    def resume(self, proc: Proc) -> Proc:
        """Run the real code of the process's step with its replies, up to its next call or the end.

        A ConnectionError among the replies is raised out of the step, as ``run()`` sees it.
        """
        process = self._processes[proc.name]
        self._load(process, proc)
        self.wire.begin(proc.replies)
        run: Callable[[], object] = {
            "open": lambda: self._open(process),
            "beat": process.beat if self.spec.presence else process.release_expired,
        }.get(proc.mode, process.step)
        try:
            run()
        except Suspended as wish:
            up = proc.up
            return Proc(
                proc.name, up, proc.begun, self._save(process), proc.mode, wish.calls, proc.replies
            )
        except LostConnection:
            raise
        except RedisError as error:
            raise Violation(f"{proc.name} cannot go on: {error}") from error
        memory = self._save(process)
        return Proc(proc.name, True, memory, memory)

    def _open(self, process: Process) -> None:
        with patch.object(mm.process, "Scripts", self.spec.scripts):
            process.open()

    def _load(self, process: Process, proc: Proc) -> None:
        if proc.mode == "open":
            process.close()
        else:
            process.attach(self.scripts)
        process.peers = list(proc.begun[-1])
        process._beats = process.count = 0
        if isinstance(process, Exchange):
            process._clients = self.spec.clients
        if isinstance(process, Maker):
            heard = proc.begun[0]
            process.reconcile_s = math.inf
            process._known = None if self.spec.presence else self.spec.config
            if self.spec.configs:
                version = proc.begun[1]
                process._known = self.spec.versions[version - 1] if version else None
            if heard is not None:
                process._cursor = heard
                process._next_reconcile = 0.0 if proc.mode == "reconcile" else math.inf

    def _save(self, process: Process) -> tuple[Any, ...]:
        peers = tuple(process.peers)
        if not isinstance(process, Maker):
            return (peers,)
        if not self.spec.configs:
            return (process._cursor, peers)
        return (process._cursor, process._known.version if process._known else 0, peers)

    def listen(self, db: Db, last: str) -> tuple[Any, ...]:
        """Which symbols a maker that has heard up to ``last`` would look at now."""
        key = ("listen", last)
        if key not in db.memo:
            self.wire.begin(())
            try:
                survey = self.scripts.survey_updated(last, 0, ())
            except Suspended as wish:
                self.wire.begin((self.host.run(db, wish.calls[0])[0],))
                survey = self.scripts.survey_updated(last, 0, ())
            db.memo[key] = (tuple(sorted(survey.rows)), survey.more)
        found: tuple[Any, ...] = db.memo[key]
        return found

    # moves of one process

    def begin(self, db: Db, proc: Proc, mode: str) -> tuple[Proc, Db]:
        """The process begins a step and makes its first call."""
        start = Proc(proc.name, proc.up, proc.now, proc.now, mode)
        return self._advance(db, self.resume(start))

    def go(self, db: Db, proc: Proc) -> tuple[Proc, Db]:
        """The process makes the call that it is about to make."""
        return self._advance(db, proc)

    def _advance(self, db: Db, proc: Proc) -> tuple[Proc, Db]:
        while proc.calls:
            call = proc.calls[0]
            reply, after = self.run(db, call)
            quiet = self._quiet(call, reply)
            proc = self.resume(
                Proc(
                    proc.name,
                    proc.up,
                    proc.begun,
                    proc.begun,
                    proc.mode,
                    (),
                    (*proc.replies, reply),
                )
            )
            db = after
            if not quiet:
                break
        return proc, db

    def run(self, db: Db, call: Call) -> tuple[Any, Db]:
        """Make a call; Violation when an error reply has changed the keys."""
        reply, after = self.host.run(db, call)
        if isinstance(reply, Exception) and after is not db:
            raise Violation(f"refused and yet changed something: {reply}")
        if self.judge and not isinstance(reply, Exception):
            self.judge(self, call, db, after)
        return reply, after

    def _quiet(self, call: Call, reply: Any) -> bool:
        # Such a call has no effect that others could see, so nothing need happen before the next.
        if call[0] == "SCRIPT LOAD" or isinstance(reply, NoScriptError):
            return True
        return self.describe(call)[0] == "setup"

    def lose(self, db: Db, proc: Proc) -> tuple[Proc, Db]:
        """The call is executed and its reply is lost; then ``run()`` connects again."""
        _, after = self.run(db, proc.calls[0])
        lost = LostConnection("the reply is lost")
        try:
            self.resume(
                Proc(
                    proc.name, proc.up, proc.begun, proc.begun, proc.mode, (), (*proc.replies, lost)
                )
            )
        except LostConnection:
            return self.reconnected(proc), after
        raise Violation(f"{proc.name} goes on after a lost reply, as if it had one")

    def reconnected(self, proc: Proc) -> Proc:
        """The process after ``close()``; what it keeps over that is what the real code keeps."""
        process = self._processes[proc.name]
        self._load(process, proc)
        process.close()
        if self.spec.presence:
            kept = (*((None,) if isinstance(process, Maker) else ()), tuple(process.peers))
            return Proc(proc.name, False, kept, kept)
        process.attach(self.scripts)
        memory = self._save(process)
        return Proc(proc.name, True, memory, memory)

    def describe(self, call: Call) -> tuple[str, list[str]]:
        """A call as the name of its script or command, and its arguments without keys."""
        if call[0] in ("EVALSHA", "EVALSHA_RO"):
            name = self.script_of[call[1]]
            first = 3 + call[2] + len(read_names(name))
            return name, [str(word) for word in call[first:]]
        return str(call[0]), [str(word) for word in call[1:]]
