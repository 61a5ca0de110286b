"""``mm up``: parse its options and run it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from mm.cli.operating import who_option
from mm.cli.options import (
    DirectoryPath,
    Positive,
    file_option,
    informed_option,
    log_options,
    process_options,
    seed_option,
    server_option,
)
from mm.cli.rule_option import rule_option
from mm.cli.tape_options import paced_option, speed_option, tape_option
from mm.errors import UsageError
from mm.host import (
    DEFAULT_ADDRESS,
    ChildPlan,
    Listening,
    ServeAddress,
    System,
    check_serve_extra,
    exit_with_parent,
)
from mm.interrupts import stop_on_signals
from mm.market import Config, check_id, load_config
from mm.orders import Tape, check_paced, check_speed, config_to_replay
from mm.rule import QuoteRule
from mm.terminal import make_console
from mm.up import Up, UpOptions


@click.command("up")
@click.option(
    "--partitions",
    type=click.IntRange(1, 64),
    help="Split the symbols of a new system into so many partitions, with processes of their own."
    "  [default: what the configuration says, 1]",
)
@click.option(
    "--replicas",
    type=click.IntRange(0, 3),
    help="Run a cluster of servers on this machine, with so many replicas of each partition. With"
    " --redis-url: so many has the server that it names.  [default: one server, no cluster]",
)
@click.option(
    "--makers",
    type=click.IntRange(0, 64),
    default=2,
    show_default=True,
    help="Market makers, of each partition.",
)
@click.option(
    "--publishers",
    type=click.IntRange(0, 64),
    default=1,
    show_default=True,
    help="Order senders, of each partition.",
)
@click.option(
    "--rate",
    type=Positive(),
    default=50,
    show_default=True,
    help="Orders a second, over all publishers.",
)
@click.option(
    "--duration",
    "duration_s",
    type=Positive(),
    help="Seconds to run.  [default: until Ctrl-C or the end of the tape]",
)
@click.option("--headless", is_flag=True, help="A plain status line in place of the live view.")
@server_option
@click.option(
    "--listen",
    metavar="ADDRESS:PORT",
    help="Let the managed server listen there too, for clients with a user and its secret. Without"
    " --tls only on a loopback address.  [default: on no port]",
)
@click.option(
    "--tls",
    type=DirectoryPath(),
    help="Directory with ca.crt, server.crt and server.key: --listen then takes TLS alone, and only"
    " clients with a certificate of that authority.",
)
@click.option(
    "--serve",
    is_flag=False,
    flag_value=DEFAULT_ADDRESS,
    default="",
    metavar="[ADDRESS:PORT]",
    help="Run the gateway, too: the live view as a web page, and the API over HTTP, at"
    f" {DEFAULT_ADDRESS} or at a loopback address that is given (see `mm serve`).",
)
@rule_option
@who_option
@tape_option
@speed_option
@paced_option
@seed_option("The same seed makes the same order flow.")
@informed_option
@file_option(
    "--config",
    load_config,
    "Configuration file (see `mm config init`) of the system that is created; an existing one that"
    " has another is refused.  [default: what the system has, else the built-in one]",
)
@log_options
@process_options
def up_command(
    system: System,
    config: Config | None,
    server: str | None,
    duration_s: float | None,
    headless: bool,
    listen: str | None,
    tls: Path | None,
    tape: Tape | None,
    partitions: int | None,
    replicas: int | None,
    rule: QuoteRule | None,
    who: str,
    **plan_options: Any,
) -> None:
    """Start everything, supervise it and show it.

    Ctrl-C, SIGTERM or closing the terminal stops everything in order, and shows what happened in
    the run. Ctrl-C again skips the wait for orders on their way. During the start a signal breaks
    it off. In the live view the key ? shows what the keys do, such as q for the end; p and r halt
    and resume as --who. Exit status 1 when the final audit finds a violation, a symbol is halted,
    or a process never came up.
    """
    check_id("--who", who)
    plan = ChildPlan(
        tape=None if tape is None else tape.path, rule=rule.name if rule else "", **plan_options
    )
    if plan.serve:
        check_serve_extra()
        ServeAddress.parse(plan.serve).check_free()
    check_speed(plan.speed)
    if plan.paced:
        check_paced(tape, partitions or 1)
    if tape is not None and config is not None:
        # It is judged again when the system is open. This is before anything has started.
        config_to_replay(tape, config, None, plan.speed)
    listening = _listening(listen, tls, system)
    run = UpOptions(
        system,
        plan,
        config,
        server,
        duration_s,
        headless,
        tape,
        listening,
        partitions,
        replicas,
        who,
    )
    stop = stop_on_signals()
    exit_with_parent(lambda text: click.echo(f"mm: {text}", err=True))
    sys.exit(Up(run, make_console()).run(stop))


def _listening(listen: str | None, tls: Path | None, system: System) -> Listening | None:
    if listen is None:
        if tls is not None:
            raise UsageError("--tls: it is for --listen, which says where the server listens")
        return None
    if system.redis_url is not None:
        raise UsageError("--listen: it is for the managed server alone, and --redis-url names one")
    return Listening.parse(listen, tls)
