"""Every Redis key of the system, built in this one place.

All keys begin with one hash tag (``{mm}`` by default), so that they all lie in one cluster slot. A
Lua script names the keys it needs in its ``KEYS`` header line and gets them from
:meth:`Keys.named`. A name that ends in ``:*`` is a family: the script gets its common prefix, and
appends a symbol, a client id or a bucket number.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from mm.errors import ValueRefused

#: What each key holds: name -> (Redis type, meaning). The reference is generated from it.
CATALOGUE: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "orders": ("stream", "the order API: order_id -> client_id symbol side lots limit"),
        "clients": ("hash", "the clients that have an inbox: orders taken from it, and when last"),
        "inbox:*": ("stream", "orders of one client, until the exchange takes them to orders"),
        "reports:*": ("stream", "execution reports of one client; bounded, expires when idle"),
        "fills": (
            "stream",
            "the ledger: fill_id -> what was filled; only archived fills leave it",
        ),
        "archive": (
            "hash",
            "the archive: which, where, and the last entry that left the ledger",
        ),
        "archived": (
            "hash",
            "symbol or stream -> its newest archived fill or entry: number, link in its chain",
        ),
        "positions": ("stream", "committed position updates; bounded"),
        "quotes": ("stream", "quote events: active, withdrawn, expired; bounded"),
        "deadletter": ("stream", "malformed orders and fills, as received; bounded"),
        "quote:*": ("hash", "the symbol's active quote; expires by itself"),
        "reservation:*": (
            "hash",
            "the exposure reserved for the symbol's quote, and what it waits for",
        ),
        "exposure": ("hash", "limit and reserved totals of both budgets, in units"),
        "expiry": ("zset", "symbols with an active quote, scored by the quote's expires_ms"),
        "waiting:bid": ("zset", "symbols waiting for long exposure, scored by when they began"),
        "waiting:ask": ("zset", "symbols waiting for short exposure, scored by when they began"),
        "position:*": ("hash", "the symbol's committed position, and what halts or freezes it"),
        "symbol:*": ("hash", "the newest numbers that the symbol's fills and quotes have"),
        "terms:*": ("hash", "the symbol's parameters and trading mode; only operators write it"),
        "cursors": ("hash", "of each consumer the last stream id processed, and how many records"),
        "seen:*": (
            "hash",
            "orders and their outcomes by client_id/order_id, a bucket for each window; expires",
        ),
        "window:*": ("list", "what a symbol with a protection traded lately; expires"),
        "config": ("hash", "what all processes must agree on"),
        "lease": ("hash", "of a partition: the units of the limit that it took and gave back"),
        "treasury": ("hash", "of all partitions: the units granted to each and received back"),
        "routes": ("hash", "of all partitions: symbol -> key prefix of its partition"),
        "control": ("hash", "the trading mode of all symbols; absent until an operator sets one"),
        "operations": ("stream", "who changed what, and why; bounded"),
        "processes": ("zset", "process names, scored by their last heartbeat"),
        "process:*": ("hash", "what a process reports of itself; expires"),
        "lifecycle": ("stream", "when processes and the server started and ended; bounded"),
        "server": ("hash", "the server's run id, as the processes last found it"),
    }
)

#: The packed streams: name -> (the name of a field, the words of its value in order). An entry is
#: one atomic step, and each of its fields is one record; the word ``-`` means no value.
RECORDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "orders": ("order_id", "client_id symbol side qty_lots limit_ticks"),
        "inbox:*": ("order_id", "client_id symbol side qty_lots limit_ticks"),
        "reports:*": (
            "order_id",
            "status reason cum_lots price_ticks fill_id quote_id duplicate ts_ms",
        ),
        "fills": (
            "fill_id",
            "side qty_lots price_ticks client_id order_id quote_id ts_ms spread_ticks",
        ),
        "positions": ("symbol", "net_lots cash_ticks position_version last_price_ticks ts_ms"),
    }
)

#: The named fields of the other streams and of the hashes: name -> field names.
FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "quotes": "event symbol quote_id quote_version outcome bid_ticks bid_lots ask_ticks"
        " ask_lots requested_bid_lots requested_ask_lots position_version fill_seq expires_ms"
        " maker_id trigger ts_ms cause mode",
        "deadletter": "source entry_id reason raw",
        "quote:*": "quote_id quote_version bid_ticks bid_lots ask_ticks ask_lots bid_size_lots"
        " ask_size_lots position_version expires_ms maker_id",
        "reservation:*": "quote_id bid_units ask_units expires_ms state bid_wanted_lots"
        " ask_wanted_lots bid_lot_units ask_lot_units event_id",
        "exposure": "limit_units bid_units ask_units wait_seq over_bid_units over_ask_units"
        " over_until_ms",
        "position:*": "net_lots cash_ticks cost_ticks position_version last_fill_id"
        " last_price_ticks updated_ms halted frozen_until_ms frozen_why flattened_ms"
        " twice_spread_ticks fair_ticks fair_rest trades",
        "symbol:*": "fill_seq quote_version outcome",
        "terms:*": "tick lot reference_ticks spread_ticks size_lots skew_ticks"
        " position_limit_lots widest_limit_lots protection_lots protection_loss_ticks multiplier"
        " notional_units fair_weight currency mode mode_why mode_who mode_ms retired_ms",
        "cursors": "exchange exchange_records state state_records seen_bucket trim_to trim_next"
        " trim_records",
        "process:*": "kind heartbeat_ms count rate_per_s pid run steady_ms lost restarts"
        " wants place trouble done",
        "lifecycle": "event process kind pid before_pid heard_ms ts_ms",
        "server": "run since_ms",
        "control": "mode mode_why mode_who mode_ms",
        "lease": "accepted returned due seq",
        "archive": "id file trimmed_to",
        "operations": "op symbol who role why before after ts_ms",
    }
)

DEFAULT_PREFIX = "{mm}"
_PREFIX = re.compile(r"\{[A-Za-z0-9._-]{1,32}\}")


@dataclass(frozen=True)
class Keys:
    """Key names under one hash tag, such as ``{mm}``.

    Raises :class:`~mm.errors.ValueRefused` when the prefix is not a hash tag.
    """

    prefix: str = DEFAULT_PREFIX

    def __post_init__(self) -> None:
        if not _PREFIX.fullmatch(self.prefix):
            raise ValueRefused(
                f"key prefix {self.prefix!r}: it must be one hash tag such as {DEFAULT_PREFIX}"
                " (braces round 1 to 32 letters, digits, '.', '_' or '-')"
            )

    def named(self, name: str) -> str:
        """The key of a catalogue name; for a family (``quote:*``) its common prefix."""
        if name not in CATALOGUE:
            raise KeyError(name)
        return f"{self.prefix}:{name.removesuffix('*')}"

    def partition(self, number: int) -> Keys:
        """The keys of one partition of the system: ``{mm}`` has ``{mm-0}``, ``{mm-1}`` and so on.

        ValueRefused when the prefix has no room for the number.
        """
        return Keys(f"{self.prefix[:-1]}-{number}}}")

    def member(self, family: str, member: str) -> str:
        """The key of one member of a family: ``member("quote:*", "AAPL")``."""
        return self.named(family) + member
