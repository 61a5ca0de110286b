"""What the reading commands print: facts as JSON, or a table for people."""

from __future__ import annotations

import json

import click
from rich.console import Console, RenderableType
from rich.text import Text

from mm.facts import Stoppage, SystemState
from mm.host import System, reading
from mm.store import Scripts
from mm.terminal import make_console, print_line

#: What a command's context keeps when it reads a private copy: see :func:`mm.host.reading`.
_STOPPED = "mm.cli.showing.stopped"


def to_read(system: System) -> Scripts:
    """The scripts for a command that only reads: of a stopped system, too.

    What is started for it ends with the command.
    """
    context = click.get_current_context()
    return context.with_resource(reading(system, lambda: context.meta.update({_STOPPED: True})))


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
    found = _state(scripts)
    if isinstance(facts, dict):
        facts = facts | found.facts()
    make_console().out(json.dumps(facts, indent=2), highlight=False)
    _print_state(found, make_console(stderr=True), as_lines=True)
    return found.stopped


def say_state(scripts: Scripts, console: Console) -> list[Stoppage]:
    """Print what stops trading, and a weak durability; what stops trading now."""
    found = _state(scripts)
    _print_state(found, console, as_lines=console.stderr)
    return found.stopped


def _state(scripts: Scripts) -> SystemState:
    """What every reading command says of the system beside what it was asked for."""
    at_rest = click.get_current_context().meta.get(_STOPPED, False)
    return SystemState.now(scripts, at_rest)


def _print_state(found: SystemState, console: Console, as_lines: bool) -> None:
    """Print what stops trading, and a weak durability; ``as_lines`` breaks none."""
    for one in found.stopped:
        line = f"- {one.words}" if one.expected else f"TROUBLE: {one.words}"
        console.print(Text(line, "" if one.expected else "bold red"), soft_wrap=as_lines)
    if found.durability.warning:
        print_line(console, found.durability.warning, "bold red")
