"""Options that several commands share, and how a command finds its system."""

from __future__ import annotations

import functools
import json
import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console

from mm.errors import SystemRefused
from mm.host import DataDir, System, exit_with_parent, log_to_file, log_to_stderr
from mm.market import Config, Durability, load_config
from mm.process import Process, stop_on_signals
from mm.store import DEFAULT_PREFIX, Keys, open_client

DEFAULT_DATA_DIR = "mm-data"
Command = TypeVar("Command", bound=Callable[..., Any])


def system_options(command: Command) -> Command:
    """Add the options that find a system; the command gets them as ``system``."""

    @click.option(
        "--data-dir",
        type=click.Path(path_type=Path, file_okay=False),
        default=DEFAULT_DATA_DIR,
        envvar="MM_DATA_DIR",
        show_default=True,
        show_envvar=True,
        help="Directory of the system's data, socket and logs.",
    )
    @click.option(
        "--redis-url",
        envvar="MM_REDIS_URL",
        show_envvar=True,
        help="Server to use in place of the data directory's own: redis://... or unix:///...",
    )
    @click.option(
        "--prefix", default=DEFAULT_PREFIX, show_default=True, help="Hash tag that begins all keys."
    )
    @click.option(
        "--durability",
        type=click.Choice(["always", "relaxed"]),
        default=None,
        help="relaxed accepts a server that may lose acknowledged writes; every screen says so."
        "  [default: what the configuration says, always]",
    )
    @functools.wraps(command)
    def wrapped(
        *args: Any,
        data_dir: Path,
        redis_url: str | None,
        prefix: str,
        durability: Durability | None,
        **kwargs: Any,
    ) -> Any:
        if redis_url is not None:
            open_client(redis_url).close()
        system = System(DataDir(data_dir), redis_url, Keys(prefix), durability)
        return command(*args, system=system, **kwargs)

    return wrapped  # type: ignore[return-value]  # click's decorators keep the call's form


json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print the same facts as JSON, decimals as strings."
)
config_option = click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Configuration file (see `mm config init`).  [default: what the running system has, else"
    " the built-in one]",
)


class Positive(click.ParamType[float]):
    """A finite number above 0, for rates, speeds and durations."""

    name = "number"

    def __init__(self, zero: bool = False) -> None:
        self._zero = zero

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The number as a float; these pace processes and never touch money."""
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not math.isfinite(number) or number < 0 or (number == 0 and not self._zero):
            rule = "0 or above" if self._zero else "above 0"
            self.fail(f"{value!r}: it must be a finite number {rule}", param, ctx)
        return number


def optional_config(path: Path | None) -> Config | None:
    """The configuration file's content, or None without a file."""
    return None if path is None else load_config(path)


def show(console: Console, as_json: bool, facts: object, shown: object) -> None:
    """Print facts as JSON, or what is shown to people."""
    if as_json:
        click.echo(json.dumps(facts, indent=2))
    else:
        console.print(shown)


process_id = click.option(
    "--id", "ident", default="1", show_default=True, help="Makes the process name: KIND-ID."
)


def run_process(process: Process, system: System) -> None:
    """Run one process to its end, with its log in the data directory or on standard error."""
    stop = stop_on_signals()
    if system.redis_url is None or system.data_dir.logs.is_dir():
        log_to_file(system.data_dir.logs / f"{process.name}.log")
    else:
        log_to_stderr()
    exit_with_parent(lambda text: logging.getLogger(f"mm.{process.name}").warning("%s", text))
    try:
        process.run(stop)
    except SystemRefused as error:
        process.log.error("refused: %s", error)
        raise
