"""The orders of one step, for a detailed log: what it did with each, and which quote answered.

The scripts reply with counts. So what a step did is read from the streams once more, which costs
about as much as the step. Only a process whose log has details does it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence

from mm.market import Fill, Order, Report
from mm.store import (
    Committed,
    Matched,
    Scripts,
    StreamReader,
    execute,
    parse_events,
    stream_id_order,
    text,
)

#: Values by name: what a line says beside its event.
Facts = dict[str, str | int]
#: Characters of a malformed order that a line has.
MAX_WORD = 100
#: A report's entry may have the time of a millisecond before that of its step.
SLACK_MS = 5
#: The most fills of a symbol that wait for a quote, and the most quote events of one read.
MAX_UNANSWERED, EVENTS = 1_000, 1_000
#: After every entry of a stream.
NOWHERE = (2**63, 0)


def name_of(client: str, order_id: str) -> str:
    """An order as every line names it: ``CLIENT_ID/ORDER_ID``."""
    return f"{client[:MAX_WORD]}/{order_id[:MAX_WORD]}"


def sent_order(order: Order) -> Facts:
    """What a publisher says of an order that it sends."""
    return {"order": name_of(order.client_id, order.order_id), "content": order.content}


def reported_order(client: str, report: Report) -> Facts:
    """What the report of an order says."""
    return {
        "order": name_of(client, report.order_id),
        "status": report.status,
        "reason": report.reason or "-",
        "lots": report.cum_lots,
        "price_ticks": report.price_ticks,
        "fill": report.fill_id or "-",
        "quote": report.quote_id or "-",
        "duplicate": int(report.duplicate),
    }


def matched_orders(scripts: Scripts, after: str, done: Matched) -> Iterator[Facts]:
    """The orders of one matching step: the last of those between an entry and the step's cursor."""
    reader = StreamReader(scripts)
    orders: deque[tuple[str, str, str]] = deque(maxlen=done.orders)
    for entry, flat in reader.entries(reader.keys.named("orders"), done.cursor, f"({after}"):
        for order_id, line in _records(flat):
            orders.append((text(entry), line.partition(" ")[0], order_id))
    reports = {
        client: _reports(reader, client, done.now_ms) for client in {one[1] for one in orders}
    }
    for entry_id, client, order_id in orders:
        facts: Facts = {"entry": entry_id, "order": name_of(client, order_id)}
        if found := reports[client].get(order_id):
            facts |= reported_order(client, found.popleft())
        yield facts


def _reports(reader: StreamReader, client: str, now_ms: int) -> dict[str, deque[Report]]:
    """The reports of one step for a client, by order id, in their order."""
    found: dict[str, deque[Report]] = {}
    key = reader.keys.member("reports:*", client)
    for _, flat in reader.entries(key, "+", str(max(0, now_ms - SLACK_MS))):
        for order_id, line in _records(flat):
            try:
                report = Report.parse(order_id, line)
            except ValueError:
                continue
            if report.ts_ms == now_ms:
                found.setdefault(order_id, deque()).append(report)
    return found


def committed_fills(scripts: Scripts, after: str, done: Committed) -> Iterator[Facts]:
    """The fills of one committing step: the last of those between an entry and its cursor."""
    reader = StreamReader(scripts)
    fills: deque[Fill] = deque(maxlen=done.fills)
    for _, fill_id, line in reader.records(reader.keys.named("fills"), done.cursor, f"({after}"):
        try:
            fill = Fill.parse(text(fill_id), text(line))
        except ValueError:
            continue
        # A step also reads the fills of halted symbols, which it does not apply.
        if fill.seq <= done.versions.get(fill.symbol, 0):
            fills.append(fill)
    for fill in fills:
        order = name_of(fill.client_id, fill.order_id)
        yield {"fill": fill.fill_id, "order": order, "position_version": fill.seq}


class AnsweringQuotes:
    """Of each committed fill the first quote from a position that includes it.

    The quotes stream is read only while a fill waits for its quote. Fills that waited when this
    process began, and the oldest ones of more than ``MAX_UNANSWERED``, are not followed.
    """

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts
        self._waiting: dict[str, deque[tuple[int, Facts]]] = {}
        self._read_to = NOWHERE

    def expect(self, fills: Iterable[Facts], committed_ms: int) -> Iterator[Facts]:
        """The same facts of fills, each of which is followed from now on."""
        for facts in fills:
            symbol, _, number = str(facts["fill"]).rpartition("-")
            # The quote comes after the commit. It may have been read already: the reply comes after
            # the commit, and a maker may be faster. So the events since are read again.
            self._read_to = min(self._read_to, (committed_ms - 1, 0))
            waiting = self._waiting.setdefault(symbol, deque(maxlen=MAX_UNANSWERED))
            waiting.append((int(number), {"fill": facts["fill"], "order": facts["order"]}))
            yield facts

    def found(self) -> Iterator[Facts]:
        """The fills that are answered, each with its quote; reads what is new, and never waits."""
        more = bool(self._waiting)
        while more:
            quotes, after = self._scripts.keys.named("quotes"), "{}-{}".format(*self._read_to)
            words = ("COUNT", EVENTS, "STREAMS", quotes, after)
            ((_, entries),) = execute(self._scripts.client, "XREAD", *words) or [("", [])]
            more = len(entries) == EVENTS
            for event in parse_events(entries):
                waiting = self._waiting.get(event.symbol, deque())
                # What says that such a quote has ended names it as well.
                while waiting and waiting[0][0] <= (version := event.position_version):
                    _, facts = waiting.popleft()
                    yield facts | {"quote": event.quote_id, "position_version": version}
            if entries:
                self._read_to = stream_id_order(text(entries[-1][0]))
        self._waiting = {symbol: left for symbol, left in self._waiting.items() if left}
        if not self._waiting:
            self._read_to = NOWHERE


def _records(flat: Sequence[bytes]) -> Iterator[tuple[str, str]]:
    words = [text(word) for word in flat]
    return iter(zip(words[::2], words[1::2], strict=True))
