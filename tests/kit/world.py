"""What the tests share: factories and a small world; see also ``backends`` and ``checks``."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import pytest

from mm.archive import archive_name
from mm.archivist import Archivist
from mm.exchange import Exchange
from mm.maker import Maker
from mm.market import (
    LIVE_MS,
    Config,
    Fill,
    Order,
    Placement,
    Prices,
    Proposal,
    Report,
    Side,
    Symbol,
    Trigger,
    config_changes,
)
from mm.process import Process
from mm.state import StateService
from mm.store import (
    Beat,
    Configured,
    Controlled,
    Keys,
    Operator,
    Scripts,
    StreamReader,
    execute,
    pairs,
    require_config,
    take_snapshot,
    text,
)
from tests.kit.backends import (
    Backend,
    server_ms,
)
from tests.kit.checks import Dump, dump, execute_flat, read_stream
from tests.kit.units import notional_config

#: The id of the systems that tests make.
SYSTEM_ID = "5151515151515151"
#: A random test runs with these seeds, which stand in its name; MM_TEST_SEED=N replays another.
SEEDS = [int(os.environ["MM_TEST_SEED"])] if "MM_TEST_SEED" in os.environ else [11, 23]


def symbol_names(count: int) -> list[str]:
    """AAA, BBB, CCC ... and beyond 26 S27, S28 ..."""
    return [chr(65 + i) * 3 if i < 26 else f"S{i + 1}" for i in range(count)]


def make_symbol(name: str = "AAA", **changes: Any) -> Symbol:
    """A symbol that quotes 10 lots at 99 x 101 with no lean; ``changes`` are its parameters."""
    values: dict[str, Any] = {
        "tick": Decimal("0.01"),
        "lot": Decimal(1),
        "reference_ticks": 100,
        "spread_ticks": 2,
        "size_lots": 10,
        "skew_ticks": 0,
        "position_limit_lots": 100,
    }
    return Symbol(name, **(values | changes))


def small_config(
    symbols: int = 2,
    limit: int = 20,
    size: int = 10,
    mode: Literal["lots", "notional"] = "lots",
    of_symbol: dict[str, Any] | None = None,
    **changes: Any,
) -> Config:
    """A configuration of a few equal symbols; ``of_symbol`` changes their parameters."""
    parameters = {"size_lots": size} | (of_symbol or {})
    made = tuple(make_symbol(name, **parameters) for name in symbol_names(symbols))
    if mode == "notional":
        return notional_config(made, limit, **changes)
    return Config(symbols=made, limit_units=limit, **changes)


@dataclass
class World:
    """One small system on a backend: its keys, its scripts, and processes with own clients."""

    backend: Backend
    config: Config
    keys: Keys = field(default_factory=Keys)
    setup: bool = True

    def __post_init__(self) -> None:
        self.client = self.backend.client()
        self.scripts = self.make_scripts()
        self._orders = 0
        if self.setup:
            self.set_up()

    def set_up(self, config: Config | None = None, system_id: str = SYSTEM_ID) -> str:
        """Run the set-up script; what it says it did."""
        return self.scripts.setup(config or self.config, system_id)

    def admit(self, *clients: str) -> list[str]:
        """Give these clients inboxes; those that had none."""
        return self.scripts.admit(SYSTEM_ID, Operator("ann"), "a test", clients)

    def send_to_inbox(self, client: str, *words: str) -> str:
        """Append an entry of orders, as ids and lines, to the client's inbox; its id."""
        inbox = self.keys.member("inbox:*", client)
        return text(execute(self.client, "XADD", inbox, "*", *words))

    # processes

    def beat(
        self, name: str, count: int = 0, live_ms: int = LIVE_MS, run: str = "", **changes: Any
    ) -> list[str]:
        """A heartbeat of a process of this name; the live processes of its kind."""
        kind = name.partition("-")[0]
        values: dict[str, Any] = {"run": run or name, "pid": 7, "count": count} | changes
        return self.scripts.heartbeat(Beat(SYSTEM_ID, name, kind, **values), live_ms)[1]

    def farewell(self, name: str, run: str = "", **changes: Any) -> None:
        """The farewell of a process of this name."""
        kind = name.partition("-")[0]
        values: dict[str, Any] = {"run": run or name, "pid": 7} | changes
        self.scripts.farewell(Beat(changes.get("system_id", SYSTEM_ID), name, kind, **values))

    def make_scripts(self) -> Scripts:
        """Scripts on a client of their own."""
        return Scripts(self.backend.client(), self.keys, shebang=self.backend.shebang)

    def _attached(self, process: Process) -> None:
        process.attach(self.make_scripts())

    def exchange(self, ident: str = "1") -> Exchange:
        """An exchange process, attached."""
        process = Exchange(self.backend.client, self.keys, ident, durability=self._durability)
        self._attached(process)
        return process

    def state(self, ident: str = "1") -> StateService:
        """A state process, attached."""
        process = StateService(self.backend.client, self.keys, ident, durability=self._durability)
        self._attached(process)
        return process

    def maker(self, ident: str = "1") -> Maker:
        """A maker process, attached, that looks at all of its symbols at every step."""
        process = Maker(self.backend.client, self.keys, ident, durability=self._durability)
        process.reconcile_s = 0.0
        self._attached(process)
        return process

    def archivist(self, directory: Path, ident: str = "1") -> Archivist:
        """An archivist process, attached, whose archive is in this directory."""
        process = Archivist(self.backend.client, self.keys, ident, durability=self._durability)
        process.directory = directory
        self._attached(process)
        return process

    def archive(self, directory: Path) -> Path:
        """Archive all that can be, and mark the positions, as a new archivist does; the file."""
        process = self.archivist(directory)
        while process.step():
            pass
        process.close()
        return directory / archive_name(None)

    @property
    def _durability(self) -> Literal["relaxed"] | None:
        # Fakeredis knows neither INFO nor CONFIG GET.
        return "relaxed" if self.backend.is_fake else None

    # orders

    def order(
        self,
        side: Side = "buy",
        qty: int = 1,
        limit: int | None = None,
        symbol: str = "AAA",
        client: str = "c1",
        order_id: str | None = None,
    ) -> Order:
        """An order, marketable unless a limit is given, with an id of its own."""
        self._orders += 1
        if limit is None:
            limit = 1_000_000 if side == "buy" else 1
        return Order(client, order_id or f"o{self._orders}", symbol, side, qty, limit)

    def send(self, *orders: Order) -> str:
        """Append the orders as one entry, as any client would; the entry's id."""
        words = [word for order in orders for word in (order.order_id, order.wire())]
        return self.send_raw(*words)

    def send_raw(self, *words: str | bytes) -> str:
        """Append one entry of these field names and values."""
        entry = execute(self.client, "XADD", self.keys.named("orders"), "*", *words)  # type: ignore[arg-type]  # bytes are words too
        return text(entry)

    def trade(self, *orders: Order) -> list[Report]:
        """Send the orders as one entry each, match them, and return the last report of each."""
        for order in orders:
            self.send(order)
        self.scripts.match(1000)
        return [self.report(order) for order in orders]

    # operators

    def control(self, mode: str, *symbols: str, why: str = "a test") -> Controlled:
        """Set the trading mode of these symbols, or of all."""
        return self.scripts.control(SYSTEM_ID, mode, Operator("ann"), why, symbols)

    def configure(self, **changes: Any) -> Configured:
        """Change these fields of the configuration, as an operator does."""
        stored = require_config(self.scripts)
        wanted = replace(stored, symbols=stored.traded)
        changed = config_changes(stored, replace(wanted, **changes))
        ann = Operator("ann")
        done = self.scripts.configure(SYSTEM_ID, stored.version, ann, "a test", changed)
        self.config = require_config(self.scripts)
        return done

    # quotes

    def proposal(
        self,
        symbol: str = "AAA",
        bid: int = 99,
        bid_lots: int | None = None,
        ask: int = 101,
        ask_lots: int | None = None,
        trigger: Trigger = "bootstrap",
        position_version: int | None = None,
        quote_version: int | None = None,
        maker: str = "maker-1",
        config_version: int | None = None,
    ) -> Proposal:
        """A proposal from what is committed now, unless versions are given."""
        size = self.config.symbol(symbol).size_lots if symbol in self.names else 10
        if position_version is None:
            position_version = int(self.hash("position:*", symbol).get("position_version", "0"))
        if quote_version is None:
            quote_version = int(self.hash("symbol:*", symbol).get("quote_version", "0"))
        prices = Prices(
            bid,
            size if bid_lots is None else bid_lots,
            ask,
            size if ask_lots is None else ask_lots,
        )
        if config_version is None:
            config_version = int(self.hash("config").get("config_version", "1"))
        versions = (position_version, quote_version)
        return Proposal(symbol, maker, trigger, *versions, prices, config_version)

    def propose(self, symbol: str = "AAA", **changes: Any) -> Placement:
        """Place a proposal; raises ProposalRefused."""
        return self.scripts.place(self.proposal(symbol, **changes))

    # reading

    @property
    def names(self) -> list[str]:
        """The configured symbols' names."""
        return [symbol.name for symbol in self.config.symbols]

    def now_ms(self) -> int:
        """The server's clock."""
        return server_ms(self.client)

    def advance(self, ms: int) -> None:
        """Let time pass on the server's clock."""
        self.backend.advance(ms)

    def hash(self, name: str, member: str | None = None) -> dict[str, str]:
        """A hash by catalogue name, as text."""
        key = self.keys.named(name) if member is None else self.keys.member(name, member)
        return pairs(execute_flat(self.client, "HGETALL", key))

    def ranked(self, name: str) -> dict[str, int]:
        """A sorted set by catalogue name: member -> score, in order."""
        key = self.keys.named(name)
        flat = execute(self.client, "ZRANGE", key, 0, -1)
        return {text(one): int(self.client.zscore(key, one) or 0) for one in flat}

    def stream(
        self, name: str, member: str | None = None
    ) -> list[tuple[str, list[tuple[str, str]]]]:
        """All entries of a stream, oldest first: id and its (name, value) records."""
        key = self.keys.named(name) if member is None else self.keys.member(name, member)
        return read_stream(self.client, key)

    def records(self, name: str, member: str | None = None) -> list[tuple[str, str]]:
        """All records of a stream, oldest first."""
        return [record for _, entry in self.stream(name, member) for record in entry]

    def events(self, symbol: str | None = None) -> list[dict[str, str]]:
        """The quote events, oldest first."""
        found = [dict(entry) for _, entry in self.stream("quotes")]
        return [event for event in found if symbol in (None, event["symbol"])]

    def reports(self, client: str = "c1") -> list[Report]:
        """All reports of a client, oldest first."""
        return [Report.parse(name, line) for name, line in self.records("reports:*", client)]

    def report(self, order: Order) -> Report:
        """The newest report of an order; fails when there is none."""
        found = [one for one in self.reports(order.client_id) if one.order_id == order.order_id]
        assert found, f"no report of {order}"
        return found[-1]

    def fills(self) -> list[Fill]:
        """The ledger, oldest first, what is archived with it."""
        found = StreamReader(self.scripts).ledger()
        return [Fill.parse(text(name), text(line)) for _, name, line in found]

    def kept_fills(self) -> list[Fill]:
        """The fills that the ledger's stream has, oldest first."""
        return [Fill.parse(name, line) for name, line in self.records("fills")]

    def position(self, symbol: str = "AAA") -> dict[str, int]:
        """The numbers of a committed position."""
        words = ("last_fill_id", "halted", "frozen_why", "trades")
        stored = self.hash("position:*", symbol)
        return {name: int(value) for name, value in stored.items() if name not in words}

    def mode(self, symbol: str = "AAA") -> str:
        """The symbol's own trading mode."""
        return take_snapshot(self.scripts).symbols[symbol].control.mode

    def reserved(self) -> tuple[int, int]:
        """The reserved totals: units to buy, units to sell."""
        stored = self.hash("exposure")
        return int(stored["bid_units"]), int(stored["ask_units"])

    def quote_lots(self, symbol: str = "AAA") -> tuple[int, int] | None:
        """Remaining lots to buy and to sell of the symbol's quote, or None without one."""
        stored = self.hash("quote:*", symbol)
        return (int(stored["bid_lots"]), int(stored["ask_lots"])) if stored else None

    def cursor(self, consumer: Literal["exchange", "state"]) -> str:
        """The last entry that the consumer has processed."""
        return self.hash("cursors").get(consumer, "0-0")

    def dump(self) -> Dump:
        """Every key of the system: type, whole content, and the instant of its expiry (or -1)."""
        return dump(self.client, self.keys)

    def drain(self, steps: int = 50) -> None:
        """Match and commit until nothing is left."""
        for _ in range(steps):
            if not self.scripts.match(1000).orders and not self.scripts.commit(1000).fills:
                return
        pytest.fail(f"still work after {steps} steps")


#: The fixture ``make_world``: takes the arguments of ``small_config``, and ``setup``.
MakeWorld = Callable[..., World]
