"""The checks after a fault find every difference."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mm.lab.chaos.check import Sender, compare, why_not_converged
from mm.market import Order
from mm.orders import FlowOptions, Journal, PartitionClient, read_journal
from mm.store import execute, take_snapshot
from tests.kit import Fake, World, small_config

FLOW = FlowOptions(rate_per_s=0, seed=5)
ORDERS = 30


class Traded:
    """A small world in which one publisher's orders were traded and journaled."""

    def __init__(self, fake: Fake, directory: Path) -> None:
        self.world = World(fake, small_config(2, size=40, limit=100))
        self.sender = Sender(directory / "journal", self.world.config.symbols, FLOW)
        self.sent = [self.order(number) for number in range(1, ORDERS + 1)]
        exchange, state, maker = self.world.exchange(), self.world.state(), self.world.maker()
        client = PartitionClient(self.world.backend.client(), self.world.keys, "p1")
        book = Journal(self.sender.journal)
        for number, order in enumerate(self.sent):
            if number % 8 == 0:
                # Once to learn where the streams end, once to quote.
                maker.step()
                maker.step()
            client.send([order])
            exchange.step()
            state.step()
            book.write(client.trade([]))
        book.close()

    def order(self, number: int) -> Order:
        """The order that the flow makes under this number."""
        order = self.sender.sent("p1", f"run-{number}")
        assert order is not None
        return order

    def found(self) -> list[str]:
        """The violations."""
        return compare(self.world.scripts, {"p1": self.sender}).violations

    def change(self, stream: str, skip: int, old: str, new: str) -> None:
        """Rewrite a stream with one of its records changed, or left out if ``new`` is empty."""
        key = self.world.keys.named(stream)
        if stream == "reports:*":
            key = self.world.keys.member(stream, "p1")
        client = self.world.client
        records = self.world.records("reports:*", "p1") if ":" in stream else []
        records = records or self.world.records(stream)
        found = [record for record in records if old in " ".join(record)][skip]
        client.delete(key)
        for record in records:
            changed = " ".join(record).replace(old, new, 1) if record is found else " ".join(record)
            if new or record is not found:
                execute(client, "XADD", key, "*", *changed.split(" ", 1))

    def add(self, stream: str, name: str, line: str) -> None:
        """Append a record."""
        key = self.world.keys.named(stream) if stream == "fills" else ""
        key = key or self.world.keys.member("reports:*", "p1")
        execute(self.world.client, "XADD", key, "*", name, line)

    def note(self, change: Callable[[list[str]], list[str]]) -> None:
        """Rewrite the journal."""
        lines = change(self.sender.journal.read_text().splitlines())
        self.sender.journal.write_text("".join(line + "\n" for line in lines))


@pytest.fixture
def traded(fake: Fake, tmp_path: Path) -> Traded:
    """Orders that filled, partly filled and did not, all acknowledged."""
    made = Traded(fake, tmp_path)
    statuses = {one.report.status for one in read_journal(made.sender.journal)}
    assert {"filled", "canceled"} <= statuses
    return made


def first_fill(traded: Traded) -> str:
    """A fill and its line, as the ledger has them."""
    return " ".join(traded.world.records("fills")[0])


def canceled(traded: Traded) -> str:
    """The id of an order that was canceled."""
    answers = read_journal(traded.sender.journal)
    return next(one.order.order_id for one in answers if one.report.status == "canceled")


def test_a_true_journal_agrees(traded: Traded) -> None:
    """Nothing is found where nothing is wrong, and everything is counted."""
    findings = compare(traded.world.scripts, {"p1": traded.sender})
    assert findings.violations == []
    counts = findings.counts
    assert (counts.orders, counts.acknowledged, counts.resends) == (ORDERS, ORDERS, 0)
    assert counts.fills == len(traded.world.fills())


def test_resends_and_duplicate_reports_are_no_violation(traded: Traded) -> None:
    """An order sent again has a second report that repeats the first, and is counted."""
    traded.world.trade(traded.sent[0], traded.sent[1])
    findings = compare(traded.world.scripts, {"p1": traded.sender})
    assert findings.violations == []
    assert (findings.counts.resends, findings.counts.duplicates) == (2, 2)


