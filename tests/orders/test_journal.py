"""The journal: each written outcome is read again, and a cut line does no harm."""

from __future__ import annotations

from io import FileIO
from pathlib import Path

import pytest

from mm.errors import ValueRefused
from mm.market import Order, Report
from mm.orders import Answer, Journal, read_journal


def answer(number: int) -> Answer:
    """An order and its report."""
    order = Order("c1", f"o{number}", "AAA", "buy", 5, 101)
    report = Report(
        f"o{number}", "partially_filled", "exhausted", 3, 101, "AAA-1", "AAA-9", False, 7
    )
    return Answer(order, report)


def append(path: Path, *answers: Answer) -> None:
    """Open a journal, append, close it."""
    book = Journal(path)
    book.write(answers)
    book.close()


class TestJournal:
    def test_there_and_back(self, tmp_path: Path) -> None:
        """Written outcomes read back equal, over several openings; also one without a fill."""
        path = tmp_path / "journal"
        canceled = Report("o2", "canceled", "no_quote", 0, 0, "", "", True, 8)
        written = [answer(1), Answer(answer(2).order, canceled), answer(3)]
        for one in written:
            append(path, one)
        assert list(read_journal(path)) == written
        assert path.read_text().splitlines()[1] == (
            "o2 c1 AAA buy 5 101 canceled no_quote 0 - - - 1 8"
        )

    @pytest.mark.parametrize("size", [3, 5000, 4096 * 2])
    def test_line_cut_short(self, tmp_path: Path, size: int) -> None:
        """A last line that a crash cut short is left out, and removed at the next opening."""
        path = tmp_path / "journal"
        append(path, answer(1))
        with path.open("ab") as file:
            file.write(b"x" * size)
        assert list(read_journal(path)) == [answer(1)]
        append(path, answer(2))
        assert list(read_journal(path)) == [answer(1), answer(2)]

    def test_only_a_cut_line(self, tmp_path: Path) -> None:
        """A file with only a cut line becomes an empty journal."""
        path = tmp_path / "journal"
        path.write_bytes(b"o1 c1")
        append(path, answer(2))
        assert list(read_journal(path)) == [answer(2)]

    def test_not_a_journal(self, tmp_path: Path) -> None:
        """A bad line is refused with its number; so is a file that cannot be opened."""
        path = tmp_path / "journal"
        for line in ("hello\n", "o1 c1 AAA up 5 101 filled - 5 101 A-1 A-1 0 7\n", "\xff\n"):
            path.write_text(line, encoding="latin-1")
            with pytest.raises(ValueRefused, match="line 1: not an order and its report"):
                list(read_journal(path))
        with pytest.raises(ValueRefused, match="cannot be written"):
            Journal(tmp_path)

    def test_disk_full(self, tmp_path: Path) -> None:
        """Bytes that could not be written are written before the next outcome."""
        book = Journal(tmp_path / "journal")
        real = book._file
        book._file = _Full(real)  # type: ignore[assignment]  # stands in for a file
        with pytest.raises(OSError, match="full"):
            book.write([answer(1)])
        book._file = real
        book.write([answer(2)])
        book.close()
        assert list(read_journal(tmp_path / "journal")) == [answer(1), answer(2)]


class _Full:
    """A file on a disk with room for ten bytes more."""

    def __init__(self, file: FileIO) -> None:
        self._file = file
        self._room = 10

    def write(self, data: bytes) -> int:
        if not self._room:
            raise OSError("disk full")
        written, self._room = self._file.write(data[: self._room]), 0
        return written
