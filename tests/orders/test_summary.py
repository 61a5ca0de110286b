"""The summary: answers counted by outcome, and its line of text."""

from __future__ import annotations

from mm.market import Order, Report
from mm.orders import Answer, OutcomeCounts, Summary


def answer(status: str, reason: str, lots: int) -> Answer:
    """An order of 5 lots and its report."""
    report = Report("o1", status, reason, lots, 101, "", "", False, 7)  # type: ignore[arg-type]  # a status
    return Answer(Order("c1", "o1", "AAA", "buy", 5, 101), report)


def test_answers_are_counted_by_status_and_reason() -> None:
    """Each answer counts under its status, its lots, and its reason if it has one."""
    outcomes = OutcomeCounts()
    outcomes.add([answer("filled", "", 5), answer("partially_filled", "exhausted", 3)])
    outcomes.add([answer("canceled", "no_quote", 0), answer("canceled", "no_quote", 0)])
    outcomes.add([answer("rejected", "bad_side", 0)])
    reasons = {"exhausted": 1, "no_quote": 2, "bad_side": 1}
    assert outcomes.summary(7, None) == Summary(7, 0, 1, 1, 2, 1, 0, 0, 8, reasons)


def test_summary_text() -> None:
    """The summary reads as one line that names every count."""
    text = Summary(9, 2, 3, 1, 4, 1, 5, 0, 77, {"not_crossing": 4, "bad_side": 1}).text()
    assert text == (
        "sent 9 (resent 2): filled 3, partially filled 1, canceled 4, rejected 1, duplicate 5,"
        " unanswered 0; 77 lots filled; reasons: bad_side 1, not_crossing 4"
    )
