"""``mm halt``, ``reduce``, ``flatten``, ``resume`` and ``repair``: an operator's commands (R22)."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import click
from rich.text import Text

from mm.cli.completing import complete_symbol
from mm.cli.operating import (
    fail_when_missed,
    needed_why_option,
    operator_of,
    system_id_of,
    who_option,
    why_option,
)
from mm.cli.options import Command, Decorator, json_option, system_options
from mm.cli.showing import show
from mm.errors import UsageError
from mm.facts import change_text, controlled_facts
from mm.host import System
from mm.market import check_symbol
from mm.repair import check_repaired, examine, repair
from mm.store import OPERATOR, Controlled, partition_of, set_modes

all_option = click.option(
    "--all", "of_all", is_flag=True, help="All symbols, in place of named ones."
)


def _sets_a_mode(why: Decorator[Any], of_all: bool = True) -> Decorator[Any]:
    """The arguments and options of a command that sets a mode of symbols or, if so, of all."""

    def decorate(command: Command) -> Command:
        for option in (system_options, json_option, who_option, why):
            command = option(command)
        if of_all:
            command = all_option(command)
        return click.argument(
            "symbols",
            nargs=-1,
            required=not of_all,
            metavar="SYMBOL...",
            shell_complete=complete_symbol,
        )(command)

    return decorate


@click.command("halt")
@_sets_a_mode(needed_why_option)
def halt_command(system: System, as_json: bool, **given: Any) -> None:
    """Halt symbols: their quotes are withdrawn at once, and no order trades.

    The exposure of the quotes is free in the same step. A halted symbol keeps its position until
    `mm resume`.
    """
    _set_mode(system, "halted", as_json, **given)


@click.command("reduce")
@_sets_a_mode(why_option)
def reduce_command(system: System, as_json: bool, **given: Any) -> None:
    """Let symbols only shrink their positions.

    Their quotes are withdrawn, and makers place new ones on the side that shrinks the position, for
    no more lots than it has.
    """
    _set_mode(system, "reducing", as_json, **given)


@click.command("flatten")
@_sets_a_mode(why_option, of_all=False)
def flatten_command(system: System, as_json: bool, **given: Any) -> None:
    """Reduce symbols until they are flat, then halt them.

    The step that commits the last fill halts the symbol. A flat symbol is halted at once.
    """
    _set_mode(system, "flattening", as_json, of_all=False, **given)


@click.command("resume")
@_sets_a_mode(why_option)
@click.option(
    "--after-repair",
    is_flag=True,
    help="End halts after an integrity error too; refused while the audit finds the symbol wrong.",
)
def resume_command(system: System, as_json: bool, after_repair: bool, **given: Any) -> None:
    """Let symbols trade again.

    A symbol that its protection has frozen is quoted again, too. With --all the mode of all symbols
    is ended; a symbol with a mode of its own keeps that, and a freeze goes on. A halt
    after an integrity error ends only with --after-repair: exit status 1 names such symbols.
    """
    if after_repair and given["of_all"]:
        raise UsageError("--after-repair: name the symbols, each is audited")
    done = _set_mode(system, "active", as_json, after_repair=after_repair, **given)
    if any(change.halted for change in done.changes):
        sys.exit(1)


def _set_mode(
    system: System,
    mode: str,
    as_json: bool,
    symbols: Sequence[str],
    of_all: bool,
    why: str,
    who: str,
    after_repair: bool = False,
) -> Controlled:
    if bool(symbols) == of_all:
        raise UsageError("name the symbols, or give --all")
    names = [check_symbol(name) for name in dict.fromkeys(symbols)]
    by = operator_of(who, why)
    scripts = system.scripts(user=OPERATOR)
    system_id = system_id_of(scripts, names)
    if after_repair:
        check_repaired(scripts, names)
    done = set_modes(scripts, system_id, mode, by, why, names, after_repair)
    lines = [change_text(change) for change in done.changes]
    if done.quote_ids:
        lines.append(f"withdrawn, exposure released: {' '.join(done.quote_ids)}")
    show(as_json, controlled_facts(done), Text("\n".join(lines)), scripts)
    fail_when_missed(done.missed)
    return done


@click.command("repair")
@click.argument("symbol", shell_complete=complete_symbol)
@click.option("--apply", "applies", is_flag=True, help="Put right what differs.")
@why_option
@who_option
@json_option
@system_options
def repair_command(
    symbol: str, applies: bool, why: str, who: str, as_json: bool, system: System
) -> None:
    """Rebuild the position of a halted symbol from its ledger.

    It shows each field that differs, before and after, and changes nothing without --apply: exit
    status 1 says then that something differs. A ledger with a gap cannot be repaired. Afterwards
    `mm resume SYMBOL --after-repair` lets the symbol trade.
    """
    check_symbol(symbol)
    by = operator_of(who, why)
    scripts = system.scripts(user=OPERATOR)
    system_id_of(scripts, [symbol])
    scripts = partition_of(scripts, symbol)
    finding = examine(scripts, symbol)
    differing = finding.differing
    done = applies and repair(scripts, finding, by, why)
    facts = {
        "symbol": symbol,
        "fills": finding.fills,
        "differing": {
            name: {"found": found or None, "ledger": wanted}
            for name, (found, wanted) in differing.items()
        },
        "repaired": done,
    }
    fills = "fill" if finding.fills == 1 else "fills, numbered without a gap"
    lines = [f"{symbol}: the ledger has {finding.fills} {fills}"]
    for name, (found, wanted) in differing.items():
        lines.append(f"{name}: {found or 'missing'} -> {wanted}")
    if done:
        lines.append(f"repaired; `mm resume {symbol} --after-repair` lets it trade")
    else:
        lines.append("--apply puts it right" if differing else "nothing differs from the ledger")
    show(as_json, facts, Text("\n".join(lines)), scripts)
    if differing and not done:
        sys.exit(1)
