"""The check of what is quoted at the instant against trading modes and position limits."""

from __future__ import annotations

from collections.abc import Mapping

from mm.audit.tally import Tally, integer_or_none
from mm.market import MODES, own_mode, strictest
from mm.store import Keys, Raw


def check_modes(keys: Keys, raw: Raw, tally: Tally) -> None:
    """Judge the modes, and the quotes of symbols that may not trade freely."""
    of_all = _mode(keys.named("control"), raw.control, tally)
    for name, stored in raw.symbols.items():
        key = keys.member("terms:*", name)
        own = own_mode(_mode(key, stored.terms, tally), "flattened_ms" in stored.position)
        mode = strictest(of_all, own)
        tally.count("symbols")
        tally.optional_integers(key, stored.terms, "retired_ms")
        tally.expect(
            "retired_ms" not in stored.terms or own in ("flattening", "halted"),
            f"{key} mode {own!r}: a retired symbol is flattened or halted",
        )
        frozen_until_ms = integer_or_none(stored.position, "frozen_until_ms") or 0
        tally.optional_integers(
            keys.member("position:*", name), stored.position, "frozen_until_ms", "flattened_ms"
        )
        if frozen_until_ms > raw.now_ms:
            tally.count("frozen symbols")
            tally.expect(
                not stored.quote,
                f"{keys.member('quote:*', name)} is there although {name} is frozen",
            )
        if mode == "active":
            continue
        tally.count("symbols with a mode")
        if not stored.quote:
            continue
        key = keys.member("quote:*", name)
        if not tally.expect(mode != "halted", f"{key} is there although {name} is halted"):
            continue
        net = integer_or_none(stored.position, "net_lots")
        for side, most in (("bid", -(net or 0)), ("ask", net or 0)):
            lots = integer_or_none(stored.quote, f"{side}_lots")
            tally.expect(
                lots is not None and lots <= max(0, most),
                f"{key} {side}_lots {lots}: {name} is {mode} and has net {net}",
            )


def check_limits(keys: Keys, raw: Raw, tally: Tally) -> None:
    """position-limited: no complete fill of a quote would take the position past its limit.

    A quote is judged as it was placed, as long as no fill of it is committed.
    """
    for name, stored in raw.symbols.items():
        quote, key = stored.quote, keys.member("quote:*", name)
        limit = integer_or_none(stored.terms, "position_limit_lots")
        net = integer_or_none(stored.position, "net_lots")
        if limit is None or net is None or not quote:
            continue
        if quote.get("position_version") != stored.position.get("position_version"):
            continue
        tally.count("quotes")
        for side, position in (("bid", net), ("ask", -net)):
            size = integer_or_none(quote, f"{side}_size_lots")
            tally.expect(
                size is None or size <= max(0, limit - position),
                f"{key} {side}_size_lots {size}: {name} has net {net} and the limit {limit}",
            )


def _mode(key: str, fields: Mapping[str, str], tally: Tally) -> str:
    """The word for a mode in the fields; a violation when it is none."""
    mode = fields.get("mode", "active")
    tally.expect(mode in MODES, f"{key} mode {mode!r}: it must be one of {' '.join(MODES)}")
    return mode
