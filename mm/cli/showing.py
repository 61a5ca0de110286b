"""What the reading commands print: facts as JSON, or a table for people."""

from __future__ import annotations

import json

import click
from rich.console import RenderableType
from rich.text import Text

from mm.facts import Stoppage, found_durability, stoppages_now
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
    stopped = stoppages_now(scripts)
    durability = found_durability(*durability_settings(scripts))
    console = make_console()
    if as_json:
        if isinstance(facts, dict):
            facts = facts | durability.facts() | {"trouble": [one.words for one in stopped]}
        console.out(json.dumps(facts, indent=2), highlight=False)
        console = make_console(stderr=True)
    for one in stopped:
        line = f"- {one.words}" if one.expected else f"TROUBLE: {one.words}"
        console.print(Text(line, "" if one.expected else "bold red"), soft_wrap=as_json)
    if durability.warning:
        print_line(console, durability.warning, "bold red")
    if not as_json:
        console.print(shown)
    return stopped
