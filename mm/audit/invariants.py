"""The audit: every invariant of the contract by name, judged of one instant.

The state is one script's reply. The streams are read afterwards, in chunks, up to the ends that
they had at the instant: what stands there does not change. What has been trimmed is counted as
beyond retention. Nothing is written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from redis.exceptions import ResponseError

from mm.audit.ledger import Ledger
from mm.audit.orders import OrderOnce
from mm.audit.outcomes import Executions
from mm.audit.quotes import check_quotes, read_books
from mm.audit.reservations import check_bounded, check_drained, check_exact
from mm.audit.tally import Check, Tally
from mm.errors import SystemRefused
from mm.store import Raw, Scripts, StreamReader, read_raw

#: The invariants of the contract: name -> what holds.
INVARIANTS = {
    "one-quote": "one quote per symbol, its version the newest; versions only grow",
    "exposure-bounded": "0 <= reserved total <= limit on each side",
    "exposure-exact": "totals = sum of reservations = remaining quantity of unexpired quotes",
    "ledger-dense": "fill sequence per symbol is 1..n; n = fill_seq",
    "position-exact": "position = lots and cash of the ledger up to its version; no commit lost",
    "fills-within-quote": "fills stay within their quote's size, price and time",
    "order-once": "at most one outcome per order; its quantity = its fills <= its size",
    "gate-kept": "each quote was placed with every fill committed",
    "position-limited": "no position was ever past its limit",
    "drained": "when quiescent, cursors stand at the ends of their streams",
}


@dataclass(frozen=True)
class Audit:
    """The verdicts on all invariants at the instant ``now_ms`` (0 when no state could be read)."""

    now_ms: int
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether there is no violation."""
        return all(check.ok for check in self.checks)

    def facts(self) -> dict[str, Any]:
        """The audit for ``--json``."""
        return {
            "ok": self.ok,
            "now_ms": self.now_ms,
            "checks": [
                {
                    "name": check.name,
                    "ok": check.ok,
                    "checked": check.checked,
                    "violations": list(check.violations),
                    "violation_count": check.total,
                    "notes": list(check.notes),
                }
                for check in self.checks
            ],
        }


def audit(scripts: Scripts, quiescent: bool = False) -> Audit:
    """Check every invariant; ``quiescent`` also judges that nothing waits to be processed.

    SystemRefused when the keys hold nothing of a system; keys that are missing, of a wrong type or
    with texts that are no numbers are violations. Redis errors of the connection are raised.
    """
    tallies = {name: Tally(name) for name in INVARIANTS}
    now_ms = 0
    try:
        raw = read_raw(scripts)
        now_ms = raw.now_ms
        _check(StreamReader(scripts), raw, tallies, quiescent)
    except SystemRefused as error:
        if not _anything(scripts):
            raise
        _unjudged(tallies, str(error))
    except ResponseError as error:
        _unjudged(tallies, f"a key changed its type during the audit: {error}")
    return Audit(now_ms, tuple(tally.freeze() for tally in tallies.values()))


def _anything(scripts: Scripts) -> bool:
    names = ("config", "exposure", "cursors", "fills", "quotes")
    return bool(scripts.client.exists(*map(scripts.keys.named, names)))


def _unjudged(tallies: dict[str, Tally], why: str) -> None:
    for tally in tallies.values():
        tally.violation(f"not judged: {why}")


def _check(reader: StreamReader, raw: Raw, tallies: dict[str, Tally], quiescent: bool) -> None:
    keys = reader.keys
    once = tallies["order-once"]
    if not raw.symbols:
        _unjudged(tallies, f"{keys.named('config')} symbols: it names none")
        return
    # A window that cannot be read is a violation; any other then serves to go on.
    window = once.integer(keys.named("config"), raw.config, "dedup_window_ms")
    executions = Executions(max(window or 1, 1), raw.now_ms)
    books = read_books(reader, raw, tallies["one-quote"], tallies["gate-kept"])
    sound = check_quotes(reader, raw, books, tallies["one-quote"])
    ledger = Ledger(reader, raw, books, tallies)
    ledger.walk(executions)
    executed = ledger.finish()
    check_bounded(keys, raw, tallies["exposure-bounded"])
    check_exact(keys, raw, tallies["exposure-exact"], sound, executed)
    if window:
        OrderOnce(reader, raw, once, executions).judge(set(raw.symbols) - set(executed))
    check_drained(keys, raw, tallies["drained"], quiescent)
