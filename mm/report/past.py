"""Everything that a report is made of, read in one pass over what is stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mm.facts import Periods
from mm.market import Fill
from mm.records import Entry, Range, Source, StreamName
from mm.report.incidents import (
    Incident,
    Rejected,
    first_life_ms,
    incidents_of,
    limit_changes,
    rejected,
)
from mm.report.latencies import Latencies
from mm.report.ledger import Ledger
from mm.report.quoting import Quoting
from mm.report.reconcile import Reconciliation, reconcile
from mm.report.texts import duration
from mm.report.walk import walk
from mm.store import Commit, QuoteEvent, Snapshot, pairs

#: Causes of a withdrawal that somebody wanted -> the words for what followed.
_WANTED = {"stopped": ", after an orderly stop", "operator_halt": ", after a halt by an operator"}


@dataclass(frozen=True)
class Past:
    """What a report shows of the range from ``begin_ms`` to ``end_ms``.

    The ledger is added up from its beginning, and reconciled with the positions at the instant of
    the snapshot, whatever the range is. ``limits`` are the steps of the exposure limit: since when,
    and how many units. ``lacking`` are the streams that no longer have all of the range.
    ``left_out`` counts, by stream, what is no record of this system.
    """

    snapshot: Snapshot
    wanted: Range
    begin_ms: int
    end_ms: int
    ledger: Ledger
    periods: Periods
    reconciliation: Reconciliation
    quoting: Quoting
    latencies: Latencies
    incidents: list[Incident]
    rejected: list[Rejected]
    limits: list[tuple[int, int]]
    lacking: set[StreamName]
    orders: int
    left_out: dict[StreamName, int] = field(default_factory=dict)

    @property
    def all_incidents(self) -> list[Incident]:
        """The incidents with the times in which no symbol was quoted, oldest first."""
        subject = "No symbol of this report" if self.wanted.symbols else "No symbol"
        silences = (
            Incident(
                one.since_ms,
                "operator" if one.cause in _WANTED else "market",
                f"{subject} was quoted for {duration(one.length_ms)}{_WANTED.get(one.cause, '')}.",
            )
            for one in self.quoting.silences
        )
        return sorted([*self.incidents, *silences], key=lambda one: one.ts_ms)

    @property
    def names(self) -> list[str]:
        """The symbols that the report is of."""
        return list(self.ledger.accounts)


def read_past(sources: Sequence[Source], snapshot: Snapshot, wanted: Range) -> Past:
    """Read what is stored of the range, and the ledger from its beginning."""
    since_ms, end_ms = wanted.since_ms, min(wanted.until_ms, _last_ms(snapshot))
    # Quotes of before the range may still stand when it begins.
    before_ms = max(since_ms - snapshot.config.quote_ttl_ms, 0)
    since: Mapping[StreamName, int] = {
        "orders": since_ms,
        "quotes": before_ms,
        "fills": 0,
        "positions": since_ms,
    }
    lacking = {name for name in since if any(source.lacks(name, since[name]) for source in sources)}
    first_ms = _first_ms(sources, since)
    begin_ms = min(max(since_ms, first_ms), end_ms)
    quotes_ms = begin_ms
    if "quotes" in lacking:
        # What stood before the first event that is kept is known once it must have expired.
        kept_ms = _first_of(sources, "quotes", before_ms) or begin_ms
        quotes_ms = min(max(begin_ms, kept_ms + snapshot.config.quote_ttl_ms), end_ms)
    ledger = Ledger(snapshot, wanted)
    symbols = {name: account.symbol for name, account in ledger.accounts.items()}
    limits = _limits(sources, wanted, snapshot, begin_ms)
    reader = _Reader(
        wanted,
        before_ms,
        ledger,
        Quoting(snapshot.config, symbols, quotes_ms, starts=quotes_ms == first_ms, limits=limits),
        Latencies(
            since_ms == 0 and "positions" not in lacking, since_ms == 0 and "quotes" not in lacking
        ),
    )
    for step in walk(sources, since):
        reader.read[step.stream](step.entry)
    ledger.foreign = reader.left_out.get("fills", 0)
    reader.quoting.close(end_ms)
    return Past(
        snapshot,
        wanted,
        begin_ms,
        end_ms,
        ledger,
        ledger.periods(),
        reconcile(ledger, snapshot, "fills" not in lacking),
        reader.quoting,
        reader.latencies,
        incidents_of(sources, wanted),
        rejected(sources, wanted),
        limits,
        lacking,
        reader.orders,
        reader.left_out,
    )


class _Reader:
    """Takes the entries in their order, and hands each record to those that count it."""

    def __init__(
        self,
        wanted: Range,
        before_ms: int,
        ledger: Ledger,
        quoting: Quoting,
        latencies: Latencies,
    ) -> None:
        self.quoting, self.latencies = quoting, latencies
        self.orders = 0
        self.left_out: dict[StreamName, int] = {}
        self.read = {
            "orders": self._orders,
            "quotes": self._quotes,
            "fills": self._fills,
            "positions": self._positions,
        }
        self._wanted, self._before_ms = wanted, before_ms
        self._ledger = ledger
        self._names = ledger.accounts.keys()

    def _leave_out(self, name: StreamName) -> None:
        self.left_out[name] = self.left_out.get(name, 0) + 1

    def _orders(self, entry: Entry) -> None:
        ts_ms = entry.entry_ms
        if not self._wanted.since_ms <= ts_ms < self._wanted.until_ms:
            return
        for order_id, line in entry.records:
            # What is malformed is a dead letter, and is shown as one.
            words = line.split(" ")
            if len(words) == 5 and words[1] in self._names:
                self.orders += 1
                self.latencies.order(words[0], order_id, ts_ms)

    def _quotes(self, entry: Entry) -> None:
        try:
            event = QuoteEvent.parse(entry.entry_id, pairs(entry.flat))
        except (KeyError, ValueError):
            self._leave_out("quotes")
            return
        if event.symbol not in self._names or event.ts_ms >= self._wanted.until_ms:
            return
        self.quoting.event(event)
        if event.event == "active":
            self.latencies.quote(event.symbol, event.position_version, event.ts_ms)

    def _fills(self, entry: Entry) -> None:
        for fill_id, line in entry.records:
            name = fill_id.rpartition("-")[0]
            if not self._wanted.of(name):
                continue
            try:
                fill = Fill.parse(fill_id, line)
            except ValueError:
                self._leave_out("fills")
                continue
            if name not in self._names:
                self._leave_out("fills")
                continue
            in_range = self._ledger.fill(fill)
            if self._before_ms <= fill.ts_ms < self._wanted.until_ms:
                self.quoting.fill(fill)
            if in_range:
                self.latencies.fill(name, fill.seq, fill.client_id, fill.order_id, fill.ts_ms)

    def _positions(self, entry: Entry) -> None:
        for name, line in entry.records:
            if name not in self._names:
                continue
            try:
                commit = Commit.parse(line)
            except ValueError:
                self._leave_out("positions")
                continue
            if commit.ts_ms < self._wanted.until_ms:
                self.latencies.commit(name, commit.version, commit.ts_ms)


def _first_of(sources: Sequence[Source], name: StreamName, since_ms: int) -> int | None:
    firsts = (next(iter(source.entries(name, since_ms)), None) for source in sources)
    return min((entry.entry_ms for entry in firsts if entry is not None), default=None)


def _first_ms(sources: Sequence[Source], since: Mapping[StreamName, int]) -> int:
    """The first instant that is known of the system."""
    known = [first_life_ms(sources), *(_first_of(sources, name, 0) for name in since)]
    return min((ms for ms in known if ms is not None), default=0)


def _last_ms(snapshot: Snapshot) -> int:
    """Until when the system is known to have run: its last entry or heartbeat."""
    entries = (int(one.last_id.partition("-")[0]) for one in snapshot.streams.values())
    heard = (one.heartbeat_ms for one in snapshot.processes.values())
    # An end of range is no longer included.
    return min(max((*entries, *heard), default=0) + 1, snapshot.now_ms + 1)


def _limits(
    sources: Sequence[Source], wanted: Range, snapshot: Snapshot, begin_ms: int
) -> list[tuple[int, int]]:
    """The exposure limit as steps, from its changes in the range and, behind it, the one now."""
    later = Range(since_ms=wanted.since_ms)
    changes = limit_changes(sources, later)
    first = changes[0][1] if changes else snapshot.config.limit_units
    return [(begin_ms, first), *((ms, after) for ms, _, after in changes if ms < wanted.until_ms)]
