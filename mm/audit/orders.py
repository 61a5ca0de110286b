"""The audit of orders: each executed once, remembered once, reported once, within its size.

Millions of records are compared by fingerprint. The few that differ are read again, so that every
violation rests on the records themselves.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import combinations, pairwise

from mm.audit.fingerprints import Fingerprints, fingerprint
from mm.audit.order_records import OrderRecords
from mm.audit.outcomes import Executions, Outcome, fits, parse_outcome
from mm.audit.tally import Tally, integer_or_none
from mm.store import Raw, StreamReader, text

#: Orders whose outcomes are asked for at once.
_BATCH = 1_000
#: Orders that do not fit their outcome and are looked at again, at most.
_MAX_SUSPECTS = 10_000


class OrderOnce:
    """The check order-once; to be made and judged after the ledger has been walked.

    ``broken`` names the symbols whose ledger has a fault: their fills are left out.
    """

    def __init__(
        self,
        reader: StreamReader,
        raw: Raw,
        tally: Tally,
        executions: Executions,
        broken: set[str],
    ) -> None:
        self._raw, self._tally, self._executions = raw, tally, executions
        self._window = executions.window
        self._records = OrderRecords(reader, raw, tally, self._window)
        self._seqs = {
            name.encode(): integer_or_none(stored.state, "fill_seq") or 0
            for name, stored in raw.symbols.items()
        }
        self._broken = {name.encode() for name in broken}
        # By window, the outcomes that reports name and that must still be remembered.
        self._reported: defaultdict[int, Fingerprints] = defaultdict(Fingerprints)
        self._reported_fills = Fingerprints()
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
        """Whether the outcome is of a fill after the instant, or of a ledger with a fault."""
        if not outcome.filled:
            return False
        symbol, seq = outcome.symbol, outcome.seq
        return seq > self._seqs.get(symbol, seq) or symbol in self._broken

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
            # Answers to ids that break the rule for ids share the name "-".
            if report.outcome.reason == b"bad_order_id" or self._is_left_out(report.outcome):
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
            if report is None or report.duplicate or report.outcome.reason == b"bad_order_id":
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
        for key, order, line, outcome in self._records.memory():
            self._tally.count("remembered outcomes")
            if outcome is None:
                self._tally.violation(f"{key} {text(order)} {text(line)!r}: it is not an outcome")
                continue
            by_key[key].add(order)
            self._remembered.add(order, line)
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
        suspects: dict[bytes, int] = {}
        batch: list[tuple[int, bytes, bytes]] = []
        for record in self._records.orders():
            batch.append(record)
            if len(batch) == _BATCH:
                self._check_batch(batch, suspects)
                batch = []
        self._check_batch(batch, suspects)
        self._check_suspects(suspects)

    def _check_batch(
        self, batch: list[tuple[int, bytes, bytes]], suspects: dict[bytes, int]
    ) -> None:
        """Report the orders without an outcome; note those that do not fit theirs as suspects."""
        lines = self._records.remembered([order for _, order, _ in batch])
        alive: dict[int, bool] = {}
        for (ms, order, line), remembered in zip(batch, lines, strict=True):
            self._tally.count("orders")
            window = ms // self._window
            if remembered is None:
                if window not in alive:
                    alive[window] = self._records.is_alive(window)
                if alive[window] and ms <= self._raw.now_ms:
                    self._tally.violation(f"order {text(order)} was matched: no outcome remembered")
                else:
                    self._tally.count("orders whose outcome may be forgotten")
                continue
            outcome = parse_outcome(remembered)
            fit = outcome is None or self._is_left_out(outcome) or fits(line, outcome)
            if not fit and len(suspects) < _MAX_SUSPECTS:
                suspects.setdefault(order, ms)

    def _check_suspects(self, suspects: dict[bytes, int]) -> None:
        """Report orders whose executed (first) record contradicts the outcome."""
        if not suspects:
            return
        fills = self._records.fills_of({fingerprint(order) for order in suspects})
        for ms, order, line in self._records.orders():
            if suspects.pop(order, None) is None:
                continue
            [remembered] = self._records.remembered([order])
            outcome = parse_outcome(remembered) if remembered else None
            executed_ms = fills.get(order, [(0, "")])[0][0]
            if outcome is None or fits(line, outcome) or executed_ms < ms:
                continue  # A later record with the same id: the outcome belongs to the first.
            self._tally.violation(
                f"order {text(order)} {text(line)!r} does not fit its outcome"
                f" {text(remembered or b'')!r}"
            )

    # --- the comparison

    def _compare(self) -> None:
        fills = self._executions.fills
        self._report_memory(self._remembered_fills.missing_from(fills))
        self._report_fills(self._forgotten(self._executions.remembered, self._remembered_fills))
        differing = self._forgotten(self._reported, self._remembered)
        self._report_reports(differing, self._reported_fills.missing_from(fills))

    def _forgotten(self, by_window: dict[int, Fingerprints], memory: Fingerprints) -> set[int]:
        """What the memory lacks although its window has not passed."""
        marks: set[int] = set()
        for bucket, expected in by_window.items():
            if self._records.is_alive(bucket):
                marks |= expected.missing_from(memory)
        return marks

    def _report_memory(self, marks: set[int]) -> None:
        for key, order, line, outcome in self._records.memory() if marks else ():
            if outcome and outcome.filled and outcome.mark(order) in marks:
                self._tally.violation(
                    f"{key} {text(order)} {text(line)!r}: the ledger has no such fill"
                )

    def _report_fills(self, marks: set[int]) -> None:
        for order, fill_id, words in self._records.fills() if marks else ():
            _, lots, price, _, _, quote, _ = words
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
