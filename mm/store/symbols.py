"""Many symbols read in short steps, for a reader that must never hold up trading."""

from __future__ import annotations

from collections.abc import Sequence

from mm.store.calls import pairs, send_pipeline
from mm.store.keys import Keys
from mm.store.raw import RawSymbol
from mm.store.scripts import Scripts
from mm.store.snapshot import SymbolState, symbol_state

#: Symbols of one round trip: the server serves others in between.
SLICE = 50
#: What is read of each symbol. Reservations are left out: they are in both budgets.
_FAMILIES = ("symbol:*", "position:*", "quote:*", "terms:*")


def read_symbols(scripts: Scripts, names: Sequence[str], now_ms: int) -> dict[str, SymbolState]:
    """The state of each of these symbols, without its reservation.

    They are read one after the other, so their instants differ; ``now_ms`` is when it began. A
    symbol without keys is left out. Raises errors of the connection, and SystemRefused as
    :func:`mm.store.take_snapshot` does.
    """
    found = {}
    for start in range(0, len(names), SLICE):
        part = names[start : start + SLICE]
        for name, stored in zip(part, _hashes(scripts, part), strict=True):
            if stored.state and stored.terms:
                found[name] = symbol_state(scripts.keys, name, stored, now_ms)
    return found


def _hashes(scripts: Scripts, names: Sequence[str]) -> list[RawSymbol]:
    keys: Keys = scripts.keys
    wanted = [("HGETALL", keys.member(family, name)) for name in names for family in _FAMILIES]
    replies = send_pipeline(scripts.client, wanted)
    for reply in replies:
        if isinstance(reply, Exception):
            raise reply
    found = []
    for place in range(0, len(replies), len(_FAMILIES)):
        state, position, quote, terms = (pairs(one) for one in replies[place : place + 4])
        found.append(RawSymbol(state, position, quote, {}, terms))
    return found
