"""The options that several commands share, each defined once."""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from mm.errors import UsageError
from mm.host import CHILD_URL, LOG_FORMATS, DataDir, LogFormat, LogOptions, System
from mm.market import DURABILITIES, Durability, load_config
from mm.store import DEFAULT_PREFIX, Keys, open_client

DEFAULT_DATA_DIR = "mm-data"
#: Largest seed of a whole run. Each further publisher takes the next seed, up to ``2**32``.
MAX_RUN_SEED = 2**31
Command = TypeVar("Command", bound=Callable[..., Any])
Decorator = Callable[[Command], Command]


class Positive(click.ParamType[float]):
    """A finite number above 0, for rates, speeds and durations; with ``zero`` also 0."""

    name = "number"

    def __init__(self, zero: bool = False) -> None:
        self._zero = zero

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The number as a float: it paces processes and never counts money."""
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not math.isfinite(number) or number < 0 or (number == 0 and not self._zero):
            rule = "0 or above" if self._zero else "above 0"
            self.fail(f"{value!r}: it must be a finite number {rule}", param, ctx)
        return number


class DirectoryPath(click.Path):
    """A directory that need not exist. The empty text is no path: it would be the current one."""

    def __init__(self) -> None:
        super().__init__(path_type=Path, file_okay=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path as a Path."""
        if value == "":
            self.fail("the name of a directory is missing", param, ctx)
        return super().convert(value, param, ctx)


def system_options(command: Command) -> Command:
    """Add the options that find a running system; the command gets them as ``system``."""
    return _with_system(command, keeps_logs=False)


def process_options(command: Command) -> Command:
    """The same for a command that runs processes, whose logs are in the data directory."""
    return _with_system(command, keeps_logs=True)


def _with_system(command: Command, keeps_logs: bool) -> Command:
    @click.option(
        "--data-dir",
        type=DirectoryPath(),
        default=DEFAULT_DATA_DIR,
        envvar="MM_DATA_DIR",
        show_default=True,
        show_envvar=True,
        help="Directory of the system's data, socket and logs"
        + ("; with --redis-url of the logs only." if keeps_logs else "."),
    )
    @click.option(
        "--redis-url",
        envvar="MM_REDIS_URL",
        show_envvar=True,
        help="Server to use in place of the data directory's own: redis://..., unix:///...,"
        " redis+cluster://HOST:PORT,... or redis+sentinel://HOST:PORT,.../SERVICE."
        " --data-dir on the command line beats MM_REDIS_URL. Other users of the machine can see a"
        " password on the command line: give such a URL in MM_REDIS_URL.",
    )
    @click.option(
        "--prefix", default=DEFAULT_PREFIX, show_default=True, help="Hash tag that begins all keys."
    )
    @click.option(
        "--durability",
        type=click.Choice(DURABILITIES),
        default=None,
        help="declared: a managed service that hides its settings puts each acknowledged write on"
        " disk. relaxed accepts a server that may lose acknowledged writes; every screen says so."
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
        url = os.environ.get(CHILD_URL) or _chosen_url(redis_url, keeps_logs)
        if url is not None:
            open_client(url).close()
        system = System(DataDir(data_dir), url, Keys(prefix), durability, _say)
        return command(*args, system=system, **kwargs)

    return wrapped  # type: ignore[return-value]  # click's decorators keep the call's form


def _chosen_url(redis_url: str | None, keeps_logs: bool) -> str | None:
    """The server's URL, or None for the data directory's own server.

    Both options name a system. What the command line says beats the environment, and that beats the
    default.
    """
    source = click.get_current_context().get_parameter_source
    typed = ParameterSource.COMMANDLINE
    if source("data_dir") is not typed:
        return redis_url
    if source("redis_url") is not typed:
        return None
    if not keeps_logs:
        raise UsageError("--data-dir and --redis-url name two systems: give the one that you mean")
    return redis_url


def _say(text: str) -> None:
    click.echo(f"mm: {text}", err=True)


def file_option(name: str, read: Callable[[Path], object], help: str) -> Decorator[Any]:
    """An option that names a file; the command gets what ``read`` makes of it, or None."""

    def load(_context: click.Context, _option: click.Parameter, path: Path | None) -> object:
        return None if path is None else read(path)

    path_type = click.Path(path_type=Path, dir_okay=False)
    return click.option(name, type=path_type, callback=load, help=help)


def seed_option(help: str, default: int | None = 1, high: int = MAX_RUN_SEED) -> Decorator[Any]:
    """``--seed``, from 0 to ``high``; a default of None is described by ``help``."""
    seeds, has_default = click.IntRange(0, high), default is not None
    return click.option("--seed", type=seeds, default=default, show_default=has_default, help=help)


#: ``--informed``, for those who start a synthetic flow.
informed_option = click.option(
    "--informed",
    "informed_percent",
    type=click.IntRange(0, 100),
    default=10,
    show_default=True,
    help="Orders of informed senders, in percent: they follow a fundamental value, the others do"
    " not know it. The more there are, the less a maker earns: see `mm flow`.",
)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print the same facts as JSON, decimals as strings."
)
joining_config_option = file_option(
    "--config",
    load_config,
    "Configuration file; a system that has another one is refused.  [default: what the system has]",
)
server_option = click.option(
    "--server", help="Server program to run.  [default: the package's Valkey]"
)


def log_options(command: Command) -> Command:
    """Add the options that say how a process logs; the command gets them as ``logs``."""

    @click.option(
        "--log-detail",
        is_flag=True,
        help="Log each step, order, fill and proposal, too; without it a summary every 10 s. It"
        " slows trading down.",
    )
    @click.option(
        "--log-format",
        type=click.Choice(LOG_FORMATS),
        default="text",
        show_default=True,
        help="json: each line of a log is one JSON object.",
    )
    @functools.wraps(command)
    def wrapped(*args: Any, log_detail: bool, log_format: LogFormat, **kwargs: Any) -> Any:
        return command(*args, logs=LogOptions(log_detail, log_format), **kwargs)

    return wrapped  # type: ignore[return-value]  # click's decorators keep the call's form


process_id = click.option(
    "--id", "ident", default="1", show_default=True, help="Makes the process name: KIND-ID."
)
