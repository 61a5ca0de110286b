"""What the shell offers for a word that is not complete: the symbols of the running system."""

from __future__ import annotations

from pathlib import Path

import click

from mm.cli.main import is_redis_error
from mm.errors import MMError
from mm.store import DEFAULT_PREFIX, VIEWER, Keys, open_client, server_url, text

#: Seconds that a person waits for it at most.
PATIENCE_S = 0.5


def complete_symbol(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The symbols that begin so, whatever the case; none when no system answers.

    A shell shows nothing that a completion says, so its errors are not said.
    """
    place = ctx.params.get("redis_url") or ctx.params.get("data_dir") or "mm-data"
    prefix = ctx.params.get("prefix") or DEFAULT_PREFIX
    try:
        url = server_url(place if isinstance(place, (str, Path)) else str(place))
        client = open_client(url, PATIENCE_S, VIEWER, prefix)
        stored = client.hget(Keys(prefix).named("config"), "symbols")
    except Exception as error:
        if not isinstance(error, MMError | OSError) and not is_redis_error(error):
            raise
        return []
    names = text(stored).split() if stored is not None else []
    return [name for name in names if name.startswith(incomplete.upper())]
