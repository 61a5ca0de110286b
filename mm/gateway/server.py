"""The gateway as a program: where it listens, its tokens, and its orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import uvicorn

from mm.errors import shown_path
from mm.gateway.access import OPERATOR_FILE, VIEWER_FILE, Access, token_file
from mm.gateway.app import Gateway
from mm.gateway.bounds import MAX_HEAD, BoundedProtocol
from mm.host import ServeAddress, System, make_secrets, tokens_directory
from mm.interrupts import Stop
from mm.market import check_id

#: Seconds for which a connection without a request stays open, and that the end may take.
KEEP_ALIVE_S, END_S = 15, 3
#: Connections beside those of streams, and descriptors that this process needs for itself.
OTHERS, OWN = 1_000, 100
#: Seconds from one look at whether a signal has come to the next.
LOOK_S = 0.1
#: Connections that wait to be accepted.
BACKLOG = 2_048


@dataclass(frozen=True)
class ServeOptions:
    """What ``mm serve`` runs: clients that get a token, and the bounds of :class:`Gateway`."""

    system: System
    address: ServeAddress
    clients: Sequence[str]
    order_s: float
    max_streams: int


def serve(options: ServeOptions, stop: Stop, say: Callable[[str], None]) -> None:
    """Serve until ``stop`` is set; ``say`` gets where it listens and where the tokens are.

    Unavailable when it cannot listen there. It keeps nothing: after any end it goes on as before.
    """
    directory = tokens_directory(options.system.data_dir)
    names = [VIEWER_FILE, OPERATOR_FILE]
    names += [token_file(check_id("--client", name)) for name in options.clients]
    options.system.data_dir.path.mkdir(mode=0o700, parents=True, exist_ok=True)
    tokens = make_secrets(directory, names)
    listener = options.address.listener()
    # Who connects as soon as it is said is not refused.
    listener.listen(BACKLOG)
    port = listener.getsockname()[1]
    say(f"page and API at {options.address.url(port)}; tokens in {shown_path(directory)}")
    most = _max_streams(options.max_streams)
    if most < options.max_streams:
        say(f"{most} streams at most: this process may have no more open files (ulimit -n)")
    asyncio.run(_serve(options, Access(tokens, port), listener, most, stop))


async def _serve(
    options: ServeOptions, access: Access, listener: socket.socket, most: int, stop: Stop
) -> None:
    gateway = Gateway(options.system, access, options.order_s, most)
    server = _Server(_config(options, gateway, most))

    async def watch() -> None:
        while not stop.is_set():
            await asyncio.sleep(LOOK_S)
        gateway.streams.stop()
        server.should_exit = True

    watching = asyncio.create_task(watch())
    try:
        await server.serve(sockets=[listener])
    finally:
        watching.cancel()
        gateway.close()


def _config(options: ServeOptions, gateway: Gateway, most: int) -> uvicorn.Config:
    log = logging.getLogger("uvicorn")
    # Its lines go where this program's go. Requests are not logged.
    log.parent = logging.getLogger("mm")
    config = uvicorn.Config(
        gateway.app(),
        http=BoundedProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=most + OTHERS,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=END_S,
        backlog=BACKLOG,
        h11_max_incomplete_event_size=MAX_HEAD,
    )
    config.load()
    config.ssl = options.address.tls()
    return config


class _Server(uvicorn.Server):
    """A server whose signals are those of the whole program."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals as they are."""
        yield


def _max_streams(wanted: int) -> int:
    """How many streams there may be: each one is an open file."""
    needed = wanted + OTHERS + OWN
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < needed or soft == resource.RLIM_INFINITY:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return wanted if soft == resource.RLIM_INFINITY else max(1, min(wanted, soft - OTHERS - OWN))
