"""Follows orders through the streams of one partition: what was when, in whole milliseconds.

Each sample is the last orders that were matched since the sample before, about ``MAX_ORDERS`` at
most. Up to so many a sample, it is all of them. Their reports are at the end of the reports streams
then. A fill is followed on to the committed position that includes it, and to the first quote from
that position or a later one. What cannot be known for sure is counted as lost, and never guessed.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mm.market import Report
from mm.metrics.counts import Counts
from mm.metrics.events import Events
from mm.metrics.tail import MAX_FIELDS, Tail, TailReader, named_fields
from mm.store import Commit, QuoteEvent, Scripts, execute, stream_id_order, text

#: The most orders of a sample.
MAX_ORDERS = 200
#: The most clients whose reports a sample reads.
MAX_CLIENTS = 20
#: The most fills that are followed at once.
MAX_FOLLOWED = 1_000
#: After so many looks without an answer a fill is followed no further.
MAX_LOOKS = 600


@dataclass
class Followed:
    """A fill on its way: its symbol and number, when its order came, and since when to look."""

    symbol: str
    number: int
    entered_ms: int
    since_ms: int
    looks: int = 0


#: What a stream says of a symbol: its version, and when, oldest first.
Versions = dict[str, list[tuple[int, int]]]


class Follower:
    """Reads one partition, in short reads, and adds to ``counts``. Errors are the client's.

    After an error it goes on where it was: what came meanwhile is read when the server answers.
    """

    def __init__(self, scripts: Scripts, counts: Counts) -> None:
        self._reader = TailReader(scripts)
        self._counts = counts
        self._events = Events(self._reader, counts)
        self._matched_to = ""
        self._to_commit: list[Followed] = []
        self._to_quote: list[Followed] = []
        self._odd: set[str] = set()

    @property
    def is_following(self) -> bool:
        """Whether fills are on their way, for which :meth:`look` should be called soon."""
        return bool(self._to_commit or self._to_quote)

    def begin_anew(self) -> None:
        """Follow nothing any more: the next sample finds where the streams end."""
        self._events.begin_anew()
        self._forget()

    def sample(self) -> None:
        """Take a sample, and count events; the first call only finds where the streams end.

        So does a call that finds another system, or a cursor that has gone back.
        """
        keys, client = self._reader.keys, self._reader.client
        matched_to = text(execute(client, "HGET", keys.named("cursors"), "exchange") or b"0-0")
        same = self._events.count()
        if same and stream_id_order(matched_to) >= stream_id_order(self._matched_to):
            self._follow_orders(matched_to)
        else:
            self._forget()
            self._matched_to = matched_to

    def _forget(self) -> None:
        """Give up the fills on their way."""
        self._counts.lost["position"] += len(self._to_commit)
        self._counts.lost["quote"] += len(self._to_quote)
        self._to_commit, self._to_quote = [], []

    def look(self) -> None:
        """Look whether the followed fills are committed, and answered by quotes."""
        self._follow_commits()
        self._follow_quotes()

    def _follow_orders(self, to: str) -> None:
        """Sample the orders that were matched since the last sample, with their reports."""
        if self._matched_to == to:
            return
        tail = self._tail("orders", f"({self._matched_to}", to, MAX_ORDERS)
        self._matched_to = to
        entered: dict[str, dict[str, int]] = {}
        for entry_id, flat in tail.entries:
            for order_id, line in zip(flat[::2], flat[1::2], strict=True):
                client, *content = line.split(" ")
                # What is no order has no report under its own id.
                if len(content) == 4:
                    entered.setdefault(client, {}).setdefault(order_id, _ms(entry_id))
        sampled = sorted(entered, key=lambda client: -len(entered[client]))
        try:
            for client in sampled[:MAX_CLIENTS]:
                # No report is older than its order.
                since_ms = min(entered[client].values())
                key = self._reader.keys.member("reports:*", client)
                tail = self._tail(key, str(since_ms), "+", MAX_FIELDS)
                self._follow_reports(self._reports(key, tail), entered.pop(client))
        finally:
            # Those of too many clients, and after an error those that it has kept from reading.
            self._counts.lost["report"] += sum(len(orders) for orders in entered.values())

    def _follow_reports(self, reports: Iterator[Report], entered: dict[str, int]) -> None:
        """Find the reports of a client's sampled orders."""
        wanted = dict(entered)
        for report in reports:
            entered_ms = wanted.get(report.order_id, report.ts_ms + 1)
            if report.ts_ms < entered_ms:
                continue
            del wanted[report.order_id]
            if report.duplicate:
                # The order was resent, and its first entry is not in the sample.
                continue
            self._counts.latency["report"].observe(report.ts_ms - entered_ms)
            symbol, _, number = report.fill_id.rpartition("-")
            if symbol:
                fill = Followed(symbol, int(number), entered_ms, report.ts_ms)
                self._add(self._to_commit, "position", fill)
        self._counts.lost["report"] += len(wanted)

    def _add(self, waiting: list[Followed], until: str, fill: Followed) -> None:
        if len(waiting) >= MAX_FOLLOWED:
            self._counts.lost[until] += 1
        else:
            waiting.append(fill)

    def _follow_commits(self) -> None:
        """Find the committed positions that include the followed fills."""
        if self._to_commit:
            tail = self._tail("positions", _since(self._to_commit), "+", MAX_FIELDS)
            found = self._settle(self._to_commit, "position", tail, _committed(tail))
            for fill, committed_ms in found:
                fill.since_ms, fill.looks = committed_ms, 0
                self._add(self._to_quote, "quote", fill)

    def _follow_quotes(self) -> None:
        """Find the first quotes from these positions."""
        if self._to_quote:
            tail = self._tail("quotes", _since(self._to_quote), "+", MAX_FIELDS)
            self._settle(self._to_quote, "quote", tail, _quoted(tail))

    def _settle(
        self, waiting: list[Followed], until: str, tail: Tail, versions: Versions
    ) -> list[tuple[Followed, int]]:
        """Observe the fills that have their answer in the tail; leave the others waiting."""
        settled, left = [], []
        for fill in waiting:
            found = versions.get(fill.symbol, [])
            place = next((i for i, (one, _) in enumerate(found) if one >= fill.number), None)
            # In what was left out there may be an earlier answer, unless the one before is seen.
            sure = tail.whole or (place is not None and place > 0)
            fill.looks += 1
            if place is not None and sure and found[place][1] >= fill.entered_ms:
                self._counts.latency[until].observe(found[place][1] - fill.entered_ms)
                settled.append((fill, found[place][1]))
            elif place is None and tail.whole and fill.looks < MAX_LOOKS:
                if tail.entries:
                    fill.since_ms = max(fill.since_ms, _ms(tail.entries[-1][0]))
                left.append(fill)
            else:
                self._counts.lost[until] += 1
        waiting[:] = left
        return settled

    def _tail(self, name: str, first: str, last: str, max_fields: int) -> Tail:
        """The end of a stream of this catalogue name, or of a client's reports by their key."""
        is_key = name.startswith(self._reader.keys.prefix)
        key = name if is_key else self._reader.keys.named(name)
        tail = self._reader.read(key, first, last, max_fields)
        if not tail.whole:
            self._counts.skips["reports" if is_key else name] += 1
        return tail

    def _reports(self, key: str, tail: Tail) -> Iterator[Report]:
        """The reports in a tail; other records are left out, and the first of a stream is said."""
        for entry_id, flat in tail.entries:
            for order_id, line in zip(flat[::2], flat[1::2], strict=True):
                try:
                    yield Report.parse(order_id, line)
                except ValueError:
                    if key not in self._odd:
                        self._odd.add(key)
                        logging.getLogger("mm.metrics").warning(
                            "%s: entry %s has what is no report, and is not followed: %.100r",
                            *(key, entry_id, line),
                        )


def _ms(entry_id: str) -> int:
    return stream_id_order(entry_id)[0]


def _since(waiting: Sequence[Followed]) -> str:
    return str(min(fill.since_ms for fill in waiting))


def _committed(tail: Tail) -> Versions:
    """The committed position versions of each symbol in a tail."""
    found: Versions = {}
    for _, flat in tail.entries:
        for symbol, line in zip(flat[::2], flat[1::2], strict=True):
            try:
                commit = Commit.parse(line)
            except ValueError:
                continue
            found.setdefault(symbol, []).append((commit.version, commit.ts_ms))
    return found


def _quoted(tail: Tail) -> Versions:
    """The position versions of the quotes of each symbol in a tail."""
    found: Versions = {}
    for entry_id, flat in tail.entries:
        try:
            event = QuoteEvent.parse(entry_id, named_fields(flat))
        except (KeyError, ValueError):
            continue
        if event.event == "active":
            found.setdefault(event.symbol, []).append((event.position_version, event.ts_ms))
    return found
