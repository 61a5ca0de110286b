"""``mm config show``, ``diff`` and ``apply``: the configuration of a running system (R23)."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from rich.text import Text

from mm.cli.operating import (
    fail_when_missed,
    operator_of,
    system_id_of,
    who_option,
    why_option,
)
from mm.cli.options import json_option, system_options
from mm.cli.showing import show, to_read
from mm.host import System
from mm.market import (
    Config,
    SymbolChange,
    check_changeable,
    config_changes,
    config_toml,
    load_config,
)
from mm.store import OPERATOR, Scripts, apply_config, require_config


@click.command("show")
@json_option
@system_options
def show_command(as_json: bool, system: System) -> None:
    """Print the configuration of a running system, as a file that `mm config apply` takes.

    Retired symbols are left out.
    """
    scripts = to_read(system)
    config = require_config(scripts)
    if as_json:
        facts = {"config_version": config.version, "toml": config_toml(config)}
        show(True, facts, "", scripts)
    else:
        click.echo(f"# configuration version {config.version}\n{config_toml(config)}", nl=False)


@click.command("diff")
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False))
@json_option
@system_options
def diff_command(path: Path, as_json: bool, system: System) -> None:
    """Show what `mm config apply PATH` would change.

    Exit status 1 when something differs. A field that the file leaves out has its default. A symbol
    that the file leaves out would be retired.
    """
    given = load_config(path)
    scripts = to_read(system)
    stored, changes = _compared(scripts, given)
    lines = [change_text(change) for change in changes]
    if not lines:
        lines = [f"nothing differs from configuration version {stored.version}"]
    facts = {"config_version": stored.version, "changes": _facts(changes)}
    show(as_json, facts, Text("\n".join(lines)), scripts)
    if changes:
        sys.exit(1)


@click.command("apply")
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False))
@why_option
@who_option
@json_option
@system_options
def apply_command(path: Path, why: str, who: str, as_json: bool, system: System) -> None:
    """Make the configuration of a running system that of the file PATH, in one step.

    Quotes of changed symbols are withdrawn and placed anew. A higher limit holds at once. A lower
    one grants nothing until enough quotes have ended. A symbol that the file leaves out is retired:
    it is reduced until flat and then closed. `mm config diff PATH` shows all that beforehand.
    """
    given = load_config(path)
    by = operator_of(who, why)
    scripts = system.scripts(user=OPERATOR)
    system_id = system_id_of(scripts)
    stored, changes = _compared(scripts, given)
    check_changeable(changes)
    version, quote_ids, missed = stored.version, list[str](), tuple[str, ...]()
    lines = [change_text(change) for change in changes]
    if changes:
        done = apply_config(scripts, system_id, by, why, given)
        version, quote_ids, missed = done.version, done.quote_ids, done.missed
        lines.append(f"configuration version {stored.version} -> {version}")
        if quote_ids:
            lines.append(f"withdrawn, placed anew by the makers: {' '.join(quote_ids)}")
    else:
        lines.append(f"nothing differs from configuration version {version}")
    facts = {
        "config_version": version,
        "changes": _facts(changes),
        "quotes_withdrawn": quote_ids,
        "missed": list(missed),
    }
    show(as_json, facts, Text("\n".join(lines)), scripts)
    fail_when_missed(missed)


def _compared(scripts: Scripts, given: Config) -> tuple[Config, list[SymbolChange]]:
    """The stored configuration, and what differs from it."""
    stored = require_config(scripts)
    return stored, config_changes(stored, given)


def change_text(change: SymbolChange) -> str:
    """What changes of one symbol, or of what holds for all, in a line."""
    if change.kind == "add":
        values = " ".join(f"{name}={after}" for name, (_, after) in change.fields.items())
        return f"{change.symbol}: new, {values}"
    words = [f"{name} {before} -> {after}" for name, (before, after) in change.fields.items()]
    if change.kind == "retire":
        words = ["retired: reduced until flat, then closed", *words]
    elif change.kind == "return":
        words = ["traded again", *words]
    return f"{change.symbol or 'all symbols'}: {', '.join(words)}"


def _facts(changes: list[SymbolChange]) -> list[dict[str, object]]:
    return [
        {
            "change": change.kind,
            "symbol": change.symbol or None,
            "fields": {
                name: {"before": before or None, "after": after}
                for name, (before, after) in change.fields.items()
            },
        }
        for change in changes
    ]