TAMPERING: dict[str, tuple[Callable[[Traded], None], str]] = {
    "a fill is gone": (
        lambda t: t.change("fills", 0, first_fill(t), ""),
        "the ledger has no fill of it",
    ),
    "a fill has another id": (lambda t: t.change("fills", 0, "AAA-1 ", "AAA-77 "), "ledger says"),
    "a fill is of another quote": (
        lambda t: t.change("fills", 0, "AAA-1 1", "AAA-9 1"),
        "ledger says",
    ),
    "a fill is of the other side": (
        lambda t: t.change("fills", 0, " buy ", " sell "),
        "is no fill of the order",
    ),
    "a fill without an order": (
        lambda t: t.add("fills", "AAA-99", f"buy 1 1 p1 run-{ORDERS + 9} AAA-1 1"),
        "was never sent",
    ),
    "a fill of nobody": (
        lambda t: t.add("fills", "AAA-99", "buy 1 1 p9 run-1 AAA-1 1"),
        "nobody sends the order",
    ),
    "a fill of a canceled order": (
        lambda t: t.add("fills", "AAA-99", f"buy 1 1 p1 {canceled(t)} AAA-1 1"),
        "canceled, but the ledger says",
    ),
    "an order filled twice": (
        lambda t: t.add("fills", "AAA-99", first_fill(t).split(" ", 1)[1]),
        "is filled twice",
    ),
    "rubbish in the ledger": (lambda t: t.add("fills", "AAA-99", "a b c"), "ledger: "),
    "a report is gone": (lambda t: t.change("reports:*", 0, "run-3 ", ""), "has no report"),
    "an outcome that changed": (
        lambda t: t.change("reports:*", 0, "canceled not_crossing", "canceled no_quote"),
        "but the first report says",
    ),
    "a duplicate that does not repeat": (
        lambda t: t.add("reports:*", "run-1", "canceled expired 0 - - - 1 9"),
        "reports: order p1/run-1",
    ),
    "a second outcome": (
        lambda t: t.add("reports:*", "run-1", "canceled expired 0 - - - 0 9"),
        "has two reports that are no duplicates",
    ),
    "an order that the flow does not make": (
        lambda t: t.note(
            lambda lines: [
                re.sub(r"^(run-2 p1 .* )\d+ (?=[fpcr])", r"\g<1>7 ", one) for one in lines
            ]
        ),
        "is not what the publisher sends",
    ),
    "acknowledged twice": (
        lambda t: t.note(lambda lines: [*lines, lines[4]]),
        "acknowledged twice",
    ),
    "acknowledged, not sent": (
        lambda t: t.note(
            lambda lines: [*lines, re.sub(r"^run-\d+", f"run-{ORDERS + 1}", lines[0])]
        ),
        "no report of it is left",
    ),
    "rubbish in the journal": (lambda t: t.note(lambda lines: ["what"]), "not an order"),
}


@pytest.mark.parametrize("what", TAMPERING)
def test_the_judgement_bites(traded: Traded, what: str) -> None:
    """Each way in which journal, ledger and reports can differ is found and named."""
    tamper, named = TAMPERING[what]
    assert traded.found() == []
    tamper(traded)
    assert any(named in one for one in traded.found()), traded.found()


def test_converged_means_quoted_and_drained(fake: Fake) -> None:
    """A reason is named while orders wait, or a symbol has no quote though exposure is free."""
    world = World(fake, small_config(3, size=10, limit=20))
    assert "has no quote" in why_not_converged(take_snapshot(world.scripts))
    for _ in range(3):
        world.maker().step()
        world.maker().act(world.scripts.survey(world.names))
    found = take_snapshot(world.scripts)
    assert why_not_converged(found) == "" and len(found.waiting_bid) == 1
    free = replace(found, exposure=replace(found.exposure, bid_units=19))
    assert "waits for" in why_not_converged(free)
    world.send(world.order())
    world.advance(5)
    assert "lag" in why_not_converged(take_snapshot(world.scripts))
