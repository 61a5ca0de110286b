"""What the commands share that change a running system: who does it, and why."""

from __future__ import annotations

import getpass
import re
from collections.abc import Sequence

import click

from mm.errors import Unavailable, UsageError, shown
from mm.market import check_id
from mm.store import MAX_WHY, NO_REASON, Operator, Scripts, read_identity, require_config


def _user() -> str:
    """The user of this process, as far as an id can have the name."""
    try:
        found = getpass.getuser()
    except (OSError, KeyError):
        found = ""
    return re.sub(r"[^A-Za-z0-9._-]", "_", found)[:64] or "unknown"


who_option = click.option(
    "--who", default=_user, help="Who does it.  [default: the user of this process]"
)
why_option = click.option(
    "--why", default=NO_REASON, show_default=True, help="The reason, for those who ask later."
)
needed_why_option = click.option(
    "--why", required=True, help="The reason, for those who ask later."
)


def operator_of(who: str, why: str) -> Operator:
    """Who does it; UsageError for a name or a reason that cannot be kept."""
    if not why.strip() or len(why) > MAX_WHY or not why.isprintable():
        raise UsageError(f"--why {shown(why)}: it must be 1 to {MAX_WHY} printable characters")
    return Operator(check_id("--who", who))


def fail_when_missed(missed: Sequence[str]) -> None:
    """Unavailable when an operator's command did not get through everywhere."""
    if missed:
        raise Unavailable(
            f"not done everywhere: {'; '.join(missed)}. Give the command again: what is done stays"
            " as it is"
        )


def system_id_of(scripts: Scripts, symbols: Sequence[str] = ()) -> str:
    """The id of the system; SystemRefused when there is none, ValueRefused for other symbols."""
    config = require_config(scripts)
    for name in symbols:
        config.symbol(name)
    identity = read_identity(scripts)
    return identity.system_id if identity else ""
