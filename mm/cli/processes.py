"""``mm exchange``, ``state``, ``maker`` and ``balancer``: one process alone."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from typing import TypeVar

import click

from mm.balancer import Balancer
from mm.cli.options import joining_config_option, log_detail_option, process_id, process_options
from mm.cli.rule_option import rule_option
from mm.errors import SystemRefused
from mm.exchange import Exchange
from mm.host import (
    STOPPED_STATUS,
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
    process: Process, system: System, log_detail: bool, at_end: Callable[[], None] = lambda: None
) -> None:
    """Run one process to its end, with its log in the data directory or on standard error.

    ``at_end`` is called when it has ended in order. A supervisor learns by the exit status whether
    a signal has stopped it.
    """
    stop = stop_on_signals()
    if system.redis_url is None or system.data_dir.logs.is_dir():
        log_to_file(system.data_dir.logs / f"{process.name}.log", log_detail)
    else:
        log_to_stderr(log_detail)
    process.say = lambda text: click.echo(f"mm: {process.name}: {text}", err=True)
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


def _run(
    kind: type[Process], system: System, ident: str, config: Config | None, log_detail: bool
) -> None:
    run_process(_made(kind, system, ident, config), system, log_detail)


@click.command("exchange")
@process_id
@joining_config_option
@log_detail_option
@process_options
def exchange_command(system: System, ident: str, config: Config | None, log_detail: bool) -> None:
    """Run an exchange: match orders against quotes, end expired quotes. Two at once are fine."""
    _run(Exchange, system, ident, config, log_detail)


@click.command("state")
@process_id
@joining_config_option
@log_detail_option
@process_options
def state_command(system: System, ident: str, config: Config | None, log_detail: bool) -> None:
    """Run a trading state service: apply fills to positions. Two at once are fine."""
    _run(StateService, system, ident, config, log_detail)


@click.command("balancer")
@process_id
@joining_config_option
@log_detail_option
@process_options
def balancer_command(system: System, ident: str, config: Config | None, log_detail: bool) -> None:
    """Run a balancer: it moves the limit to the partitions that lack it. Several are fine."""
    _run(Balancer, system, ident, config, log_detail)


@click.command("maker")
@process_id
@joining_config_option
@log_detail_option
@process_options
@rule_option
def maker_command(
    system: System, ident: str, config: Config | None, log_detail: bool, rule: QuoteRule | None
) -> None:
    """Run a market maker; several share the symbols among them."""
    maker = _made(Maker, system, ident, config)
    if rule is not None:
        maker.rule = rule
    run_process(maker, system, log_detail)
