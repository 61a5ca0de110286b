"""Rows written as CSV, JSON, JSON lines and Parquet, and read back: every value is the same."""

from __future__ import annotations

import csv
import io
import json
import sys
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from mm.errors import SystemRefused, UsageError
from mm.market import MAX_INT, Config
from mm.records import (
    Column,
    Row,
    Rows,
    check_parquet,
    fill_rows,
    order_rows,
    quote_rows,
    times_in_words,
    write_csv,
    write_json,
    write_jsonl,
    write_parquet,
)
from mm.records.parquet import BATCH, decimal_scale
from tests.kit import Fake, World, make_symbol, small_config
from tests.kit.past import Reader, facts_of, rows_of, trade

READERS = [fill_rows, order_rows, quote_rows]
STEPS = (Decimal("0.01"), Decimal("0.00005"))
COLUMNS = (Column("time", "time"), Column("n", "integer"), Column("p", "decimal", steps=STEPS))


@pytest.fixture
def past(fake: Fake) -> World:
    """A market of two symbols of other steps, with fills, an order without one, and an omission."""
    config = small_config(limit=100)
    fine = make_symbol("BBB", tick=Decimal("0.00005"), lot=Decimal(1000), currency="JPY")
    world = World(fake, Config(symbols=(config.symbols[0], fine), limit_units=100))
    for symbol, side in (("AAA", "sell"), ("BBB", "buy"), ("AAA", "buy")):
        trade(world, symbol, side, 3)
    trade(world, "AAA", "buy", 1, limit=1)
    world.send(world.order("buy", 1))
    return world


def made(count: int) -> Rows:
    """Many rows, made when they are taken."""

    def rows() -> Iterator[Row]:
        for number in range(count):
            yield number, number, f"{number}.00005"

    return Rows(COLUMNS, rows())


@pytest.mark.parametrize("read", READERS)
def test_csv(past: World, read: Reader) -> None:
    """Names, and the values as text; what does not exist is empty."""
    file = io.StringIO(newline="")
    write_csv(rows_of(past.scripts, read), file)
    file.seek(0)
    wanted = rows_of(past.scripts, read)
    names = [column.name for column in wanted.columns]
    lines = [["" if value is None else str(value) for value in row] for row in in_words(wanted)]
    assert list(csv.reader(file)) == [names, *lines]
    assert len(lines) > 2


def in_words(rows: Rows) -> list[Row]:
    """The rows with their times as text, by another way than the code's."""
    times = [column.kind == "time" for column in rows.columns]
    return [
        tuple(
            iso(value) if is_time and isinstance(value, int) else value
            for value, is_time in zip(row, times, strict=True)
        )
        for row in rows.rows
    ]


def iso(ms: int) -> str:
    """The instant as ISO text."""
    instant = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@pytest.mark.parametrize("read", READERS)
def test_json(past: World, read: Reader) -> None:
    """Both forms have an object for each row: integers as numbers, decimals as text."""
    wanted = rows_of(past.scripts, read)
    names = [column.name for column in wanted.columns]
    expected = [dict(zip(names, row, strict=True)) for row in in_words(wanted)]
    lines, whole = io.StringIO(), io.StringIO()
    write_jsonl(rows_of(past.scripts, read), lines)
    write_json(rows_of(past.scripts, read), whole)
    assert [json.loads(line) for line in lines.getvalue().splitlines()] == expected
    assert json.loads(whole.getvalue()) == expected


def test_nothing() -> None:
    """No rows make a CSV file of names alone, no JSON lines, and an empty list."""
    texts = []
    for write in (write_csv, write_jsonl, write_json):
        file = io.StringIO()
        write(made(0), file)
        texts.append(file.getvalue())
    assert texts == ["time,n,p\n", "", "[]\n"]


