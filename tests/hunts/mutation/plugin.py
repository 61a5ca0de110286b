"""Pytest plugin: runs the collected tests over each mutant, in a forked child of this session.

The session is warm: everything is imported and collected, so a child costs no more than the tests
that it runs until the first one fails. It works on a copy of the repository, in which the mutated
text also stands on disk. The job comes in as JSON, one JSON line an event goes out (``run.py``).
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import sys
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import pytest

from tests.hunts.mutation.apply import apply_to_modules
from tests.hunts.mutation.catalogue import known, mutants, survivors
from tests.hunts.mutation.edit import Mutant
from tests.hunts.mutation.reach import Lines, Reach
from tests.hunts.mutation.suites import LEVELS, level_of, rank

#: What a test may use at most: processor seconds (several times what it is known to use), seconds
#: without any progress on a busy machine, and memory beyond what the session has.
CPU_S, SILENCE_S, MEMORY = 20, 240, 2 << 30
#: Processor seconds from which a test is tried only over what all others have left.
SLOW_S = 0.15
MEMORY_LIMITED = sys.platform == "linux"


@dataclass
class Child:
    """What became of one child: the test that failed, or how it ended; None when all passed."""

    killer: str | None = None
    failed: list[str] = field(default_factory=list)
    cpu_s: dict[str, float] = field(default_factory=dict)
    reached: dict[str, Lines] = field(default_factory=dict)


class Mutation:
    """The session's mutation run."""

    def __init__(self, job: dict[str, Any], events: IO[str]) -> None:
        self.job = job
        self.root = Path(job["root"])
        self.levels: list[str] = job["levels"]
        self.cpu_s: dict[str, float] = {}
        self.reached: dict[str, Lines] = {}
        self.red: set[str] = set()
        self.green: set[str] = set()
        self.kills: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        self._events = events
        self._failures: list[str] = []

    def report(self, event: str, **values: Any) -> None:
        """Write one event."""
        self._events.write(json.dumps({"event": event, **values}) + "\n")
        self._events.flush()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """In the place of one run of the tests: a run over each mutant."""
        items = {level: [i for i in session.items if level_of(i) == level] for level in LEVELS}
        wanted = set(self.job["mutants"])
        left = [one for one in mutants(self.root) if one.number in wanted]
        listed = survivors()
        for level in self.levels:
            if left and items[level]:
                if self.job["baseline"]:
                    self._baseline(level, items[level])
                slow = [i for i in items[level] if self.cpu_s.get(i.nodeid, 0) > SLOW_S]
                quick = [i for i in items[level] if i not in slow]
                for tests in filter(None, (quick, slow)):  # what is slow is tried over few
                    alive = self._over(level, tests, left)
                    # Of those that are listed as survivors one look is enough.
                    left = [one for one in alive if not known(one, listed)]
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """In a child: take note of a failure."""
        if report.failed:
            self._failures.append(report.nodeid)

    def _concerned(self, items: list[pytest.Item], mutant: Mutant) -> list[pytest.Item]:
        """The tests that run the mutated line, as far as that is known."""
        stem = Path(mutant.file).stem
        if mutant.file.endswith(".py"):
            return items
        run = {line for lines in self.reached.values() for line in lines.get(stem, [])}
        near = {mutant.line} & run
        if not near:  # a line without code of its own
            before = max((line for line in run if line < mutant.line), default=0)
            near = {before, min((line for line in run if line > mutant.line), default=0)}

        def concerned(item: pytest.Item) -> bool:
            lines = self.reached.get(item.nodeid)
            return not lines or not run or bool(near & set(lines.get(stem, [])))

        return [item for item in items if concerned(item)]

    def _baseline(self, level: str, items: list[pytest.Item]) -> None:
        began = time.monotonic()
        child = self._fork(items, None, stop=False)
        if child.killer:
            self.report("broken", level=level, why=child.killer)
        self.red.update(child.failed)
        self.cpu_s |= child.cpu_s
        self.reached |= child.reached
        self.green.update(set(child.cpu_s) - self.red)
        seconds = time.monotonic() - began
        self.report("baseline", level=level, tests=len(items), red=child.failed, seconds=seconds)

    def _over(self, level: str, items: list[pytest.Item], left: list[Mutant]) -> list[Mutant]:
        alive = []
        for mutant in left:
            began = time.monotonic()
            killer = self._killer(level, items, mutant)
            seconds = time.monotonic() - began
            self.report("mutant", number=mutant.number, level=level, killer=killer, seconds=seconds)
            if killer is None:
                alive.append(mutant)
        return alive

    def _killer(self, level: str, items: list[pytest.Item], mutant: Mutant) -> str | None:
        """The test that fails with the mutant and passes without it, or None."""
        path = self.root / mutant.file
        original = path.read_text(encoding="utf-8")
        while True:
            path.write_text(mutant.apply(original), encoding="utf-8")
            try:
                order = self._order(self._concerned(items, mutant), mutant)
                child = self._fork(order, mutant) if order else Child()
            finally:
                path.write_text(original, encoding="utf-8")
            if child.killer is None:
                return None
            name = child.killer.partition(" (")[0]
            if self._is_green(name, items):
                self.kills[mutant.file][name].append(mutant.line)
                return child.killer
            self.red.add(name)
            self.report("red", level=level, test=name)

    def _is_green(self, name: str, items: list[pytest.Item]) -> bool:
        if name not in self.green:
            alone = self._fork([item for item in items if item.nodeid == name], None)
            if alone.killer is None:
                self.green.add(name)
        return name in self.green

    def _order(self, items: list[pytest.Item], mutant: Mutant) -> list[pytest.Item]:
        """The tests, most telling first: what killed near by, then by suite, slow ones last."""
        killers = self.kills[mutant.file]

        def key(item: pytest.Item) -> tuple[float, ...]:
            lines = killers.get(item.nodeid, [])
            near = min((abs(line - mutant.line) for line in lines), default=1e9)
            cpu_s = self.cpu_s.get(item.nodeid, 0.1)
            return (near, -len(lines), cpu_s > 0.3, rank(mutant.file, item.path.name), cpu_s)

        return sorted((item for item in items if item.nodeid not in self.red), key=key)

    def _fork(self, items: list[pytest.Item], mutant: Mutant | None, stop: bool = True) -> Child:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            status = 1
            try:
                self._in_child(items, mutant, stop, writing)
                status = 0
            finally:
                os._exit(status)
        os.close(writing)
        return self._watch(child, reading)

    def _watch(self, pid: int, reading: int) -> Child:
        result, current = Child(), ""
        buffer = b""
        with os.fdopen(reading, "rb", buffering=0) as pipe:
            while True:
                ready, _, _ = select.select([pipe], [], [], SILENCE_S)
                chunk = pipe.read(65536) if ready else None
                if not ready:
                    os.kill(pid, signal.SIGKILL)
                if not chunk:
                    break
                *lines, buffer = (buffer + chunk).split(b"\n")
                for line in lines:
                    said = json.loads(line)
                    current = said["test"]
                    if said["what"] == "failed":
                        result.failed.append(current)
                    elif said["what"] == "done":
                        result.cpu_s[current] = said["cpu_s"]
                        result.reached[current] = said["lines"]
        _, status = os.waitpid(pid, 0)
        if os.WIFSIGNALED(status):
            number = os.WTERMSIG(status)
            slow = number in (signal.SIGPROF, signal.SIGKILL)
            result.killer = f"{current} ({'timeout' if slow else signal.Signals(number).name})"
        elif result.failed:
            result.killer = result.failed[0]
        elif status:
            result.killer = f"{current} (the run broke)"
        return result

    def _in_child(
        self, items: list[pytest.Item], mutant: Mutant | None, stop: bool, writing: int
    ) -> None:
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 1)
        os.dup2(silent, 2)
        if MEMORY_LIMITED:
            pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
            limit = pages * resource.getpagesize() + MEMORY
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

        reach = Reach() if mutant is None and not stop else None

        def say(what: str, item: pytest.Item, cpu_s: float = 0.0) -> None:
            lines = reach.lines() if reach and what == "done" else {}
            said = {"what": what, "test": item.nodeid, "cpu_s": cpu_s, "lines": lines}
            os.write(writing, json.dumps(said).encode() + b"\n")

        if mutant is not None:
            say("begin", items[0])
            apply_to_modules(self.root, mutant.file)
        for item, following in zip(items, [*items[1:], None], strict=True):
            began = time.process_time()
            say("begin", item)
            signal.setitimer(signal.ITIMER_PROF, max(5, 10 * self.cpu_s.get(item.nodeid, CPU_S)))
            self._failures.clear()
            if reach:
                reach.clear()
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if self._failures:
                say("failed", item)
                if stop:
                    break
            say("done", item, time.process_time() - began)
        signal.setitimer(signal.ITIMER_PROF, 0)
        items[0].session._setupstate.teardown_exact(None)


def pytest_configure(config: pytest.Config) -> None:
    """Take the job, where there is one."""
    path = os.environ.get("MM_MUTATION_JOB")
    if path:
        job = json.loads(Path(path).read_text(encoding="utf-8"))
        config.pluginmanager.register(Mutation(job, os.fdopen(job["events"], "w")))
