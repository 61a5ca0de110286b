"""Every Redis key of the system, built in this one place.

All keys begin with one hash tag (``{mm}`` by default), so that any set of them lies in one
cluster slot. A Lua script names the keys it needs in its ``KEYS`` header line and gets them from
:meth:`Keys.named`; a name that ends in ``:*`` is a family, passed as its common prefix, to which
the script appends a symbol, a client id or a bucket number.
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
        "reports:*": ("stream", "execution reports of one client; bounded, expires when idle"),
        "fills": ("stream", "the ledger: fill_id -> what was filled; never trimmed"),
        "positions": ("stream", "committed position updates; bounded"),
        "quotes": ("stream", "quote events: active, withdrawn, expired; bounded"),
        "deadletter": ("stream", "what could not be an order or a fill, verbatim; bounded"),
        "quote:*": ("hash", "the symbol's active quote; carries a real expiry"),
        "reservation:*": (
            "hash",
            "the exposure reserved for the symbol's quote, and what it waits for",
        ),
        "exposure": ("hash", "limit and reserved totals of both budgets, in units"),
        "expiry": ("zset", "symbols with an active quote, scored by the quote's expires_ms"),
        "waiting:bid": ("zset", "symbols waiting for long exposure, scored by when they began"),
        "waiting:ask": ("zset", "symbols waiting for short exposure, scored by when they began"),
        "position:*": ("hash", "the symbol's committed position"),
        "symbol:*": ("hash", "fill_seq, quote_version, state and parameters of a symbol"),
        "cursors": ("hash", "per consumer the last stream id processed, and how many records"),
        "seen:*": ("hash", "first outcomes by client_id/order_id, one bucket a window; expires"),
        "config": ("hash", "what all processes must agree on"),
        "processes": ("zset", "process names, scored by their last heartbeat"),
        "process:*": ("hash", "what a process says of itself; expires"),
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

    def member(self, family: str, member: str) -> str:
        """The key of one member of a family: ``member("quote:*", "AAPL")``."""
        return self.named(family) + member
