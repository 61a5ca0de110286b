"""The command that writes a run or a range as one HTML file."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from mm import __version__
from mm.cli.options import json_option, system_options
from mm.cli.past_options import AskedRange, force_option, range_options
from mm.cli.showing import say_state, to_read
from mm.cli.writing import new_file
from mm.errors import UsageError, shown_path
from mm.host import System
from mm.records import sources_of
from mm.report import Past, check_plots, page, read_past, report_facts
from mm.store import Scripts, read_identity, take_snapshot
from mm.terminal import make_console, progress

#: The file that is written where none is named.
DEFAULT_FILE = Path("report.html")


@click.command("report")
@range_options
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to write. It appears when it is complete.  [default: report.html, with --json none]",
)
@force_option
@json_option
@system_options
def report_command(
    wanted: AskedRange, output: Path | None, force: bool, as_json: bool, system: System
) -> None:
    """Write a run or a range as one HTML file, with plots to look at.

    The file has everything in it and needs no network. It shows profit, prices with fills,
    inventory, exposure, quote uptime, latencies and incidents. Whatever the range is, it adds the
    ledger up from its beginning and compares it with the positions: exit status 1 when they do not
    agree. The plots need the extra `report`. With --json it prints the figures, and without
    --output it then writes no file.
    """
    target = output if output is not None or as_json else DEFAULT_FILE
    if force and target is None:
        raise UsageError("--force: it belongs to --output")
    if target is not None:
        check_plots()
    scripts = to_read(system)
    say_state(scripts, make_console(stderr=True))
    if target is None:
        past = _read(scripts, wanted)
    else:
        with new_file(target, force) as file:
            past = _read(scripts, wanted)
            identity = read_identity(scripts)
            with progress("drawing the page"):
                file.write(page(past, __version__, identity.system_id if identity else ""))
    if as_json:
        make_console().out(json.dumps(report_facts(past), indent=2), highlight=False)
    elif target is not None:
        size = target.stat().st_size / 1_000_000
        click.echo(f"wrote {shown_path(target)}: {size:.1f} MB; open it in a browser")
    if not past.reconciliation.agrees:
        for line in past.reconciliation.all_differences[:10]:
            click.echo(f"mm: {line}", err=True)
        click.echo("mm: ledger, positions and cash do not agree; see `mm audit`", err=True)
        sys.exit(1)


def _read(scripts: Scripts, wanted: AskedRange) -> Past:
    snapshot = take_snapshot(scripts)
    with progress("reading the ledger and all that belongs to it"):
        return read_past(sources_of(scripts, snapshot), snapshot, wanted.range_in(snapshot))
