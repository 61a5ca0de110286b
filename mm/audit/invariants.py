"""The audit: every invariant, by name, judged for one instant.

One script call reads the state. The streams are read afterwards, in chunks, up to the ends that
they had at that instant: entries do not change. What has been trimmed is counted as beyond
retention. The audit writes nothing. It parses the stored bytes itself, since a shared parser could
hide a shared mistake.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from redis.exceptions import ResponseError

from mm.audit.archived import check_archive
from mm.audit.cursors import check_drained
from mm.audit.ledger import LedgerCheck
from mm.audit.marks import Marks, read_marks
from mm.audit.modes import check_limits, check_modes
from mm.audit.orders import OrderOnce
from mm.audit.outcomes import Executions
from mm.audit.quotes import QuoteCheck
from mm.audit.reservations import check_bounded, check_exact
from mm.audit.tally import Check, Tally, integer_or_none
from mm.audit.windows import check_windows
from mm.errors import SystemRefused
from mm.instant import timestamp
from mm.store import Raw, Scripts, StreamReader, read_raw

#: The invariants: name -> what always holds.
INVARIANTS = {
    "one-quote": "one quote per symbol, its version the newest; versions only grow",
    "exposure-bounded": "0 <= reserved total <= limit on each side",
    "exposure-exact": "totals = sum of reservations = remaining quantity of unexpired quotes",
    "archive-whole": "the archive has every fill that left the ledger; its rows are unaltered",
    "ledger-dense": "fill sequence per symbol is 1..n; n = fill_seq",
    "position-exact": "position = lots and cash of the ledger up to its version; no commit lost",
    "fills-within-quote": "fills stay within their quote's size, price and time",
    "order-once": "at most one outcome per order; its quantity = its fills <= its size",
    "gate-kept": "each quote was placed with every fill committed",
    "position-limited": "no position was ever past its limit",
    "mode-kept": "no quote while halted; quotes of a reducing symbol only shrink its position",
    "drained": "when quiescent, cursors stand at the ends of their streams",
}


@dataclass(frozen=True)
class Audit:
    """The verdicts on all invariants at the instant ``now_ms``, 0 when no state could be read.

    ``system_id`` and ``created_ms`` say which system was judged; they are empty text and 0 when
    they could not be read.
    """

    now_ms: int
    checks: tuple[Check, ...]
    system_id: str = ""
    created_ms: int = 0

    @property
    def ok(self) -> bool:
        """Whether there is no violation."""
        return all(check.ok for check in self.checks)

    def facts(self) -> dict[str, Any]:
        """The audit as plain values, for ``--json``."""
        return {
            "ok": self.ok,
            "now_ms": self.now_ms,
            "system_id": self.system_id,
            "created_ms": self.created_ms,
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


def audit_part(scripts: Scripts, quiescent: bool = False, since_ms: int | None = None) -> Audit:
    """Check every invariant of one partition, or of a system without partitions.

    With ``quiescent`` it also checks that nothing waits to be processed. With ``since_ms`` it reads
    the ledger from the newest marks before that instant on, and takes the positions there for
    granted. SystemRefused when the keys hold no system. Damage is a violation: keys that are
    missing or of a wrong type, and texts that must be numbers and are not. Errors of the connection
    are raised.
    """
    tallies = {name: Tally(name) for name in INVARIANTS}
    now_ms, system_id, created_ms = 0, "", 0
    try:
        raw = read_raw(scripts)
        now_ms = raw.now_ms
        system_id = raw.config.get("system_id", "")
        created_ms = integer_or_none(raw.config, "created_ms") or 0
        _check_all(StreamReader(scripts), raw, tallies, quiescent, since_ms)
    except SystemRefused as error:
        if not _holds_a_system(scripts):
            raise
        _nothing_judged(tallies, str(error))
    except ResponseError as error:
        _nothing_judged(tallies, f"a key changed its type during the audit: {error}")
    checks = tuple(tally.verdict() for tally in tallies.values())
    return Audit(now_ms, checks, system_id, created_ms)


def _holds_a_system(scripts: Scripts) -> bool:
    names = ("config", "exposure", "cursors", "fills", "quotes")
    return bool(scripts.client.exists(*map(scripts.keys.named, names)))


def _nothing_judged(tallies: dict[str, Tally], why: str) -> None:
    for tally in tallies.values():
        tally.violation(f"not judged: {why}")


def _check_all(
    reader: StreamReader,
    raw: Raw,
    tallies: dict[str, Tally],
    quiescent: bool,
    since_ms: int | None,
) -> None:
    keys = reader.keys
    if not raw.symbols:
        _nothing_judged(tallies, f"{keys.named('config')} symbols: it names none")
        return
    order_once = tallies["order-once"]
    # A window that cannot be read is a violation. Any other window serves to go on.
    window = order_once.integer(keys.named("config"), raw.config, "dedup_window_ms")
    executions = Executions(max(window or 1, 1), raw.now_ms)
    quotes = QuoteCheck(reader, raw, tallies)
    quotes.read_stream()
    sound = quotes.check_hashes()
    readable = check_archive(reader, raw, tallies["archive-whole"], since_ms)
    marks = read_marks(reader, since_ms) if readable else Marks({}, {})
    ledger = LedgerCheck(reader, raw, quotes.books, tallies, marks)
    if since_ms is not None and readable:
        unread = sum(start.number for start in marks.starts.values())
        tallies["ledger-dense"].note(
            f"{unread} fills before the marks of {timestamp(since_ms)} or earlier were not read"
        )
    ledger.walk(executions)
    executed = ledger.finish()
    check_bounded(keys, raw, tallies["exposure-bounded"])
    check_exact(keys, raw, tallies["exposure-exact"], sound, executed)
    if window:
        broken = set(raw.symbols) - set(executed)
        OrderOnce(reader, raw, order_once, executions, broken, marks).judge()
    check_modes(keys, raw, tallies["mode-kept"])
    check_windows(reader, raw, tallies["mode-kept"])
    check_limits(keys, raw, tallies["position-limited"])
    check_drained(reader, raw, tallies["drained"], quiescent)
