"""``mm chaos``: real crashes under real load, each followed by a judgement of everything.

A run is rounds. In each, one or two faults strike a system under load; then it must converge
while the load goes on; then the load stops for a moment, every invariant is audited, and the
publishers' journals are compared with the ledger.
"""

from __future__ import annotations

import contextlib
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from redis.exceptions import RedisError
from rich.console import Console
from rich.live import Live

from mm.audit import audit
from mm.errors import MMError, TimedOut
from mm.host import exit_reason, identify
from mm.lab.chaos.check import compare, why_not_converged
from mm.lab.chaos.faults import begin_fault
from mm.lab.chaos.plan import PROCESSES, FaultEvent, plan_rounds
from mm.lab.chaos.show import Figures, Round, RunRecord, live, table, totals
from mm.lab.chaos.system import ChaosSystem, Interrupted
from mm.store import Snapshot, take_snapshot

#: A system lives for so many rounds; then the next one begins, so that audits stay short.
LIFE_ROUNDS = 25
#: A system that has not converged by then never will.
CONVERGE_S = 30.0
#: After its fault is over a zombie gets so long to do its worst before the judgement.
SETTLE_S = 0.1
END_S = 10.0
FRAME_S = 0.25


@dataclass(frozen=True)
class ChaosOptions:
    """What to run: ``server`` is the program, ``seed`` decides the faults."""

    server: Path
    rounds: int
    seed: int


class Violation(Exception):
    """Something is not as it must be; the texts say what."""

    def __init__(self, *texts: str) -> None:
        super().__init__(*texts)
        self.texts = texts


