"""Breadth first through all states of a world, so that a violation's trace is a shortest one."""

from __future__ import annotations

import gc
import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

from tests.hunts.explorer.canon import digest
from tests.hunts.explorer.drain import Drain
from tests.hunts.explorer.moves import Moves
from tests.hunts.explorer.parts import Host, Position, Spec, Violation
from tests.hunts.explorer.system import System, TableHost

#: One state in so many is also followed through time until everybody has been served.
FEED_EVERY = 29


@dataclass
class Result:
    """What a search found. ``complete``: there is no state beyond those seen."""

    spec: Spec
    states: int = 0
    transitions: int = 0
    depth: int = 0
    complete: bool = False
    seconds: float = 0.0
    scripts: dict[str, str] = field(default_factory=dict)
    violation: str = ""
    trace: list[str] = field(default_factory=list)
    samples: list[list[str]] = field(default_factory=list)

    def line(self) -> str:
        """The figures in one line."""
        what = "complete" if self.complete else "cut"
        return (
            f"{self.spec.name}: {self.states:,} states, {self.transitions:,} transitions,"
            f" depth {self.depth} ({what}), {self.seconds:.1f} s"
        )


class Search:
    """A breadth-first search of one world.

    States are kept by their digests alone, with the way by which each was first reached.
    """

    def __init__(self, spec: Spec, host: Host | None = None) -> None:
        self.system = System(spec, host or TableHost())
        self.moves = Moves(self.system)
        self.drain = Drain(self.moves)
        self.result = Result(spec)
        self._number: dict[bytes, int] = {}
        self._parent = array("q")
        self._move = array("q")
        self._names: dict[str, int] = {}
        self._before: list[str] = []
        self._known_names: list[str] = []

    def run(self, max_states: int, progress: Callable[[Result], None] | None = None) -> Result:
        """Explore up to ``max_states`` states; stops at the first violation."""
        started = time.perf_counter()
        root = self.system.root()
        try:
            if self.result.spec.warm:
                root = self._warmed(root)
        except Violation as violation:
            self._fail(violation, self.drain.trail)
            return self.result
        self.result.scripts = {
            name: str(sha)
            for sha, name in sorted(self.system.script_of.items(), key=lambda i: i[1])
        }
        self._meet(root, -1, "")
        frontier = [root]
        del root  # what is worked out about a state lives as long as the state
        # Nothing here makes cycles, and the collector would walk a growing heap again and again.
        gc.disable()
        try:
            while frontier and self.result.states < max_states and not self.result.violation:
                frontier = self._level(frontier, max_states)
                self.result.depth += bool(frontier)
                self.result.seconds = time.perf_counter() - started
                if progress:
                    progress(self.result)
        finally:
            gc.enable()
        self.result.complete = not frontier and not self.result.violation
        return self.result

    def _warmed(self, root: Position) -> Position:
        rest = self.drain.settle(root)
        assert rest
        self._before = self.drain.trail
        self.drain.settled.clear()
        return rest

    def _level(self, frontier: list[Position], max_states: int) -> list[Position]:
        found: list[Position] = []
        frontier.reverse()
        while frontier:
            at = frontier.pop()
            number = self._number[digest(self.system, at)]
            try:
                self.drain.check(at, feed=number % FEED_EVERY == 0)
            except Violation as violation:
                self._fail(violation, [*self.trace(number), *self.drain.trail])
                return []
            for name in self.moves.enabled(at):
                try:
                    after = self.moves.make(at, name)
                except Violation as violation:
                    self._fail(violation, [*self.trace(number), name])
                    return []
                self.result.transitions += 1
                if self._meet(after, number, name):
                    found.append(after)
            if self.result.states >= max_states:
                break
        return found

    def _meet(self, at: Position, parent: int, name: str) -> bool:
        key = digest(self.system, at)
        if key in self._number:
            return False
        self._number[key] = self.result.states
        self.result.states += 1
        if name not in self._names:
            self._names[name] = len(self._known_names)
            self._known_names.append(name)
        self._parent.append(parent)
        self._move.append(self._names[name])
        return True

    def _fail(self, violation: Violation, trace: Sequence[str]) -> None:
        self.result.violation = str(violation)
        self.result.trace = list(trace)

    def trace(self, number: int) -> list[str]:
        """The moves by which a state was first reached."""
        found: list[str] = []
        while number > 0:
            found.append(self._known_names[self._move[number]])
            number = self._parent[number]
        return [*self._before, *found[::-1]]


def explore(spec: Spec, max_states: int, samples: int = 0, seed: int = 0) -> Result:
    """Explore a world on the table; ``samples`` of the traces go into the result."""
    search = Search(spec)
    result = search.run(max_states)
    random = Random(seed)
    # Of the later half, since short traces say little.
    numbers = range(result.states // 2, result.states)
    chosen = random.sample(numbers, min(samples, len(numbers)))
    result.samples = [search.trace(number) for number in chosen]
    return result
