"""What the searches through histories that a failover may cut have in common."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import click

from mm.store import Scripts


class World(Protocol):
    """What may happen in a search."""

    @property
    def name(self) -> str:
        """The name of it."""


class Model(Protocol):
    """The moves of a world, from its first state on."""

    first: Any

    def moves(self, at: Any) -> Iterator[tuple[str, Any]]:
        """Everything that can happen next; Found when something must not have."""

    def check(self, at: Any) -> None:
        """Found when an invariant does not hold."""


class Found(AssertionError):
    """A state in which an invariant does not hold."""


@dataclass
class Outcome:
    """What a search found."""

    name: str
    states: int = 0
    transitions: int = 0
    violation: str = ""
    trace: list[str] = field(default_factory=list)
    seconds: float = 0.0


class EditedScripts(Scripts):
    """The scripts with other text in some places."""

    edits: tuple[tuple[str, str], ...] = ()

    def source(self, name: str) -> str:
        """The script's text; an edit that fits no script is an error of the caller."""
        text = super().source(name)
        for old, new in self.edits:
            text = text.replace(old, new)
        return text


def counted(fields: dict[str, str]) -> list[str]:
    """How many fields there are, and their names and values."""
    return [str(len(fields)), *(word for item in fields.items() for word in item)]


def search(name: str, model: Model) -> Outcome:
    """Go through all states, breadth first; stop at the first violation."""
    began = time.monotonic()
    outcome = Outcome(name)
    before: dict[Any, tuple[Any, str] | None] = {model.first: None}
    frontier = [model.first]
    while frontier and not outcome.violation:
        nearer, frontier = frontier, []
        for at in nearer:
            judged = at
            try:
                for move, after in model.moves(at):
                    outcome.transitions += 1
                    if after in before:
                        continue
                    before[after] = (at, move)
                    frontier.append(after)
                    judged = after
                    model.check(after)
                    judged = at
            except Found as found:
                outcome.violation, outcome.trace = str(found), _trace(before, judged)
                break
    outcome.states = len(before)
    outcome.seconds = time.monotonic() - began
    return outcome


def _trace(before: dict[Any, tuple[Any, str] | None], at: Any) -> list[str]:
    found = []
    while step := before[at]:
        at, move = step
        found.append(move)
    return found[::-1]


def run(
    about: str | None, chosen: dict[str, Sequence[World]], explore: Callable[[Any], Outcome]
) -> int:
    """Explore the worlds that the command line chooses; exit status 1 on a violation.

    ``chosen`` has the worlds of each option; those of the empty one are explored without any.
    """
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--json", action="store_true", help="Print the figures as JSON.")
    for option in filter(None, chosen):
        parser.add_argument(f"--{option}", action="store_true", help="Explore other worlds.")
    given = vars(parser.parse_args())
    option = next((one for one in chosen if one and given[one]), "")
    outcomes = [explore(world) for world in chosen[option]]
    for one in outcomes:
        facts = {
            "world": one.name,
            "states": one.states,
            "transitions": one.transitions,
            "violation": one.violation,
            "trace": one.trace,
        }
        if given["json"]:
            click.echo(json.dumps(facts))
        else:
            found = f": {one.violation} after {', '.join(one.trace)}" if one.violation else ""
            click.echo(
                f"{one.name}: {one.states:,} states, {one.transitions:,} transitions,"
                f" {one.seconds:.1f} s{found}"
            )
    return int(any(one.violation for one in outcomes))
