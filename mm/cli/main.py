"""The command line: finds the command, and turns every error into one clear line."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from importlib import import_module
from typing import Any, NoReturn

import click

from mm import __version__
from mm.errors import MMError, UsageError
from mm.interrupts import Interrupted
from mm.streams import make_streams_safe

#: Every command: name -> (module of this package, the beginning of its help). A module is imported
#: only when its command runs: no command waits for what another one needs.
COMMANDS = {
    "acl": ("acl", "Print the server's users for the roles, as lines of an ACL file."),
    "archivist": (
        "processes",
        "Run an archivist: it moves committed fills from the ledger to the archive on disk.",
    ),
    "audit": ("reading", "Check every invariant at one instant; exit status 1 on any violation."),
    "backup": ("backup", "Back a system up, running or stopped, and audit the backup."),
    "balancer": (
        "processes",
        "Run a balancer: it moves the limit to the partitions that lack it.",
    ),
    "bench": ("bench", "Measure throughput, latency and cost."),
    "chaos": ("chaos", "Crash a throwaway system under load in every way."),
    "config": ("config", "Configuration files, and the configuration of a running system."),
    "doctor": (
        "doctor",
        "Check machine, server, directory, disk, clock and versions, and say what to do.",
    ),
    "exchange": ("processes", "Run an exchange: match orders against quotes, end expired quotes."),
    "explain": ("reading", "Show what happened to a symbol, and why."),
    "exposure": (
        "reading",
        "Show both exposure budgets, reservations and waiting symbols.",
    ),
    "fills": ("records", "Show the fills of the ledger, or write them to a file."),
    "flatten": ("control", "Reduce symbols until they are flat, then halt them."),
    "flow": ("flow", "Measure what the quote rule earns at other shares of informed senders."),
    "halt": ("control", "Halt symbols: their quotes are withdrawn at once, and no order trades."),
    "maker": ("processes", "Run a market maker; several share the symbols among them."),
    "order": ("order", "Send an immediate-or-cancel order and show its execution report."),
    "orders": (
        "records",
        "Show the orders that the exchange took, with their outcomes, or write them to a file.",
    ),
    "pnl": ("records", "Show what each period earned: profit, its two parts, volume and fills."),
    "positions": ("reading", "Show the committed positions."),
    "publisher": ("publisher", "Send orders through the order API."),
    "quotes": ("reading", "Show the active quotes."),
    "reduce": ("control", "Let symbols only shrink their positions."),
    "repair": ("control", "Rebuild the position of a halted symbol from its ledger."),
    "report": ("report", "Write a run or a range as one HTML file, with plots to look at."),
    "restore": ("backup", "Make a new data directory from a backup, and audit it."),
    "resume": ("control", "Let symbols trade again."),
    "rule": ("rule", "Quote rules of your own: begin one, and prove it."),
    "serve": ("serve", "Serve the live view as a web page, and the API over HTTP."),
    "state": ("processes", "Run a trading state service: apply fills to positions."),
    "status": (
        "reading",
        "Show the system's state, its processes, partitions and nodes.",
    ),
    "tape": (
        "tape",
        "Trade tapes: check a file of any exchange, and convert it for `mm up --tape`.",
    ),
    "up": ("up", "Start everything, supervise it and show it."),
    "watch": ("reading", "Show the live view of a running system; read-only."),
}


#: The commands by what they are for, in the order in which `mm --help` shows them.
GROUPS = {
    "Run a market": ("up", "watch", "serve", "order", "tape", "rule"),
    "Read it": ("status", "positions", "quotes", "exposure", "explain", "audit"),
    "Read its past": ("fills", "orders", "pnl", "report"),
    "Control it": ("halt", "reduce", "flatten", "resume", "repair", "config", "acl"),
    "Keep it": ("backup", "restore", "doctor"),
    "Its processes, one alone": (
        *("exchange", "state", "maker", "archivist", "balancer", "publisher"),
    ),
    "Measure and break it": ("bench", "chaos", "flow"),
}
#: What a newcomer may type -> what it does.
EXAMPLES = {
    "mm up": "a market from nothing, in a live view",
    "mm order aapl buy 5 --market": "trade with it, from a second terminal",
    "mm explain AAPL": "what happened to a symbol, and why",
    "mm halt AAPL --why news": "stop quoting it at once; `mm resume AAPL` goes on",
    "mm up --partitions 3 --replicas 1": "the same over a cluster that survives its nodes",
}


class Front(click.Group):
    """A group whose commands end in one line of explanation, never in a traceback.

    Exit status 2 for a usage error, 128 + its number for a signal that broke the command off, 1 for
    anything else that went wrong.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name; imports its module."""
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"mm.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, f"{cmd_name}_command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands by what they are for, without importing them, then examples."""
        for title, names in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(name, COMMANDS[name][1]) for name in names])
        with formatter.section("Examples"):
            formatter.write_dl(list(EXAMPLES.items()))

    def main(self, *args: Any, **options: Any) -> Any:
        """Run the command line, on streams that can write any text."""
        make_streams_safe()
        return super().main(*args, **options)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command and translate its errors."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            ended = error if isinstance(error, Interrupted) else Interrupted(signal.SIGINT)
            fail(f"{ended}; what it had started was stopped", ended.exit_status)
        except UsageError as error:
            fail(str(error), 2)
        except MMError as error:
            fail(str(error), 1)
        except BrokenPipeError:
            # The reader of the output has closed it, as in `mm quotes | head`. That is no error.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(0)
        except OSError as error:
            fail(f"{error.filename or 'the operating system'}: {error.strerror or error}", 1)
        except Exception as error:
            if not is_redis_error(error):
                raise
            fail(import_module("mm.store").trouble_of(error).words, 1)


def is_redis_error(error: Exception) -> bool:
    """Whether redis-py raised the error; does not import redis-py, so that ``--help`` is quick."""
    redis = sys.modules.get("redis")
    return redis is not None and isinstance(error, redis.RedisError)


def fail(text: str, status: int) -> NoReturn:
    """Print an error line and exit."""
    with contextlib.suppress(OSError):  # The terminal may be closed.
        click.echo(f"mm: {text}", err=True)
    sys.exit(status)


@click.group(cls=Front, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="mm")
def main() -> None:
    """A market-maker trading system on Redis that stays correct when any process is killed.

    `mm up` starts everything and shows it. The other commands run one process alone, or read or
    control a running system that they find by --data-dir or --redis-url.
    """
