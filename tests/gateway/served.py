"""A gateway in a thread of the test, over a market of its own, and what asks it."""

from __future__ import annotations

import json
import queue
import re
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx

from mm.facts import quotes_facts
from mm.gateway import ServeOptions, serve
from mm.host import ChildPlan, ManagedServer, ServeAddress, System, ThrowawaySystem
from mm.interrupts import Stop
from mm.market import default_config, parts
from mm.store import take_snapshot
from tests.kit import wait_for
from tests.kit.commands import MM, frozen

#: The client that has a token in every test.
CLIENT = "by-http"
#: Seconds that a request may take before the test counts it as hanging.
HANG_S = 30.0


class Market:
    """A throwaway system that quotes, without a publisher; its processes can be frozen."""

    def __init__(self, system: ThrowawaySystem[ManagedServer]) -> None:
        self.throwaway = system
        self.path: Path = system.data_dir.path
        self.scripts = system.scripts

    @property
    def system(self) -> System:
        """Where it is."""
        return System(self.throwaway.data_dir, None, self.throwaway.keys, None)

    def token(self, name: str) -> str:
        """The token in a file."""
        return (self.path / "tokens" / name).read_text().strip()

    def quoted(self, symbol: str = "AAPL") -> dict[str, Any]:
        """The quote of a symbol, once it has one with both sides."""

        def found() -> dict[str, Any] | None:
            rows = quotes_facts(take_snapshot(self.scripts))
            row: dict[str, Any] = next(one for one in rows if one["symbol"] == symbol)
            return row if row["active"] and row["bid_lots"] and row["ask_lots"] else None

        return wait_for(f"a quote of {symbol}", found, 30) or {}

    @contextmanager
    def frozen_server(self) -> Iterator[None]:
        """Let the server hang for a while."""
        with frozen(int((self.path / "server.pid").read_text())):
            yield

    @contextmanager
    def without(self, name: str) -> Iterator[None]:
        """Kill a process, and start it again afterwards."""
        supervisor = self.throwaway.supervisor
        process = supervisor.children[name].process
        assert process is not None
        process.kill()
        process.wait()
        try:
            yield
        finally:
            self.supervise(name)

    def supervise(self, name: str) -> None:
        """Start a process again that was killed; nothing when it runs."""
        supervisor = self.throwaway.supervisor

        def is_back() -> bool:
            supervisor.tick()
            return supervisor.children[name].process is not None

        wait_for(f"{name} to be started again", is_back)


@contextmanager
def market(partitions: int = 1) -> Iterator[Market]:
    """A market that quotes all its symbols, on one server."""
    with ThrowawaySystem(ManagedServer, "mm-test-") as system:
        config = replace(default_config(), partitions=partitions)
        system.start(config)
        system.start_children(ChildPlan(makers=1, publishers=0))
        made = Market(system)
        for number in range(partitions):
            made.quoted(parts(config)[number].symbols[0].name)
        yield made


class Served:
    """A gateway that serves at ``url``; ``as_`` asks it with a token."""

    def __init__(self, url: str, market: Market, authority: Path | None = None) -> None:
        self.url = url.rstrip("/")
        self.trusted = ssl.create_default_context(cafile=authority)
        self.port = int(self.url.rpartition(":")[2])
        self.market = market

    def token(self, name: str) -> str:
        """The token in a file."""
        return self.market.token(name)

    def as_(self, name: str = "") -> httpx.Client:
        """A client with the token in a file, or without one."""
        headers = {"Authorization": f"Bearer {self.token(name)}"} if name else {}
        return httpx.Client(
            base_url=self.url,
            headers=headers,
            timeout=HANG_S,
            trust_env=False,
            verify=self.trusted,
        )

    def order(self, name: str, **changes: Any) -> dict[str, Any]:
        """The body of an order with this id that fills at once, with changes."""
        body = {"order_id": name, "symbol": "AAPL", "side": "buy", "quantity": "1"}
        return body | {"limit_price": "250.00"} | changes

    def answered(self, client: httpx.Client, order_id: str) -> None:
        """Send the order, again as a busy machine needs it, until its report is the answer."""

        def sent() -> bool:
            return client.post("/orders", json=self.order(order_id)).status_code == 200

        wait_for(f"the report of {order_id}", sent, HANG_S)

    @contextmanager
    def events(self, name: str, path: str, last: str = "") -> Iterator[Iterator[dict[str, str]]]:
        """The events of a stream, each with its event, data and id."""
        headers = {"Last-Event-ID": last} if last else {}
        with self.as_(name) as client, client.stream("GET", path, headers=headers) as answer:
            assert answer.status_code == 200, answer.read()
            yield parsed(answer)


def parsed(answer: httpx.Response) -> Iterator[dict[str, str]]:
    """The events in an answer."""
    found: dict[str, str] = {}
    for line in answer.iter_lines():
        # The stream has nothing for a quarter of a minute: what the test waits for does not come.
        assert line != ": alive", "no event came"
        if line:
            name, _, value = line.partition(": ")
            found[name] = value
        elif found:
            if "event" in found:
                yield found
            found = {}


@contextmanager
def serving(
    market: Market, order_s: float = 5.0, max_streams: int = 100, port: int = 0
) -> Iterator[Served]:
    """A gateway over the market, in a thread."""
    said: queue.Queue[str] = queue.Queue()
    stop = Stop()
    address = ServeAddress.parse(f"127.0.0.1:{port}")
    made = ServeOptions(market.system, address, (CLIENT,), order_s, max_streams)
    thread = threading.Thread(target=serve, args=(made, stop, said.put))
    thread.start()
    try:
        found = re.search(r"http://\S+?/", said.get(timeout=HANG_S))
        assert found is not None
        yield Served(found[0], market)
    finally:
        stop.set()
        thread.join(HANG_S)
        assert not thread.is_alive(), "the gateway does not stop"


@contextmanager
def process(
    market: Market, *arguments: str, certificates: Path | None = None
) -> Iterator[tuple[subprocess.Popen[str], Served]]:
    """The same as a process of its own, which the test may kill; with certificates it has TLS."""
    if certificates is not None:
        arguments += ("--tls", str(certificates))
    words = [*MM, "serve", "--listen", "127.0.0.1:0", "--data-dir", str(market.path), *arguments]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as running:
        try:
            assert running.stderr is not None
            found = re.search(r"https?://\S+?/", running.stderr.readline())
            assert found is not None
            authority = certificates / "ca.crt" if certificates else None
            yield running, Served(found[0], market, authority)
        finally:
            running.kill()
            running.communicate()


def facts_of(event: dict[str, str]) -> dict[str, Any]:
    """What an event says."""
    found: dict[str, Any] = json.loads(event["data"])
    return found
