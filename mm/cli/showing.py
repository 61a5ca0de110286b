"""What the reading commands print: facts as JSON, or a table for people."""

from __future__ import annotations

import json
from dataclasses import dataclass

import click
from rich.console import Console, RenderableType
from rich.text import Text

from mm.facts import FoundDurability, Stoppage, found_durability, stoppages_now
from mm.host import System, reading
from mm.store import Scripts, durability_settings
from mm.terminal import make_console, print_line


def to_read(system: System) -> Scripts:
    """The scripts for a command that only reads: of a stopped system, too.

    What is started for it ends with the command.
    """
    return click.get_current_context().with_resource(reading(system))


def show(as_json: bool, facts: object, shown: RenderableType, scripts: Scripts) -> list[Stoppage]:
    """Print ``facts`` as JSON, or ``shown`` for people; what stops trading now.

    What stops trading and a weak durability stand above what is shown, in JSON that is an object,
    and with all JSON on standard error.
    """
    if not as_json:
        console = make_console()
        stopped = say_state(scripts, console)
        console.print(shown)
        return stopped
    found = _State.of(scripts)
    if isinstance(facts, dict):
        facts = facts | found.durability.facts() | {"trouble": [one.words for one in found.stopped]}
    make_console().out(json.dumps(facts, indent=2), highlight=False)
    found.print(make_console(stderr=True), as_lines=True)
    return found.stopped


def say_state(scripts: Scripts, console: Console) -> list[Stoppage]:
    """Print what stops trading, and a weak durability; what stops trading now."""
    found = _State.of(scripts)
    found.print(console, as_lines=console.stderr)
    return found.stopped


@dataclass(frozen=True)
class _State:
    """What every reading command says of the system beside what it was asked for."""

    stopped: list[Stoppage]
    durability: FoundDurability

    @classmethod
    def of(cls, scripts: Scripts) -> _State:
        return cls(stoppages_now(scripts), found_durability(*durability_settings(scripts)))

    def print(self, console: Console, as_lines: bool) -> None:
        """Print it; ``as_lines`` breaks none."""
        for one in self.stopped:
            line = f"- {one.words}" if one.expected else f"TROUBLE: {one.words}"
            console.print(Text(line, "" if one.expected else "bold red"), soft_wrap=as_lines)
        if self.durability.warning:
            print_line(console, self.durability.warning, "bold red")
