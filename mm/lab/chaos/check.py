"""What must hold after a fault: the system works again, and agrees with the publishers' journals.

A journal is compared with the ledger and the reports. It is a file of the publisher, and what the
publisher sent is drawn again from its seed. So neither rests on what the system has stored.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mm.errors import ValueRefused
from mm.market import Fill, Order, Report, Symbol
from mm.orders import Answer, FlowOptions, Intent, read_journal, synthetic_orders
from mm.store import Scripts, Snapshot, StreamReader, execute, text

_CHUNK = 5_000
#: The most violations that are shown; the others are counted.
MAX_SHOWN = 20


def why_not_converged(found: Snapshot) -> str:
    """Why the system has not converged; empty when it has.

    It has when nothing is left to process, and each symbol has a live quote or waits for exposure
    of which nothing is free.
    """
    if any(found.lag_ms.values()):
        return f"lag {found.lag_ms} ms"
    limit = found.exposure.limit_units
    free = {"bid": limit - found.exposure.bid_units, "ask": limit - found.exposure.ask_units}
    queues = {"bid": found.waiting_bid, "ask": found.waiting_ask}
    for name, state in found.symbols.items():
        if state.quote:
            continue
        waits = [side for side, queue in queues.items() if name in queue]
        if not waits or any(free[side] > 0 for side in waits):
            return f"{name} has no quote; waits for {waits or 'nothing'}, free {free}"
    return ""


@dataclass(frozen=True)
class Counts:
    """How much was compared. ``resends`` and ``duplicates`` leave out each first one."""

    orders: int = 0
    fills: int = 0
    acknowledged: int = 0
    resends: int = 0
    duplicates: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.orders + other.orders,
            self.fills + other.fills,
            self.acknowledged + other.acknowledged,
            self.resends + other.resends,
            self.duplicates + other.duplicates,
        )


class Sender:
    """One publisher as seen from outside: its journal, and the orders that its options make."""

    def __init__(self, journal: Path, symbols: Sequence[Symbol], flow: FlowOptions) -> None:
        self.journal = journal
        self._flow = synthetic_orders(symbols, flow)
        self._intents: list[Intent] = []

    def sent(self, client_id: str, order_id: str) -> Order | None:
        """The order that this publisher sends under this id; None when it sends none."""
        run, _, number = order_id.rpartition("-")
        if not (run and number.isdecimal() and 0 < int(number) <= 10_000_000):
            return None
        while len(self._intents) < int(number):
            self._intents.append(next(self._flow))
        return self._intents[int(number) - 1].order(client_id, order_id)

    def acknowledged(self) -> Iterator[Answer]:
        """The entries of its journal; none when it has no journal yet."""
        if self.journal.exists():
            yield from read_journal(self.journal)


@dataclass
class Findings:
    """What a comparison found."""

    counts: Counts = field(default_factory=Counts)
    violations: list[str] = field(default_factory=list)

    def wrong(self, violation: str) -> None:
        """Note a violation."""
        self.violations.append(violation)

    def first_violations(self) -> list[str]:
        """The first violations, and how many more there are."""
        more = len(self.violations) - MAX_SHOWN
        return self.violations[:MAX_SHOWN] + ([f"and {more} more"] if more > 0 else [])


def compare(scripts: Scripts, senders: Mapping[str, Sender]) -> Findings:
    """Compare journals, ledger, reports and orders, while no order is on its way.

    ``senders`` are by client id. The ledger must hold each acknowledged outcome exactly once and
    unchanged. Each fill must be of an order that its publisher sent. Each order must have a
    report, and every further report must repeat the first.
    """
    findings = Findings()
    # The journals are read first: what they acknowledge the server must hold by now.
    answers = {client: _journal(sender, findings) for client, sender in senders.items()}
    fills = _ledger(scripts, senders, findings)
    sends = _orders(scripts, findings)
    reports: dict[str, Report] = {}
    duplicates = 0
    for client in senders:
        duplicates += _reports(scripts, client, reports, findings)
    for client, journal in answers.items():
        for answer in journal:
            _judge(answer, senders[client], fills, reports, findings)
    for key in sends:
        if key not in reports:
            findings.wrong(f"order {key} has no report")
    for key, fill in fills.items():
        report = reports.get(key)
        if report is not None and report.fill_id != fill.fill_id:
            findings.wrong(f"order {key} is filled by {fill.fill_id}, reported {_shown(report)}")
        if key not in sends:
            findings.wrong(f"fill {fill.fill_id}: order {key} was never sent")
    findings.counts = Counts(
        orders=len(sends),
        fills=len(fills),
        acknowledged=sum(map(len, answers.values())),
        resends=sum(sends.values()) - len(sends),
        duplicates=duplicates,
    )
    return findings


def _journal(sender: Sender, findings: Findings) -> list[Answer]:
    answers: dict[str, Answer] = {}
    try:
        for answer in sender.acknowledged():
            order_id = answer.order.order_id
            if order_id in answers:
                findings.wrong(f"journal {sender.journal.name}: {order_id} is acknowledged twice")
            answers[order_id] = answer
    except ValueRefused as error:
        findings.wrong(str(error))
    return list(answers.values())


def _judge(
    answer: Answer,
    sender: Sender,
    fills: Mapping[str, Fill],
    reports: Mapping[str, Report],
    findings: Findings,
) -> None:
    """Check one acknowledged outcome."""
    order, report = answer.order, answer.report
    key = f"{order.client_id}/{order.order_id}"
    entry = f"journal: order {key} {_shown(report)}"
    if sender.sent(order.client_id, order.order_id) != order:
        findings.wrong(f"{entry}: {order.wire()} is not what the publisher sends under this id")
    first = reports.get(key)
    if first is None:
        findings.wrong(f"{entry}, but no report of it is left")
    elif _outcome(first) != _outcome(report):
        findings.wrong(f"{entry}, but the first report says {_shown(first)}")
    fill = fills.get(key)
    if report.status in ("filled", "partially_filled"):
        if fill is None:
            findings.wrong(f"{entry}, but the ledger has no fill of it")
        elif _acknowledged_trade(order, report) != _ledger_trade(fill):
            findings.wrong(f"{entry}, but the ledger says {fill}")
    elif fill is not None:
        findings.wrong(f"{entry}, but the ledger says {fill}")


def _acknowledged_trade(order: Order, report: Report) -> tuple[object, ...]:
    traded = (order.symbol, order.side, report.cum_lots, report.price_ticks)
    return (report.fill_id, report.quote_id, *traded)


def _ledger_trade(fill: Fill) -> tuple[object, ...]:
    traded = (fill.symbol, fill.side, fill.qty_lots, fill.price_ticks)
    return (fill.fill_id, fill.quote_id, *traded)


def _outcome(report: Report) -> tuple[object, ...]:
    """The part of a report that a duplicate repeats: all but the duplicate mark and the time."""
    traded = (report.cum_lots, report.price_ticks, report.fill_id, report.quote_id)
    return (report.status, report.reason, *traded)


def _shown(report: Report) -> str:
    what = f"{report.status} {report.cum_lots} lots at {report.price_ticks}"
    return f"{what} by {report.fill_id}" if report.fill_id else report.status


def _records(scripts: Scripts, key: str) -> Iterator[tuple[str, str]]:
    """All records of a packed stream, as (name, line)."""
    start = "-"
    while entries := execute(scripts.client, "XRANGE", key, start, "+", "COUNT", _CHUNK):
        for entry_id, fields in entries:
            start = f"({text(entry_id)}"
            for name, line in fields.items():
                yield text(name), text(line)


def _ledger(scripts: Scripts, senders: Mapping[str, Sender], findings: Findings) -> dict[str, Fill]:
    """The fills by order; each must be the only fill of an order that its publisher sent."""
    found: dict[str, Fill] = {}
    for _, name, record in StreamReader(scripts).ledger():
        fill_id, line = text(name), text(record)
        try:
            fill = Fill.parse(fill_id, line)
        except ValueError as error:
            findings.wrong(f"ledger: {error}")
            continue
        key = f"{fill.client_id}/{fill.order_id}"
        if key in found:
            findings.wrong(f"ledger: order {key} is filled twice: {found[key]} and {fill}")
            continue
        found[key] = fill
        sender = senders.get(fill.client_id)
        order = sender.sent(fill.client_id, fill.order_id) if sender else None
        if order is None:
            findings.wrong(f"ledger: nobody sends the order of {fill}")
        elif not _fits(order, fill):
            findings.wrong(f"ledger: {fill} is no fill of the order {order.wire()}")
    return found


def _fits(order: Order, fill: Fill) -> bool:
    better = order.limit_ticks - fill.price_ticks
    crosses = better >= 0 if order.side == "buy" else better <= 0
    same = (order.symbol, order.side) == (fill.symbol, fill.side)
    return same and crosses and 0 < fill.qty_lots <= order.qty_lots


def _orders(scripts: Scripts, findings: Findings) -> dict[str, int]:
    """How often each order was sent; its line must be the same each time."""
    sends: dict[str, int] = {}
    lines: dict[str, str] = {}
    for order_id, line in _records(scripts, scripts.keys.named("orders")):
        key = f"{line.partition(' ')[0]}/{order_id}"
        sends[key] = sends.get(key, 0) + 1
        if lines.setdefault(key, line) != line:
            findings.wrong(f"order {key} was sent as {lines[key]!r} and as {line!r}")
    return sends


def _reports(scripts: Scripts, client: str, first: dict[str, Report], findings: Findings) -> int:
    """Add a client's first reports to ``first``; returns how many further ones repeat them."""
    others = 0
    for order_id, line in _records(scripts, scripts.keys.member("reports:*", client)):
        key = f"{client}/{order_id}"
        try:
            report = Report.parse(order_id, line)
        except ValueError as error:
            findings.wrong(f"reports: order {key}: {line!r}: {error}")
            continue
        known = first.setdefault(key, report)
        if known is report:
            if report.duplicate:
                findings.wrong(f"reports: the first of order {key} is marked duplicate")
            continue
        others += 1
        if not report.duplicate:
            findings.wrong(f"reports: order {key} has two reports that are no duplicates")
        if _outcome(report) != _outcome(known):
            findings.wrong(f"reports: order {key} {_shown(report)}, first {_shown(known)}")
    return others


def refusals(logs: Path) -> Counter[str]:
    """How often each rule refused a maker's proposal, by the makers' logs."""
    found = Counter[str]()
    for path in logs.glob("maker-*.log*"):
        lines = path.read_text(encoding="utf-8")
        found.update(re.findall(r"^\S+ \S+ \S+ refused .*?\brule=(\w+)", lines, re.MULTILINE))
    return found