@pytest.mark.parametrize("read", READERS)
def test_parquet(past: World, read: Reader) -> None:
    """Decimals are decimals of the same value, times are instants, what does not exist is null."""
    parquet = pytest.importorskip("pyarrow.parquet", reason="the extra `parquet` is not installed")
    file = io.BytesIO()
    write_parquet(rows_of(past.scripts, read), file)
    found = parquet.read_table(io.BytesIO(file.getvalue())).to_pylist()
    columns = {column.name: column for column in rows_of(past.scripts, read).columns}
    expected = facts_of(past.scripts, read)
    assert len(found) == len(expected)
    for row, wanted in zip(found, expected, strict=True):
        for name, value in wanted.items():
            if value is None:
                assert row[name] is None
            elif columns[name].kind == "time":
                assert row[name].utcoffset() == timedelta(0)
                assert iso(value) == row[name].isoformat(timespec="milliseconds")[:23] + "Z"
            elif columns[name].kind == "decimal":
                assert type(row[name]) is Decimal
                assert row[name] == Decimal(value)
            else:
                assert row[name] == value


class TestParquet:
    @pytest.fixture(autouse=True)
    def arrow(self) -> Any:
        """Skips where pyarrow is not installed."""
        return pytest.importorskip("pyarrow", reason="the extra `parquet` is not installed")

    def read(self, rows: Rows) -> Any:
        """The table of a file with these rows."""
        from pyarrow import parquet

        file = io.BytesIO()
        write_parquet(rows, file)
        return parquet.read_table(io.BytesIO(file.getvalue()))

    def test_groups(self) -> None:
        """More rows than are written at a time, all of them there, in order."""
        table = self.read(made(2 * BATCH + 7))
        assert table.column("n").to_pylist() == list(range(2 * BATCH + 7))
        assert str(table.schema.field("p").type) == "decimal128(38, 5)"
        assert str(table.schema.field("time").type) == "timestamp[ms, tz=UTC]"

    def test_too_wide(self) -> None:
        """Decimals that 128 bits have no room for are text, exactly."""
        step = Decimal("0.00000000000000000001")
        columns = (Column("p", "decimal", steps=(step, Decimal(10))),)
        value = "123456789012345678.00000000000000000001"
        table = self.read(Rows(columns, iter([(value,)])))
        assert str(table.schema.field("p").type) == "string"
        assert table.column("p").to_pylist() == [value]

    def test_a_value_beyond_its_column(self) -> None:
        """It is named, and nothing is rounded."""
        for value in ("0.001", "1" * 39):
            rows = Rows((Column("p", "decimal", steps=(Decimal("0.01"),)),), iter([(value,)]))
            with pytest.raises(SystemRefused, match="the column p holds a value"):
                self.read(rows)


@pytest.mark.parametrize(
    ("steps", "scale"),
    [
        ((), 0),
        ((Decimal(5),), 0),
        ((Decimal("0.01"), Decimal("0.0005")), 4),
        ((Decimal("0.0000000000000001"),), 16),
        ((Decimal("0.00000000000000000001"), Decimal(1)), None),
    ],
)
def test_scale(steps: tuple[Decimal, ...], scale: int | None) -> None:
    """That of the finest step, where the largest amounts still fit; else there is none."""
    assert decimal_scale(steps) == scale
    if scale is not None and steps:
        assert len(f"{MAX_INT * max(steps):f}".partition(".")[0]) + scale <= 38


def test_without_pyarrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """The refusal names the extra."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match=r"it needs pyarrow: .* extra `parquet`"):
        check_parquet()


@pytest.mark.parametrize("write", [write_csv, write_jsonl, write_json])
def test_memory(write: Any) -> None:
    """However many rows there are, few are in memory."""

    class Nowhere:
        def write(self, text: str) -> None:
            pass

    def peak(rows: int) -> int:
        tracemalloc.start()
        try:
            write(made(rows), Nowhere())
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    few = peak(1_000)
    assert peak(5_000) < few + 100_000


def test_times_in_words() -> None:
    """To the millisecond, in UTC; other integers stay as they are."""
    rows = Rows(COLUMNS, iter([(1_769_860_800_007, 7, None)]))
    assert list(times_in_words(rows)) == [("2026-01-31T12:00:00.007Z", 7, None)]
