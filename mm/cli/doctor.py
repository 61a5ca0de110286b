"""``mm doctor``."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

import click
from rich.text import Text

from mm.cli.options import json_option, server_option, system_options
from mm.doctor import examine
from mm.host import System
from mm.terminal import make_console

STYLES = {"ok": "", "look": "yellow", "wrong": "bold red"}


@click.command("doctor")
@server_option
@json_option
@system_options
def doctor_command(server: str | None, as_json: bool, system: System) -> None:
    """Check machine, server, directory, disk, clock and versions, and say what to do.

    Each line is ok, look (it may trouble you) or wrong. Exit status 1 when something is wrong. It
    changes nothing. How long the disk takes is shown as found.
    """
    found = examine(system, server)
    if as_json:
        click.echo(json.dumps([asdict(one) for one in found], indent=2))
    else:
        console = make_console()
        for one in found:
            line = f"{one.verdict:5}  {one.about}: {one.found}"
            console.print(Text(line + (f". {one.todo}" if one.todo else ""), STYLES[one.verdict]))
    if any(one.verdict == "wrong" for one in found):
        sys.exit(1)
