"""``mm exchange``, ``state``, ``maker``, ``archivist``, ``balancer``: one process alone."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from typing import TypeVar

import click

from mm.archivist import Archivist
from mm.balancer import Balancer
from mm.cli.options import joining_config_option, log_options, process_id, process_options
from mm.cli.rule_option import rule_option
from mm.errors import SystemRefused
from mm.exchange import Exchange
from mm.host import (
    STOPPED_STATUS,
    LogOptions,
    System,
    exit_with_parent,
    log_to_file,
    log_to_stderr,
)
from mm.interrupts import stop_on_signals
from mm.maker import Maker
from mm.market import Config
from mm.process import RESTARTS, Process
from mm.rule import QuoteRule
from mm.state import StateService
from mm.store import SOCKET_TIMEOUT_S, open_client

P = TypeVar("P", bound=Process)

#: Seconds that a balancer waits for one server.
BALANCER_TIMEOUT_S = 1.0


def run_process(
    process: Process, system: System, logs: LogOptions, at_end: Callable[[], None] = lambda: None
) -> None:
    """Run one process to its end, with its log in the data directory or on standard error.

    ``at_end`` is called when it has ended in order. A supervisor learns by the exit status whether
    a signal has stopped it.
    """
    stop = stop_on_signals()
    process.say = lambda text: click.echo(f"mm: {process.name}: {text}", err=True)
    if system.redis_url is None or system.data_dir.logs.is_dir():
        log_to_file(system.data_dir.logs / f"{process.name}.log", logs)
    else:
        log_to_stderr(logs)
        if logs.form == "json":
            # So that each line there is one, as long as the process runs.
            process.say = lambda text: process.log.info("%s", text)
    exit_with_parent(lambda text: logging.getLogger(f"mm.{process.name}").warning("%s", text))
    try:
        process.run(stop)
    except SystemRefused as error:
        process.log.error("refused: %s", error)
        raise
    at_end()
    if stop.signal is not None and RESTARTS in os.environ:
        sys.exit(STOPPED_STATUS)
    elif stop.signal is not None:
        process.say(f"stopped in order by {stop.signal.name}")


def _made(kind: type[P], system: System, ident: str, config: Config | None) -> P:
    url = system.waiting_url
    # A partition that hangs must not hold up the others for long.
    timeout_s = BALANCER_TIMEOUT_S if kind is Balancer else SOCKET_TIMEOUT_S
    return kind(
        lambda: open_client(url, timeout_s, kind.kind, system.keys.prefix),
        system.keys,
        ident,
        config,
        system.durability,
        system.known_id(),
    )


def _command(kind: type[Process], text: str) -> click.Command:
    """The command of a process that needs nothing but what all have; ``text`` is its help."""

    @click.command(kind.kind, help=text)
    @process_id
    @joining_config_option
    @log_options
    @process_options
    def run(system: System, ident: str, config: Config | None, logs: LogOptions) -> None:
        run_process(_made(kind, system, ident, config), system, logs)

    return run


exchange_command = _command(
    Exchange,
    "Run an exchange: match orders against quotes, end expired quotes. Two at once are fine.",
)
state_command = _command(
    StateService, "Run a trading state service: apply fills to positions. Two at once are fine."
)
balancer_command = _command(
    Balancer,
    "Run a balancer: it moves the limit to the partitions that lack it. Several are fine.",
)


@click.command("archivist")
@process_id
@joining_config_option
@log_options
@process_options
def archivist_command(system: System, ident: str, config: Config | None, logs: LogOptions) -> None:
    """Run an archivist: it moves committed fills from the ledger to the archive on disk.

    The archive is a file in the data directory, which is made when it is not there. Two at once are
    fine.
    """
    archivist = _made(Archivist, system, ident, config)
    archivist.directory = system.data_dir.path
    run_process(archivist, system, logs)


@click.command("maker")
@process_id
@joining_config_option
@log_options
@process_options
@rule_option
def maker_command(
    system: System, ident: str, config: Config | None, logs: LogOptions, rule: QuoteRule | None
) -> None:
    """Run a market maker; several share the symbols among them."""
    maker = _made(Maker, system, ident, config)
    if rule is not None:
        maker.rule = rule
    run_process(maker, system, logs)
