"""The audit of orders: each executed once, remembered once, reported once, within its size.

Millions of records are compared by fingerprint; the few that a difference points at are read
again, so that every accusation rests on the records themselves.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise

from redis.exceptions import ResponseError

from mm.audit.fingerprints import Fingerprints, fingerprint
from mm.audit.outcomes import Executions, Outcome, ParsedReport, fits, parse_outcome, parse_report
from mm.audit.tally import Tally, digits, integer
from mm.store import Raw, StreamReader, execute, text

#: Orders whose outcomes are asked for at once.
_ASK = 1_000
#: Orders that do not fit their outcome, and are looked at again, at most.
_SUSPECTS = 10_000

_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")


class OrderOnce:
    """The check order-once; :meth:`judge` after the ledger has been walked."""

    def __init__(
        self, reader: StreamReader, raw: Raw, tally: Tally, executions: Executions
    ) -> None:
        self._reader, self._raw = reader, raw
        self._tally, self._executions = tally, executions
        self._window = executions.window
        self._seqs = {
            name.encode(): integer(stored.state, "fill_seq") or 0
            for name, stored in raw.symbols.items()
        }
        self._broken: set[bytes] = set()
        self._buckets: list[str] = []
        self._outcomes = Fingerprints()
        self._filled = Fingerprints()

    def judge(self, broken: set[str]) -> None:
        """Compare ledger, reports, memory and orders; ``broken`` ledgers are left out.

        Reports are read before the memory: whatever is reported is remembered by then.
        """
        self._broken = {name.encode() for name in broken}
        self._buckets = self._reader.members("seen:*")
        self._check_ledger()
        reports = self._read_reports()
        self._read_orders()
        self._read_memory()
        self._compare(*reports)

    def _after(self, outcome: Outcome) -> bool:
        """Whether the outcome is of a fill after the instant, or of a ledger with a fault."""
        if not outcome.filled:
            return False
        symbol, seq = outcome.symbol, outcome.seq
        return seq > self._seqs.get(symbol, seq) or symbol in self._broken

    def _alive(self, bucket: int) -> bool:
        """Whether the outcomes of this window are certainly still remembered now."""
        seconds, micros = execute(self._reader.client, "TIME")
        return (bucket + 2) * self._window > int(seconds) * 1000 + int(micros) // 1000

    # the ledger

    def _ledger(self) -> Iterator[tuple[bytes, bytes, list[bytes]]]:
        key, last_id = self._reader.keys.named("fills"), self._raw.streams["fills"].last_id
        for _, fill_id, line in self._reader.records(key, last_id):
            words = line.split(b" ")
            if len(words) == 7 and digits(words[6]):
                yield words[3] + b"/" + words[4], fill_id, words

    def _fills_of(self, marks: set[int]) -> dict[bytes, list[tuple[int, str]]]:
        """The fills of these orders, by order: time and fill id."""
        found: dict[bytes, list[tuple[int, str]]] = {}
        for order, fill_id, words in self._ledger() if marks else ():
            if fingerprint(order) in marks:
                found.setdefault(order, []).append((int(words[6]), text(fill_id)))
        return found

    def _check_ledger(self) -> None:
        executions = self._executions
        self._tally.count("fills", len(executions.fills))
        for order, fills in self._fills_of(executions.orders.repeated()).items():
            for (before, first), (after, second) in pairwise(fills):
                self._tally.expect(
                    first == second or after - before >= self._window,
                    f"order {text(order)} was executed twice: fills {first} and {second}",
                )

    # reports

    def _reports(self) -> Iterator[tuple[str, bytes, bytes, ParsedReport | None]]:
        """The reports: client, order_id, line, and what it tells."""
        for client in self._reader.members("reports:*"):
            key = self._reader.keys.member("reports:*", client)
            try:
                for _, name, line in self._reader.records(key, f"{2**63}-0"):
                    yield client, name, line, parse_report(line)
            except ResponseError as error:
                self._tally.violation(f"{key} cannot be read: {error}")

    def _read_reports(self) -> tuple[dict[int, Fingerprints], Fingerprints]:
        """Fingerprints of the outcomes told, by the window whose memory has them, and of fills."""
        remembered: defaultdict[int, Fingerprints] = defaultdict(Fingerprints)
        filled, first = Fingerprints(), Fingerprints()
        for client, name, line, told in self._reports():
            self._tally.count("reports")
            if told is None:
                said = f"reports of {client}, {text(name)}: {text(line)!r} is not an outcome"
                self._tally.violation(said)
                continue
            # Answers to ids that break the rule for ids share the name "-".
            if told.outcome.reason == b"bad_order_id" or self._after(told.outcome):
                continue
            order = client.encode() + b"/" + name
            # The outcome that a duplicate repeats may be one window older.
            bucket = told.ts_ms // self._window - told.again
            if (bucket + 2) * self._window > self._raw.now_ms:
                remembered[bucket].add(order, told.outcome.line)
            else:
                self._tally.count("reports whose outcome may be forgotten")
            if told.outcome.filled:
                filled.put(told.outcome.mark(order))
            if not told.again:
                first.add(order)
        self._check_first(first.repeated())
        return remembered, filled

    def _check_first(self, marks: set[int]) -> None:
        latest: dict[bytes, int] = {}
        for client, name, _, told in self._reports() if marks else ():
            order = client.encode() + b"/" + name
            if told is None or told.again or told.outcome.reason == b"bad_order_id":
                continue
            if fingerprint(order) in marks:
                self._tally.expect(
                    order not in latest or told.ts_ms - latest[order] >= self._window,
                    f"order {text(order)} has two reports that are not marked duplicate",
                )
                latest[order] = told.ts_ms

    # memory

    def _memory(self) -> Iterator[tuple[str, bytes, bytes, Outcome | None]]:
        """What is remembered: key, client_id/order_id, line, and what it says."""
        for bucket in self._buckets:
            key = self._reader.keys.member("seen:*", bucket)
            try:
                for order, line in self._reader.fields(key):
                    yield key, order, line, parse_outcome(line)
            except ResponseError as error:
                self._tally.violation(f"{key} cannot be read: {error}")

    def _read_memory(self) -> None:
        buckets: defaultdict[str, Fingerprints] = defaultdict(Fingerprints)
        for key, order, line, outcome in self._memory():
            self._tally.count("remembered outcomes")
            if outcome is None:
                self._tally.violation(f"{key} {text(order)} {text(line)!r}: it is not an outcome")
                continue
            buckets[key].add(order)
            self._outcomes.add(order, line)
            if outcome.filled and not self._after(outcome):
                self._filled.put(outcome.mark(order))
        names = sorted(buckets)
        for i, one in enumerate(names):
            for other in names[i + 1 :]:
                self._check_once(one, other, buckets[one].common(buckets[other]))

    def _check_once(self, one: str, other: str, marks: set[int]) -> None:
        for order, _ in self._reader.fields(one) if marks else ():
            if fingerprint(order) in marks:
                again = execute(self._reader.client, "HEXISTS", other, order)  # type: ignore[arg-type]  # bytes are words too
                self._tally.expect(
                    not again, f"order {text(order)} has two outcomes, in {one} and {other}"
                )

    # orders

    def _orders(self) -> Iterator[tuple[int, bytes, bytes]]:
        """The matched orders that have a name: ms of the entry, client_id/order_id, line."""
        cursor = self._raw.cursors.get("exchange", "0-0")
        for entry, name, line in self._reader.records(self._reader.keys.named("orders"), cursor):
            client = line.partition(b" ")[0]
            if _ID.fullmatch(name) and _ID.fullmatch(client):
                yield int(entry.partition(b"-")[0]), client + b"/" + name, line

    def _read_orders(self) -> None:
        suspects: dict[bytes, int] = {}
        chunk: list[tuple[int, bytes, bytes]] = []
        for order in self._orders():
            chunk.append(order)
            if len(chunk) == _ASK:
                self._check_orders(chunk, suspects)
                chunk = []
        self._check_orders(chunk, suspects)
        self._check_suspects(suspects)

    def _remembered(self, orders: list[bytes]) -> list[bytes | None]:
        found: list[bytes | None] = [None] * len(orders)
        for bucket in self._buckets:
            key = self._reader.keys.member("seen:*", bucket)
            try:
                reply = execute(self._reader.client, "HMGET", key, *orders)  # type: ignore[arg-type]  # bytes are words too
            except ResponseError:
                continue  # read_memory names the key
            found = [one or other for one, other in zip(found, reply, strict=True)]
        return found

    def _check_orders(
        self, chunk: list[tuple[int, bytes, bytes]], suspects: dict[bytes, int]
    ) -> None:
        outcomes = self._remembered([order for _, order, _ in chunk]) if chunk else []
        alive: dict[int, bool] = {}
        for (ms, order, line), found in zip(chunk, outcomes, strict=True):
            self._tally.count("orders")
            window = ms // self._window
            if found is None:
                if window not in alive:
                    alive[window] = self._alive(window)
                if alive[window] and ms <= self._raw.now_ms:
                    self._tally.violation(f"order {text(order)} was matched: no outcome remembered")
                else:
                    self._tally.count("orders whose outcome may be forgotten")
                continue
            outcome = parse_outcome(found)
            fit = outcome is None or self._after(outcome) or fits(line, outcome)
            if not fit and len(suspects) < _SUSPECTS:
                suspects.setdefault(order, ms)

    def _check_suspects(self, suspects: dict[bytes, int]) -> None:
        """Accuse those whose first record, the one that was executed, does not fit."""
        if not suspects:
            return
        fills = self._fills_of({fingerprint(order) for order in suspects})
        for ms, order, line in self._orders():
            if suspects.pop(order, None) is None:
                continue
            [found] = self._remembered([order])
            outcome = parse_outcome(found) if found else None
            executed = fills.get(order, [(0, "")])[0][0]
            if outcome is None or fits(line, outcome) or executed < ms:
                continue  # a later record of the same name: the first outcome is not its own
            self._tally.violation(
                f"order {text(order)} {text(line)!r} does not fit its outcome"
                f" {text(found or b'')!r}"
            )

    # the comparison

    def _compare(self, told: dict[int, Fingerprints], filled: Fingerprints) -> None:
        executions = self._executions
        self._name_memory(self._filled.missing_from(executions.fills))
        self._name_fills(self._forgotten(executions.remembered, self._filled))
        differing = self._forgotten(told, self._outcomes)
        self._name_reports(differing, filled.missing_from(executions.fills))

    def _forgotten(self, by_window: dict[int, Fingerprints], memory: Fingerprints) -> set[int]:
        """What the memory lacks although its window has not passed."""
        found: set[int] = set()
        for bucket, marks in by_window.items():
            if self._alive(bucket):
                found |= marks.missing_from(memory)
        return found

    def _name_memory(self, marks: set[int]) -> None:
        for key, order, line, outcome in self._memory() if marks else ():
            if outcome and outcome.filled and outcome.mark(order) in marks:
                said = f"{key} {text(order)} {text(line)!r}: the ledger has no such fill"
                self._tally.violation(said)

    def _name_fills(self, marks: set[int]) -> None:
        for order, fill_id, words in self._ledger() if marks else ():
            _, lots, price, _, _, quote, _ = words
            known = fill_id.rpartition(b"-")[0] not in self._broken
            if known and fingerprint(order, lots, price, fill_id, quote) in marks:
                self._tally.violation(
                    f"fill {text(fill_id)}: the outcome of its order {text(order)} is not"
                    " remembered, or is another"
                )

    def _name_reports(self, differing: set[int], unfilled: set[int]) -> None:
        for client, name, line, told in self._reports() if differing or unfilled else ():
            order = client.encode() + b"/" + name
            said = f"report of {text(order)} {text(line)!r}"
            if told is None or self._after(told.outcome):
                continue
            if fingerprint(order, told.outcome.line) in differing:
                self._tally.violation(f"{said}: the first outcome of the order is another")
            elif told.outcome.filled and told.outcome.mark(order) in unfilled:
                self._tally.violation(f"{said}: the ledger has no such fill")
