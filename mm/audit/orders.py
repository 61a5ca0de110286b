"""The audit of orders: each executed once, remembered once, reported once, within its size.

Millions of records are compared by fingerprint. The few that differ are read again, so that every
violation rests on the records themselves.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import combinations, pairwise

from mm.audit.fingerprints import Fingerprints, fingerprint
from mm.audit.marks import Marks
from mm.audit.order_records import OrderRecords
from mm.audit.outcomes import Executions, Outcome, fits, has_content, parse_memory
from mm.audit.tally import Tally, integer_or_none
from mm.market import CONFLICT
from mm.store import Raw, StreamReader, text

#: Orders whose outcomes are asked for at once.
_BATCH = 1_000
_CONFLICT = CONFLICT.encode()
#: The reasons of answers to what is not remembered. Answers to ids that break the rule for ids
#: share the name "-". An order under another client's name never got into the orders.
_UNKNOWN = (b"bad_order_id", b"foreign_client")


class OrderOnce:
    """The check order-once; to be made and judged after the ledger has been walked.

    ``broken`` names the symbols whose ledger has a fault: their fills are left out. ``marks`` say
    from where on the ledger is read.
    """

    def __init__(
        self,
        reader: StreamReader,
        raw: Raw,
        tally: Tally,
        executions: Executions,
        broken: set[str],
        marks: Marks,
    ) -> None:
        self._raw, self._tally, self._executions = raw, tally, executions
        self._window = executions.window
        first_id = marks.first_id(list(raw.symbols))
        self._records = OrderRecords(reader, raw, tally, self._window, first_id)
        self._starts = {name.encode(): start.number for name, start in marks.starts.items()}
        self._seqs = {
            name.encode(): integer_or_none(stored.state, "fill_seq") or 0
            for name, stored in raw.symbols.items()
        }
        self._broken = {name.encode() for name in broken}
        # By window, the outcomes that reports name and that must still be remembered.
        self._reported: defaultdict[int, Fingerprints] = defaultdict(Fingerprints)
        self._reported_fills = Fingerprints()
        # The orders that have a report of a conflict: by window, and all of them.
        self._conflicts: defaultdict[int, Fingerprints] = defaultdict(Fingerprints)
        self._conflict_marks: set[int] = set()
        # By client, the time of its oldest retained report.
        self._oldest_ms: dict[bytes, int] = {}
        self._remembered_orders = Fingerprints()
        self._remembered = Fingerprints()
        self._remembered_fills = Fingerprints()

    def judge(self) -> None:
        """Compare ledger, reports, memory and orders."""
        self._check_ledger()
        # Reports before the memory: an order is remembered when its report is written.
        self._read_reports()
        self._check_orders()
        self._read_memory()
        self._compare()

    def _is_left_out(self, outcome: Outcome) -> bool:
        """Whether the outcome is of a fill that is not read, or of a ledger with a fault."""
        if not outcome.filled:
            return False
        symbol, seq = outcome.symbol, outcome.seq
        is_read = self._starts.get(symbol, 0) < seq <= self._seqs.get(symbol, seq)
        return not is_read or symbol in self._broken

    def _check_ledger(self) -> None:
        executions = self._executions
        self._tally.count("fills", len(executions.fills))
        for order, fills in self._records.fills_of(executions.orders.repeated()).items():
            for (before_ms, first), (after_ms, second) in pairwise(fills):
                self._tally.expect(
                    first == second or after_ms - before_ms >= self._window,
                    f"order {text(order)} was executed twice: fills {first} and {second}",
                )

    # --- reports

    def _read_reports(self) -> None:
        originals = Fingerprints()
        for order, line, report in self._records.reports():
            self._tally.count("reports")
            if report is None:
                self._tally.violation(f"report of {text(order)}: {text(line)!r} is not an outcome")
                continue
            self._oldest_ms.setdefault(order.partition(b"/")[0], report.ts_ms)
            if report.outcome.reason in _UNKNOWN or self._is_left_out(report.outcome):
                continue
            if report.outcome.reason == _CONFLICT:
                self._tally.count("conflicts")
                # The order that had the id first may be one window older.
                self._conflicts[report.ts_ms // self._window - 1].add(order)
                self._conflict_marks.add(fingerprint(order))
                continue
            # The outcome that a duplicate repeats may be one window older.
            bucket = report.ts_ms // self._window - report.duplicate
            if (bucket + 2) * self._window > self._raw.now_ms:
                self._reported[bucket].add(order, report.outcome.line)
            else:
                self._tally.count("reports whose outcome may be forgotten")
            if report.outcome.filled:
                self._reported_fills.add_mark(report.outcome.mark(order))
            if not report.duplicate:
                originals.add(order)
        self._check_originals(originals.repeated())

    def _check_originals(self, marks: set[int]) -> None:
        """Report the orders that have two reports within a window, neither marked duplicate."""
        latest_ms: dict[bytes, int] = {}
        for order, _, report in self._records.reports() if marks else ():
            if report is None or report.duplicate:
                continue
            if report.outcome.reason in (*_UNKNOWN, _CONFLICT):
                continue
            if fingerprint(order) in marks:
                self._tally.expect(
                    order not in latest_ms or report.ts_ms - latest_ms[order] >= self._window,
                    f"order {text(order)} has two reports that are not marked duplicate",
                )
                latest_ms[order] = report.ts_ms

    # --- memory

    def _read_memory(self) -> None:
        by_key: defaultdict[str, Fingerprints] = defaultdict(Fingerprints)
        for key, order, value, (_, outcome) in self._records.memory():
            self._tally.count("remembered outcomes")
            if outcome is None or outcome.reason in (*_UNKNOWN, _CONFLICT):
                self._tally.violation(f"{key} {text(order)} {text(value)!r}: it is not an outcome")
                continue
            by_key[key].add(order)
            self._remembered_orders.add(order)
            self._remembered.add(order, outcome.line)
            if outcome.filled and not self._is_left_out(outcome):
                self._remembered_fills.add_mark(outcome.mark(order))
        for first, second in combinations(sorted(by_key), 2):
            self._check_once(first, second, by_key[first].common(by_key[second]))

    def _check_once(self, first: str, second: str, marks: set[int]) -> None:
        for order in self._records.remembered_in(first) if marks else ():
            if fingerprint(order) in marks:
                self._tally.expect(
                    not self._records.is_remembered_in(second, order),
                    f"order {text(order)} has two outcomes, in {first} and {second}",
                )

    # --- orders

    def _check_orders(self) -> None:
        batch: list[tuple[int, bytes, bytes]] = []
        for record in self._records.orders():
            batch.append(record)
            if len(batch) == _BATCH:
                self._check_batch(batch)
                batch = []
        self._check_batch(batch)

    def _check_batch(self, batch: list[tuple[int, bytes, bytes]]) -> None:
        """Report the orders without an outcome, and those that cannot have had theirs."""
        found = self._records.remembered([order for _, order, _ in batch])
        alive: dict[int, bool] = {}
        for (ms, order, line), remembered in zip(batch, found, strict=True):
            self._tally.count("orders")
            window = ms // self._window
            if remembered is not None:
                self._check_order(ms, order, line, *remembered)
                continue
            if window not in alive:
                alive[window] = self._records.is_alive(window)
            if alive[window] and ms <= self._raw.now_ms:
                self._tally.violation(f"order {text(order)} was matched: no outcome remembered")
            else:
                self._tally.count("orders whose outcome may be forgotten")

    def _check_order(self, ms: int, order: bytes, line: bytes, window: int, value: bytes) -> None:
        """Compare an order with what is remembered under its id, since ``window``."""
        content, outcome = parse_memory(value)
        where = f"order {text(order)} {text(line)!r}"
        if content is None:
            self._tally.count("orders remembered without their content")
        elif outcome is None or self._is_left_out(outcome):
            return
        elif has_content(line, content):
            self._tally.expect(
                fits(line, outcome), f"{where} does not fit its outcome {text(outcome.line)!r}"
            )
        elif window <= ms // self._window and self._has_reports_since(order, ms):
            self._tally.expect(
                fingerprint(order) in self._conflict_marks,
                f"{where} is not the order that is remembered under its id, {text(content)!r}, and"
                f" no report says {CONFLICT}",
            )

    def _has_reports_since(self, order: bytes, ms: int) -> bool:
        """Whether every report since ``ms`` of the order's client is retained."""
        oldest_ms = self._oldest_ms.get(order.partition(b"/")[0])
        return oldest_ms is not None and oldest_ms <= ms

    # --- the comparison

    def _compare(self) -> None:
        fills = self._executions.fills
        self._report_memory(self._remembered_fills.missing_from(fills))
        self._report_fills(self._forgotten(self._executions.remembered, self._remembered_fills))
        differing = self._forgotten(self._reported, self._remembered)
        self._report_reports(differing, self._reported_fills.missing_from(fills))
        self._report_conflicts(self._forgotten(self._conflicts, self._remembered_orders))

    def _forgotten(self, by_window: dict[int, Fingerprints], memory: Fingerprints) -> set[int]:
        """What the memory lacks although its window has not passed."""
        marks: set[int] = set()
        for bucket, expected in by_window.items():
            if self._records.is_alive(bucket):
                marks |= expected.missing_from(memory)
        return marks

    def _report_memory(self, marks: set[int]) -> None:
        for key, order, line, (_, outcome) in self._records.memory() if marks else ():
            if outcome and outcome.filled and outcome.mark(order) in marks:
                self._tally.violation(
                    f"{key} {text(order)} {text(line)!r}: the ledger has no such fill"
                )

    def _report_fills(self, marks: set[int]) -> None:
        for order, fill_id, words in self._records.fills() if marks else ():
            lots, price, quote = words[1], words[2], words[5]
            broken = fill_id.rpartition(b"-")[0] in self._broken
            if not broken and fingerprint(order, lots, price, fill_id, quote) in marks:
                self._tally.violation(
                    f"fill {text(fill_id)}: the outcome of its order {text(order)} is not"
                    " remembered, or is another"
                )

    def _report_reports(self, differing: set[int], unfilled: set[int]) -> None:
        for order, line, report in self._records.reports() if differing or unfilled else ():
            if report is None or self._is_left_out(report.outcome):
                continue
            where = f"report of {text(order)} {text(line)!r}"
            if fingerprint(order, report.outcome.line) in differing:
                self._tally.violation(f"{where}: the first outcome of the order is another")
            elif report.outcome.filled and report.outcome.mark(order) in unfilled:
                self._tally.violation(f"{where}: the ledger has no such fill")

    def _report_conflicts(self, marks: set[int]) -> None:
        for order, line, report in self._records.reports() if marks else ():
            if report and report.outcome.reason == _CONFLICT and fingerprint(order) in marks:
                self._tally.violation(
                    f"report of {text(order)} {text(line)!r}: no order is remembered under its id"
                )