class Chaos:
    """One run: build with options, then :meth:`run`."""

    def __init__(self, options: ChaosOptions, console: Console, stop: threading.Event) -> None:
        name, version = identify(options.server)
        self.tale = RunRecord(options.seed, options.rounds, f"{name} {version}")
        self.options = options
        self.console = console
        #: Violations, and the directory that shows them.
        self.violations: list[str] = []
        self.kept: Path | None = None
        self._stop = stop
        self._live: Live | None = None
        self._next_frame = 0.0
        self._began = time.monotonic()

    def run(self) -> int:
        """Run all rounds, or until ``stop`` is set; the exit status, 1 on any violation."""
        options = self.options
        self.console.print(
            f"mm chaos --rounds {options.rounds} --seed {options.seed} --server {options.server}",
            highlight=False,
            soft_wrap=True,
        )
        plan = plan_rounds(options.seed)
        with contextlib.suppress(Interrupted), self._screen():
            for first in range(1, options.rounds + 1, LIFE_ROUNDS):
                last = min(first + LIFE_ROUNDS - 1, options.rounds)
                self._life(first, list(islice(plan, last - first + 1)))
                if self.violations:
                    break
        return self._tell()

    def _life(self, first: int, faults: list[list[FaultEvent]]) -> None:
        """The rounds of one system; its data is kept when it broke."""
        arena = ChaosSystem(self.options.server, self.options.seed + first, self._pulse)
        self.tale.systems.append(Figures())
        self.tale.doing = "starting a system"
        self._print(f"system {len(self.tale.systems)}: data in {arena.directory.path}")
        try:
            arena.open()
            self._converge(arena)
            for number, strikes in enumerate(faults, first):
                self._round(arena, number, strikes)
            self._end(arena)
            self.tale.systems[-1].refused = _refusals(arena.directory.logs)
        except Violation as error:
            self.violations += error.texts
        except (MMError, RedisError) as error:
            self.violations.append(f"{type(error).__name__}: {error}")
        finally:
            self._count(arena)
            broken = bool(self.violations)
            self.kept = arena.directory.path if broken else None
            arena.close(keep=broken)

    def _round(self, arena: ChaosSystem, number: int, strikes: list[FaultEvent]) -> None:
        """Strike, let the system converge, and judge it; Violation when something is wrong."""
        effects = []
        self.tale.doing = f"round {number}: " + " and ".join(one.text() for one in strikes)
        done = Round(number, strikes)
        try:
            for strike in strikes:
                arena.wait(strike.after_ms / 1000)
                effects.append(begin_fault(arena, strike))
            under_way = list(effects)

            def over() -> bool:
                for effect in [one for one in under_way if one.over()]:
                    effect.end()
                    under_way.remove(effect)
                return not under_way

            arena.until("the fault is over", over, CONVERGE_S)
            done.struck = [effect.struck() for effect in effects]
            done.converged_ms, done.last = self._converge(arena)
            arena.wait(SETTLE_S)
            self._judge(arena)
        except (Violation, MMError, RedisError):
            done.violated = True
            raise
        finally:
            self.tale.add(done)
            self._count(arena)
            self._print(done.line())

    def _converge(self, arena: ChaosSystem) -> tuple[int, str]:
        """Wait until everything works again; how many ms that took, and what came last."""
        began = time.monotonic()
        lacking = last = ""
        records: int | None = None

        def converged() -> bool:
            nonlocal lacking, last, records
            last = lacking
            try:
                found = take_snapshot(arena.scripts)
            except RedisError as error:
                lacking = f"no server answers: {error}"
                return False
            processed = found.cursors.exchange_records
            records = processed if records is None else records
            lacking = why_not_converged(found) or (
                "" if processed > records else "no order is processed"
            )
            return not lacking

        try:
            arena.until("it has converged", converged, CONVERGE_S)
        except TimedOut as error:
            raise Violation(f"{error}: {lacking}", *arena.notes) from error
        return round(1000 * (time.monotonic() - began)), last

    def _judge(self, arena: ChaosSystem) -> None:
        """Stop the load, let what was sent be processed, and look at everything."""
        publishers = [name for name in PROCESSES if name.startswith("publisher")]
        frozen: set[int] = set()
        end = time.monotonic() + END_S
        try:
            while True:
                # One that is just being restarted comes to life while this goes on.
                frozen.update(arena.pids(publishers))
                arena.freeze(frozen)
                before = self._drained(arena)
                result = audit(arena.scripts, quiescent=True)
                findings = compare(arena.scripts, arena.senders)
                # What was on its way when the senders were stopped may have come meanwhile.
                if before == _newest(take_snapshot(arena.scripts)) or time.monotonic() > end:
                    break
        finally:
            arena.thaw(frozen)
        self.tale.systems[-1].counts = findings.counts
        broken = [check for check in result.checks if not check.ok]
        texts = [f"{check.name}: {text}" for check in broken for text in check.violations]
        texts += findings.told()
        if texts:
            raise Violation(*texts)

    def _drained(self, arena: ChaosSystem) -> str:
        """Wait until nothing waits to be processed; the id of the newest order then."""
        found = take_snapshot(arena.scripts)

        def drained() -> bool:
            nonlocal found
            found = take_snapshot(arena.scripts)
            return not any(found.lag_ms.values())

        try:
            arena.until("everything sent is processed", drained, END_S)
        except TimedOut as error:
            raise Violation(f"{error}: lag {found.lag_ms} ms", *arena.notes) from error
        return _newest(found)

    def _end(self, arena: ChaosSystem) -> None:
        """Stop the publishers in order: each must have an answer to everything it sent."""
        self.tale.doing = "stopping a system"
        self._converge(arena)
        names = [name for name in PROCESSES if name.startswith("publisher")]
        processes = {name: arena.supervisor.children[name].process for name in names}
        arena.supervisor.stop("publisher")
        for name, process in processes.items():
            # One that was about to start ends by the signal itself and has sent nothing.
            if process is not None and process.returncode == 0:
                said = (arena.directory.logs / f"{name}.out").read_text(encoding="utf-8")
                if " unanswered 0;" not in said.splitlines()[-1]:
                    raise Violation(f"orders without an answer: {said.splitlines()[-1]}")
            elif process is not None and process.returncode != -signal.SIGTERM:
                raise Violation(f"{name} ended with {exit_reason(process.returncode)}")
        self._judge(arena)

    def _count(self, arena: ChaosSystem) -> None:
        now = self.tale.systems[-1]
        now.restarts = arena.restarts
        now.server_starts = arena.server.starts
        now.killed_starting = arena.server.killed_starting
        self.tale.elapsed_s = time.monotonic() - self._began

    # the terminal

    @contextlib.contextmanager
    def _screen(self) -> Iterator[None]:
        if not self.console.is_terminal:
            yield
            return
        with Live(console=self.console, auto_refresh=False, transient=True) as self._live:
            yield
        self._live = None

    def _pulse(self) -> None:
        if self._stop.is_set():
            raise Interrupted
        if self._live is not None and time.monotonic() >= self._next_frame:
            self._next_frame = time.monotonic() + FRAME_S
            self.tale.elapsed_s = time.monotonic() - self._began
            self._live.update(live(self.tale), refresh=True)

    def _print(self, text: str) -> None:
        if self._live is None:
            self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def _tell(self) -> int:
        """Say how it went."""
        console, tale = self.console, self.tale
        console.print(table(tale))
        console.print(totals(tale), highlight=False, soft_wrap=True)
        for violation in self.violations:
            console.print(f"VIOLATION: {violation}", highlight=False, markup=False, soft_wrap=True)
        if self.violations:
            console.print(
                f"data and logs kept in {self.kept}; again with --seed {tale.seed}",
                highlight=False,
                soft_wrap=True,
            )
            return 1
        stopped = " (stopped early)" if len(tale.rounds) < tale.wanted else ""
        console.print(f"no violation{stopped}; seed {tale.seed}", highlight=False)
        return 0


def _newest(found: Snapshot) -> str:
    return found.streams["orders"].last_id


def _refusals(logs: Path) -> Counter[str]:
    """How often each rule refused a maker's proposal, by the makers' logs."""
    found = Counter[str]()
    for path in logs.glob("maker-*.log"):
        found.update(re.findall(r" refused rule=(\w+)", path.read_text(encoding="utf-8")))
    return found
