"""``mm serve``: the live view as a web page, and the API over HTTP."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

import click

from mm.cli.options import DirectoryPath, Positive, log_options, process_options
from mm.host import (
    DEFAULT_ADDRESS,
    STOPPED_STATUS,
    LogOptions,
    ServeAddress,
    System,
    check_serve_extra,
    exit_with_parent,
    log_to_file,
    log_to_stderr,
)
from mm.interrupts import stop_on_signals
from mm.market import check_id
from mm.process import RESTARTS

#: The client that gets a token where none is named.
DEFAULT_CLIENT = "by-http"


@click.command("serve")
@click.option(
    "--listen",
    default=DEFAULT_ADDRESS,
    show_default=True,
    metavar="ADDRESS:PORT",
    help="Where to listen. Other machines reach it only on another address than a loopback one, and"
    " that needs --tls or --plain. Port 0 is any free one.",
)
@click.option(
    "--tls",
    type=DirectoryPath(),
    help="Directory with server.crt and server.key: serve by HTTPS.",
)
@click.option(
    "--plain",
    is_flag=True,
    help="Listen on any address without TLS, because a proxy before it has TLS.",
)
@click.option(
    "--client",
    "clients",
    multiple=True,
    default=[DEFAULT_CLIENT],
    show_default=True,
    help="Client that gets a token for its orders; may be given several times.",
)
@click.option(
    "--order-timeout",
    "order_s",
    type=Positive(),
    default=5,
    show_default=True,
    help="Seconds that an order may wait for its report; then the answer is 503.",
)
@click.option(
    "--max-streams",
    type=click.IntRange(1, 100_000),
    default=4_000,
    show_default=True,
    help="Streams of events that may be open; one more gets 503.",
)
@log_options
@process_options
def serve_command(
    system: System,
    listen: str,
    tls: Path | None,
    plain: bool,
    clients: tuple[str, ...],
    order_s: float,
    max_streams: int,
    logs: LogOptions,
) -> None:
    """Serve the live view as a web page, and the API over HTTP.

    It needs the extra `serve`. Everything asks for a token; they are made at the first start, in
    files in the data directory that only its owner may read: tokens/viewer for reading,
    tokens/client-NAME for the orders of a client, and tokens/operator for everything. It keeps
    nothing, so it may be killed at any instant.
    """
    check_serve_extra()
    address = ServeAddress.parse(listen, tls, plain)
    for name in clients:
        check_id("--client", name)
    from mm.gateway import ServeOptions, serve

    if system.redis_url is None and not system.data_dir.logs.is_dir():
        # Nothing has ever run there: this says so.
        system.scripts()
    stop = stop_on_signals()
    if system.data_dir.logs.is_dir():
        log_to_file(system.data_dir.logs / "serve.log", logs)
    else:
        log_to_stderr(logs)
    exit_with_parent(logging.getLogger("mm.serve").warning)
    options = ServeOptions(system, address, clients, order_s, max_streams)
    serve(options, stop, lambda text: click.echo(f"mm: {text}", err=True))
    if stop.signal is not None and RESTARTS in os.environ:
        sys.exit(STOPPED_STATUS)
    if stop.signal is not None:
        click.echo(f"mm: stopped in order by {stop.signal.name}", err=True)
