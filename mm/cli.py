"""The command line: parses, delegates, and turns every error into one clear line."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, NoReturn

import click
from redis.exceptions import RedisError
from rich.console import Console

from mm import __version__, commands, link, tape, up
from mm import watch as watching
from mm.cli_bench import bench
from mm.cli_chaos import chaos
from mm.cli_publisher import publisher
from mm.config import default
from mm.errors import MMError, UsageError, ValueRefused
from mm.exchange import Exchange
from mm.flow import FlowOptions
from mm.maker import Maker
from mm.options import (
    Positive,
    System,
    config_option,
    load_config,
    process_id,
    run_process,
    system_options,
)
from mm.process import stop_on_signals
from mm.state import State
from mm.supervise import hold_leash

#: An order in eleven days: below it a rate is a slip, and divided it could become 0, flat out.
LEAST_RATE = 1e-6


class Front(click.Group):
    """A group whose commands end in one line of explanation, never in a traceback.

    Exit status 2 for a usage error, 1 for anything else that went wrong.
    """

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command and translate its errors."""
        try:
            return super().invoke(ctx)
        except UsageError as error:
            fail(str(error), 2)
        except MMError as error:
            fail(str(error), 1)
        except RedisError as error:
            fail(f"the server refused or went away: {error}", 1)
        except BrokenPipeError:
            # The reader of our output is gone, as in `mm quotes | head`: that is not an error.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(0)
        except OSError as error:
            fail(f"{error.filename or 'the operating system'}: {error.strerror or error}", 1)


def fail(text: str, status: int) -> NoReturn:
    """Print an error line and exit."""
    click.echo(f"mm: {text}", err=True)
    sys.exit(status)


@click.group(cls=Front, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="mm")
def main() -> None:
    """A market-maker trading system on Redis that is correct whatever is killed, whenever.

    `mm up` starts everything and shows it. The other commands run one process alone, or read a
    running system that they find by --data-dir or --redis-url.
    """


def _simple(
    kind: type[Exchange | State | Maker], ident: str, config_path: Path | None, system: System
) -> None:
    config = load_config(config_path)
    url = system.waiting_url
    process = kind(lambda: link.open_client(url), system.keys, ident, config, system.durability)
    run_process(process, system)


@main.command()
@process_id
@config_option
@system_options
def exchange(ident: str, config_path: Path | None, system: System) -> None:
    """Run an exchange: match orders against quotes, end expired quotes. Two at once are fine."""
    _simple(Exchange, ident, config_path, system)


@main.command()
@process_id
@config_option
@system_options
def state(ident: str, config_path: Path | None, system: System) -> None:
    """Run a trading state service: apply fills to positions. Two at once are fine."""
    _simple(State, ident, config_path, system)


@main.command()
@process_id
@config_option
@system_options
def maker(ident: str, config_path: Path | None, system: System) -> None:
    """Run a market maker; several share the symbols among them."""
    _simple(Maker, ident, config_path, system)


@main.command("up")
@click.option(
    "--makers", type=click.IntRange(0, 64), default=2, show_default=True, help="Market makers."
)
@click.option(
    "--publishers", type=click.IntRange(0, 64), default=1, show_default=True, help="Order senders."
)
@click.option(
    "--rate", type=Positive(), default=50, show_default=True, help="Orders a second, all."
)
@click.option("--duration", type=Positive(), help="Seconds to run.  [default: until Ctrl-C]")
@click.option("--headless", is_flag=True, help="A plain status line in place of the live view.")
@click.option("--server", help="Server program to run.  [default: the package's Valkey]")
@click.option(
    "--tape",
    "tape_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="CSV file of trades to replay as orders: ts_ms,symbol,side,price,qty.",
)
@click.option(
    "--speed", type=Positive(zero=True), default=1, show_default=True, help="0: flat out."
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**31),
    default=1,
    show_default=True,
    help="The same seed makes the same order flow.",
)
@config_option
@system_options
def up_command(
    makers: int,
    publishers: int,
    rate: float,
    duration: float | None,
    headless: bool,
    server: str | None,
    tape_path: Path | None,
    speed: float,
    seed: int,
    config_path: Path | None,
    system: System,
) -> None:
    """Start everything, supervise it and show it; Ctrl-C stops in order and tells what happened."""
    config = load_config(config_path)
    # What a publisher would refuse is refused here: as a child it would be restarted for ever.
    if rate / max(publishers, 1) < LEAST_RATE:
        raise ValueRefused(
            f"rate {rate:g}: it must be at least {LEAST_RATE:g} orders/s a publisher"
        )
    FlowOptions(rate)
    if tape_path is not None:
        trades = tape.read(tape_path)
        config = tape.config_for(trades, config or default())
        tape.orders(trades, config, speed)
    options = up.Options(
        data_dir=system.data_dir,
        keys=system.keys,
        config=config,
        redis_url=system.redis_url,
        server=server,
        makers=makers,
        publishers=publishers,
        rate=rate,
        duration_s=duration,
        headless=headless,
        tape=tape_path,
        speed=speed,
        seed=seed,
        durability=system.durability,
    )
    stop = stop_on_signals()
    hold_leash(lambda text: click.echo(f"mm: {text}", err=True))
    sys.exit(up.Up(options, Console()).run(stop))


@main.command()
@system_options
def watch(system: System) -> None:
    """Show the live view of a running system; read-only."""
    stop = stop_on_signals()
    watching.watch(watching.Reader(system.url, system.keys), Console(), stop)


main.add_command(publisher)
main.add_command(bench)
main.add_command(chaos)
commands.add_to(main)
