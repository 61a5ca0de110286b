"""``mm chaos``: real crashes under real load, after each of which everything is judged.

A run is a number of rounds. In each, one or two faults harm a system under load, and the system
must converge while the load goes on. Then the load stops for a moment, every invariant is audited,
and the publishers' journals are compared with the ledger.
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from redis.exceptions import RedisError
from rich.console import Console
from rich.live import Live

from mm.audit import audit
from mm.errors import MMError, TimedOut, Unavailable, shown_path
from mm.host import STOPPED_STATUS, exit_reason, identify
from mm.interrupts import Interrupted, Stop
from mm.lab.chaos.check import Counts, compare, refusals, why_not_converged
from mm.lab.chaos.harmed import HarmedSystem
from mm.lab.chaos.plan import FaultEvent
from mm.lab.chaos.show import Figures, Round, RunRecord, live, table, totals
from mm.lab.chaos.trial import ChaosOptions, trial_of
from mm.store import Snapshot, take_snapshot

#: Rounds of one system; then the next system begins, so that audits stay short.
LIFE_ROUNDS = 25
#: A system that has not converged within this time is a violation.
CONVERGE_S = 30.0
#: Time between convergence and judgement, for late messages to do harm.
SETTLE_S = 0.1
#: A system that has not processed what was sent within this time is a violation.
END_S = 30.0
FRAME_S = 0.25


class Violation(Exception):
    """A rule does not hold; the texts say which."""

    def __init__(self, *texts: str) -> None:
        super().__init__(*texts)
        self.texts = texts


class Chaos:
    """One run: build with options, then :meth:`run`."""

    def __init__(self, options: ChaosOptions, console: Console, stop: Stop) -> None:
        name, version = identify(options.server)
        self._trial = trial_of(options, name)
        kinds = tuple(self._trial.kinds)
        self.record = RunRecord(options.seed, options.rounds, f"{name} {version}", kinds)
        self.options = options
        self.console = console
        #: Violations, and the directory that holds their evidence.
        self.violations: list[str] = []
        self.kept: Path | None = None
        self._stop = stop
        self._live: Live | None = None
        self._next_frame = 0.0
        self._began = time.monotonic()

    def run(self) -> int:
        """Run all rounds, or until ``stop`` is set; the exit status.

        It is 1 on any violation, and 128 + its number when a signal has ended the first round.
        """
        options = self.options
        self._say(options.words())
        plan = self._trial.plan
        with contextlib.suppress(Interrupted), self._screen():
            for first in range(1, options.rounds + 1, LIFE_ROUNDS):
                last = min(first + LIFE_ROUNDS - 1, options.rounds)
                self._run_system(first, list(islice(plan, last - first + 1)))
                if self.violations:
                    break
        return self._print_summary()

    def _run_system(self, first: int, rounds: list[list[FaultEvent]]) -> None:
        """The rounds of one system; its data is kept when something is wrong."""
        seed = self.options.seed + first
        system = self._trial.make(seed, self._pulse, self._stop)
        self.record.systems.append(Figures())
        self.record.current = "starting a system"
        self._print(
            f"system {len(self.record.systems)}: data in {shown_path(system.data_dir.path)}"
        )
        try:
            system.open()
            self._converge(system)
            for number, faults in enumerate(rounds, first):
                self._round(system, number, faults)
            self._finish_system(system)
            self.record.systems[-1].refused = refusals(system.data_dir.logs)
        except Violation as error:
            self.violations += error.texts
        except (MMError, RedisError) as error:
            self.violations.append(f"{type(error).__name__}: {error}")
        finally:
            self._count(system)
            wrong = bool(self.violations)
            self.kept = system.data_dir.path if wrong else None
            system.close(keep=wrong)

    def _round(self, system: HarmedSystem[Any], number: int, faults: list[FaultEvent]) -> None:
        """Apply the faults, wait for convergence, and judge the system; may raise Violation."""
        effects = []
        self.record.current = f"round {number}: " + " and ".join(one.text() for one in faults)
        done = Round(number, faults)
        try:
            for fault in faults:
                system.wait(fault.after_ms / 1000)
                effects.append(self._trial.begin(system, fault))
            under_way = list(effects)

            def over() -> bool:
                for effect in [one for one in under_way if one.over()]:
                    effect.end()
                    under_way.remove(effect)
                return not under_way

            try:
                system.until("the fault is over", over, CONVERGE_S)
            except TimedOut as error:
                raise Violation(str(error), *system.notes) from error
            done.applied = [effect.applied() for effect in effects]
            done.converged_ms, done.last = self._converge(system)
            system.wait(SETTLE_S)
            self._judge(system)
        except (Violation, MMError, RedisError):
            done.violated = True
            raise
        finally:
            self.record.add(done)
            self._count(system)
            self._print(done.line())

    def _converge(self, system: HarmedSystem[Any]) -> tuple[int, str]:
        """Wait until everything works again; the milliseconds, and what was missing last."""
        began = time.monotonic()
        missing = last = ""
        records: list[int] = []

        def converged() -> bool:
            nonlocal missing, last, records
            last = missing
            try:
                found = take_snapshot(system.scripts)
                parts = found.parts or (found,)
                processed = [part.cursors.exchange_records for part in parts]
                # A failover may have undone what was processed before.
                records = [min(pair) for pair in zip(records or processed, processed, strict=True)]
                missing = next(filter(None, map(why_not_converged, parts)), "")
                if not missing and any(map(int.__le__, processed, records)):
                    missing = "no order is processed"
                missing = missing or system.why_not_whole()
            except (RedisError, Unavailable, OSError) as error:
                missing = f"no server answers: {error}"
            return not missing

        try:
            system.until("it has converged", converged, CONVERGE_S)
        except TimedOut as error:
            raise Violation(f"{error}: {missing}", *system.notes) from error
        return round(1000 * (time.monotonic() - began)), last

    def _judge(self, system: HarmedSystem[Any]) -> None:
        """Freeze the publishers, let the system process what they sent, and check everything."""
        frozen: set[int] = set()
        end = time.monotonic() + END_S
        try:
            while True:
                # A publisher that is being restarted may begin meanwhile.
                frozen.update(system.pids(system.publishers))
                system.freeze(frozen)
                try:
                    before = self._drained(system)
                    result = audit(system.scripts, quiescent=True)
                    findings = [compare(*book) for book in system.books]
                except (RedisError, Unavailable):
                    # Half was read before the failover: nothing of it is judged.
                    if not system.fails_over or time.monotonic() > end:
                        raise
                    system.wait(SETTLE_S)
                    continue
                # Orders that were on their way may have arrived meanwhile: then look again.
                if before == _newest(take_snapshot(system.scripts)) or time.monotonic() > end:
                    break
        finally:
            system.thaw(frozen)
        self.record.systems[-1].counts = sum((one.counts for one in findings), Counts())
        broken = [check for check in result.checks if not check.ok]
        texts = [f"{check.name}: {text}" for check in broken for text in check.violations]
        texts += [text for one in findings for text in one.first_violations()]
        texts += system.violations()
        if texts:
            raise Violation(*texts)

    def _drained(self, system: HarmedSystem[Any]) -> str:
        """Wait until nothing is left to process; the id of the newest order then."""
        found = take_snapshot(system.scripts)

        def drained() -> bool:
            nonlocal found
            found = take_snapshot(system.scripts)
            return not any(found.lag_ms.values())

        try:
            system.until("everything sent is processed", drained, END_S)
        except TimedOut as error:
            raise Violation(f"{error}: lag {found.lag_ms} ms", *system.notes) from error
        return _newest(found)

    def _finish_system(self, system: HarmedSystem[Any]) -> None:
        """Stop the publishers in order: each must have an answer to everything it sent."""
        self.record.current = "stopping a system"
        self._converge(system)
        names = system.publishers
        processes = {name: system.supervisor.children[name].process for name in names}
        system.supervisor.stop("publisher")
        for name, process in processes.items():
            # A publisher that was just starting is ended by the signal and has sent nothing.
            if process is not None and process.returncode in (0, STOPPED_STATUS):
                summary = system.supervisor.output(name).splitlines()[-1]
                if " unanswered 0;" not in summary:
                    raise Violation(f"orders without an answer: {summary}")
            elif process is not None and process.returncode != -signal.SIGTERM:
                raise Violation(f"{name} ended with {exit_reason(process.returncode)}")
        self._judge(system)

    def _count(self, system: HarmedSystem[Any]) -> None:
        now = self.record.systems[-1]
        now.restarts = system.restarts
        now.server_starts = system.server_starts
        now.killed_starting = system.killed_starting
        now.readings, now.exact = system.readings
        self.record.elapsed_s = time.monotonic() - self._began

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
        if self._live is not None and time.monotonic() >= self._next_frame:
            self._next_frame = time.monotonic() + FRAME_S
            self.record.elapsed_s = time.monotonic() - self._began
            self._live.update(live(self.record), refresh=True)

    def _print(self, text: str) -> None:
        if self._live is None:
            self._say(text)

    def _say(self, text: str) -> None:
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def _print_summary(self) -> int:
        """Print the table, the totals and the violations; the exit status."""
        console, record = self.console, self.record
        console.print(table(record))
        console.print(totals(record), highlight=False, soft_wrap=True)
        for violation in self.violations:
            self._say(f"VIOLATION: {violation}")
        if self.violations:
            self._say(
                f"data and logs kept in {shown_path(self.kept)}; again with --seed {record.seed}"
            )
            return 1
        by = self._stop.signal
        rounds = sum(one.converged_ms is not None for one in record.rounds)
        stopped = "" if by is None else f" (stopped early by {by.name}, after {rounds} rounds)"
        console.print(f"no violation{stopped}; seed {record.seed}", highlight=False)
        return 128 + by if by is not None and not rounds else 0


def _newest(found: Snapshot) -> str:
    return found.streams["orders"].last_id
