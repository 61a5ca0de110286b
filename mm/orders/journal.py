"""A publisher's journal: a file with one line per acknowledged outcome.

A line is the order's id, its line on the orders stream, and its line on the reports stream. After
a crash the ledger must agree with every line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from mm.errors import ValueRefused
from mm.market import Order, Report, check_side
from mm.orders.unanswered import Answer

_CHUNK = 4096


class Journal:
    """Appends outcomes to a file; for one thread.

    When :meth:`write` returns, the operating system has the lines, so they survive the death of
    this process. Opening a journal removes a last line that was cut short. ValueRefused when the
    file cannot be opened. A write that fails (disk full) raises OSError; the next write first
    writes what is missing.
    """

    def __init__(self, path: Path) -> None:
        self._pending = b""
        try:
            self._file = path.open("ab+", buffering=0)
            self._remove_cut_line()
        except OSError as error:
            raise ValueRefused(f"journal {path}: cannot be written: {error}") from error

    def _remove_cut_line(self) -> None:
        end = self._file.seek(0, 2)
        while end > 0:
            start = max(0, end - _CHUNK)
            self._file.seek(start)
            newline = self._file.read(end - start).rfind(b"\n")
            end = start + newline + 1
            if newline >= 0:
                break
        self._file.truncate(end)

    def write(self, answers: Iterable[Answer]) -> None:
        """Append the outcomes, after what an earlier call could not write."""
        self._pending += "".join(map(_line, answers)).encode()
        while self._pending:
            written = self._file.write(self._pending)
            self._pending = self._pending[written:]

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _line(answer: Answer) -> str:
    order, report = answer.order, answer.report
    words = (
        order.order_id,
        order.wire(),
        report.status,
        report.reason or "-",
        report.cum_lots,
        report.price_ticks or "-",
        report.fill_id or "-",
        report.quote_id or "-",
        int(report.duplicate),
        report.ts_ms,
    )
    return " ".join(str(word) for word in words) + "\n"


def read_journal(path: Path) -> Iterator[Answer]:
    """The outcomes of a journal, in order, without a last line that was cut short.

    ValueRefused names a line that is not an order and its report.
    """
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            if not raw.endswith(b"\n"):
                return
            try:
                yield _parse(raw.decode("ascii").rstrip("\n"))
            except (ValueError, ValueRefused) as error:
                raise ValueRefused(
                    f"journal {path} line {number}: not an order and its report: {error}"
                ) from error


def _parse(line: str) -> Answer:
    order_id, client_id, symbol, side, lots, limit, report = line.split(" ", 6)
    order = Order(client_id, order_id, symbol, check_side(side), int(lots), int(limit))
    return Answer(order, Report.parse(order_id, report))
