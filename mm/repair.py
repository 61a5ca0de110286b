"""Rebuilds what a halted symbol's keys must hold from its ledger."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mm.audit import audit
from mm.errors import SystemRefused
from mm.market import Fill, Position, own_mode, strictest
from mm.store import (
    REPAIRED_FIELDS,
    Fields,
    Operator,
    Raw,
    Scripts,
    StreamReader,
    read_raw,
    stream_id_order,
    text,
)


@dataclass(frozen=True)
class Finding:
    """What the keys of a symbol hold, and what its ledger says, each as text by field.

    A missing field is empty text. ``fills`` is the number of fills in the ledger.
    """

    symbol: str
    system_id: str
    fills: int
    found: dict[str, str]
    wanted: dict[str, str]

    @property
    def differing(self) -> dict[str, tuple[str, str]]:
        """The fields that are wrong: name -> what is found and what must be there."""
        return {
            name: (self.found[name], self.wanted[name])
            for name in REPAIRED_FIELDS
            if self.found[name] != self.wanted[name]
        }


def examine(scripts: Scripts, symbol: str) -> Finding:
    """Replay the ledger of a halted symbol.

    SystemRefused when the symbol is not configured or not halted, when fills of it wait for the
    state service, and when its ledger has a gap or a record that is no fill: then nothing can be
    rebuilt from it.
    """
    raw = read_raw(scripts)
    if symbol not in raw.symbols:
        raise SystemRefused(f"symbol {symbol}: it must be a configured one")
    stored = raw.symbols[symbol]
    if not stored.position.get("halted") and _mode(raw, symbol) != "halted":
        raise SystemRefused(
            f"{symbol} trades, so it is not repaired: halt it first, with"
            f" `mm halt {symbol} --why ...`"
        )
    position, last_fill_id = _replayed(scripts, raw, symbol)
    found = {
        name: (stored.state if name == "fill_seq" else stored.position).get(name, "")
        for name in REPAIRED_FIELDS
    }
    wanted = {
        "fill_seq": str(position.position_version),
        "net_lots": str(position.net_lots),
        "cash_ticks": str(position.cash_ticks),
        "cost_ticks": str(position.cost_ticks),
        "position_version": str(position.position_version),
        "last_fill_id": last_fill_id,
        "last_price_ticks": str(position.last_price_ticks),
        "twice_spread_ticks": str(position.twice_spread_ticks),
        "fair_ticks": str(position.fair_ticks),
        "fair_rest": str(position.fair_rest),
        "trades": position.trades_text,
    }
    system_id = raw.config.get("system_id", "")
    return Finding(symbol, system_id, position.position_version, found, wanted)


def _mode(raw: Raw, symbol: str) -> str:
    stored = raw.symbols[symbol]
    own = own_mode(stored.terms.get("mode", "active"), "flattened_ms" in stored.position)
    return strictest(raw.control.get("mode", "active"), own)


def _replayed(scripts: Scripts, raw: Raw, symbol: str) -> tuple[Position, str]:
    """The position that all fills of the symbol make, and the id of the last one."""
    reader, position, last_fill_id = StreamReader(scripts), Position(), "-"
    cursor = stream_id_order(raw.cursors.get("state", "0-0"))
    terms = Fields(reader.keys.member("terms:*", symbol), raw.symbols[symbol].terms)
    weight = terms.optional_integer("fair_weight") or 100
    for entry, name, line in reader.ledger(raw.streams["fills"].last_id):
        fill_id = text(name)
        if fill_id.rpartition("-")[0] != symbol:
            continue
        try:
            fill = Fill.parse(fill_id, text(line))
        except ValueError as error:
            raise _beyond_repair(symbol, f"{fill_id} in entry {text(entry)} is no fill") from error
        if fill.seq != position.position_version + 1:
            due = f"{symbol}-{position.position_version + 1}"
            raise _beyond_repair(symbol, f"{fill_id} stands where {due} must be")
        if stream_id_order(text(entry)) > cursor:
            raise SystemRefused(
                f"{symbol} is not repaired: its fill {fill_id} waits for the trading state service."
                " Let one run, and try again"
            )
        position = position.apply(fill.signed_lots, fill.price_ticks, fill.spread_ticks, weight)
        last_fill_id = fill_id
    return position, last_fill_id


def _beyond_repair(symbol: str, why: str) -> SystemRefused:
    return SystemRefused(
        f"the ledger of {symbol} is damaged, so nothing can be rebuilt from it: {why}. Restore the"
        " data from a backup"
    )


def repair(scripts: Scripts, finding: Finding, by: Operator, why: str) -> bool:
    """Put right what differs; whether anything did. SystemRefused as the script says."""
    found, wanted = finding.found, finding.wanted
    return scripts.repair(
        finding.system_id,
        finding.symbol,
        by,
        why,
        [found[name] for name in REPAIRED_FIELDS],
        [wanted[name] for name in REPAIRED_FIELDS],
    )


def check_repaired(scripts: Scripts, symbols: Sequence[str]) -> None:
    """SystemRefused when the audit finds anything that names one of the symbols.

    It is also raised when there are more violations than the audit lists: one of these may.
    """
    names = "|".join(re.escape(symbol) for symbol in symbols)
    # The names of fills and quotes begin with the symbol's.
    named = re.compile(rf"(?<![A-Z0-9._-])({names})(?![A-Z0-9._])")
    for check in audit(scripts).checks:
        for line in check.violations:
            if found := named.search(line):
                raise SystemRefused(
                    f"{found[1]} does not resume, since the audit finds {check.name} violated:"
                    f" {line}. See `mm repair {found[1]}`"
                )
        if check.total > len(check.violations):
            raise SystemRefused(
                f"{' '.join(symbols)}: not resumed, since the audit finds {check.name} violated"
                f" {check.total} times, more than it lists, so these symbols may be among them"
            )
