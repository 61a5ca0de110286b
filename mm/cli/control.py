"""``mm halt``, ``mm reduce``, ``mm flatten`` and ``mm resume``: the trading modes (R22)."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import click
from rich.text import Text

from mm.cli.options import Command, Decorator, json_option, system_options
from mm.cli.showing import show
from mm.errors import UsageError, shown
from mm.host import System
from mm.market import check_id, check_symbol
from mm.repair import check_repaired, examine, repair
from mm.store import Controlled, ModeChange, Operator, Scripts, read_identity, require_config

#: The most characters of a reason.
MAX_WHY = 200
WHY_HELP = "The reason, for those who ask later."
#: Mode -> what it means.
_MEANING = {
    "active": "quoted and traded",
    "reducing": "quoted only to shrink the position",
    "flattening": "quoted only to shrink the position, and halted when it is flat",
    "halted": "neither quoted nor traded",
}


def _options(default_why: str | None, of_all: bool = True) -> Decorator[Any]:
    """The arguments of a command that sets a mode; without a default a reason must be given."""

    def decorate(command: Command) -> Command:
        command = system_options(json_option(command))
        command = click.option(
            "--who", default=_user, help="Who does it.  [default: the user of this process]"
        )(command)
        needed = {"required": True} if default_why is None else {"default": default_why}
        command = click.option("--why", show_default=True, help=WHY_HELP, **needed)(command)
        if of_all:
            command = click.option(
                "--all", "of_all", is_flag=True, help="All symbols, in place of named ones."
            )(command)
        return click.argument("symbols", nargs=-1, required=not of_all, metavar="SYMBOL...")(
            command
        )

    return decorate


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"


@click.command("halt")
@_options(None)
def halt_command(system: System, as_json: bool, **given: Any) -> None:
    """Halt symbols: their quotes are withdrawn at once, and no order trades.

    The exposure of the quotes is free in the same step. A halted symbol keeps its position until
    `mm resume`.
    """
    _set_mode(system, "halted", as_json, **given)


@click.command("reduce")
@_options("no reason given")
def reduce_command(system: System, as_json: bool, **given: Any) -> None:
    """Let symbols only shrink their positions.

    Their quotes are withdrawn, and makers place new ones on the side that shrinks the position, for
    no more lots than it has.
    """
    _set_mode(system, "reducing", as_json, **given)


@click.command("flatten")
@_options("no reason given", of_all=False)
def flatten_command(system: System, as_json: bool, **given: Any) -> None:
    """Reduce symbols until they are flat, then halt them.

    The step that commits the last fill halts the symbol. A flat symbol is halted at once.
    """
    _set_mode(system, "flattening", as_json, of_all=False, **given)


@click.command("resume")
@_options("no reason given")
@click.option(
    "--after-repair",
    is_flag=True,
    help="End halts after an integrity error too; refused while the audit finds the symbol wrong.",
)
def resume_command(system: System, as_json: bool, after_repair: bool, **given: Any) -> None:
    """Let symbols trade again.

    With --all the mode of all symbols is ended; a symbol with a mode of its own keeps that. A halt
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
    by = _operator(who, why)
    scripts = system.scripts()
    system_id = _system_id(scripts)
    if after_repair:
        config = require_config(scripts)
        for name in names:
            config.symbol(name)
        check_repaired(scripts, names)
    done = scripts.control(system_id, mode, by, why, names, after_repair)
    facts = {
        "changes": [asdict(change) for change in done.changes],
        "quotes_withdrawn": done.quote_ids,
    }
    lines = [_line(change) for change in done.changes]
    if done.quote_ids:
        lines.append(f"withdrawn, exposure released: {' '.join(done.quote_ids)}")
    show(as_json, facts, Text("\n".join(lines)), scripts)
    return done


def _operator(who: str, why: str) -> Operator:
    """Who does it; UsageError for a name or a reason that cannot be kept."""
    if not why.strip() or len(why) > MAX_WHY or not why.isprintable():
        raise UsageError(f"--why {shown(why)}: it must be 1 to {MAX_WHY} printable characters")
    return Operator(check_id("--who", who))


@click.command("repair")
@click.argument("symbol")
@click.option("--apply", "applies", is_flag=True, help="Put right what differs.")
@click.option(
    "--why",
    default="no reason given",
    show_default=True,
    help="The reason, for those who ask later.",
)
@click.option("--who", default=_user, help="Who does it.  [default: the user of this process]")
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
    by = _operator(who, why)
    scripts = system.scripts()
    require_config(scripts).symbol(symbol)
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
    lines = [f"{symbol}: the ledger has {finding.fills} fills, numbered without a gap"]
    for name, (found, wanted) in differing.items():
        lines.append(f"{name}: {found or 'missing'} -> {wanted}")
    if done:
        lines.append(f"repaired; `mm resume {symbol} --after-repair` lets it trade")
    else:
        lines.append("--apply puts it right" if differing else "nothing differs from the ledger")
    show(as_json, facts, Text("\n".join(lines)), scripts)
    if differing and not done:
        sys.exit(1)


def _system_id(scripts: Scripts) -> str:
    """The id of the system; SystemRefused when the keys hold none."""
    require_config(scripts)
    identity = read_identity(scripts)
    return identity.system_id if identity else ""


def _line(change: ModeChange) -> str:
    name = "all symbols" if change.symbol == "*" else change.symbol
    what = f"{name}: {change.after} already, nothing changed"
    if change.before != change.after:
        what = f"{name}: {change.before} -> {change.after}, {_MEANING[change.after]}"
    if change.holds != change.after:
        holds = f"{change.holds}, {_MEANING[change.holds]}"
        what = f"{name}: {change.before} -> {change.after}; the mode of all symbols holds: {holds}"
    if change.symbol == "*" and change.after != "halted":
        what += ", unless a symbol has a stricter mode of its own"
    if change.halted:
        what += "; but an integrity error has halted it, which only --after-repair ends: "
        what += change.halted
    return what
