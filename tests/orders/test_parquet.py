"""Parquet files of trades: each number exactly as it is stored, and words where one is none."""

from __future__ import annotations

import sys
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from mm.cli.main import main
from mm.errors import UsageError, ValueRefused
from mm.orders import read_foreign, read_tape

#: 2021-01-08T00:00:00.278Z
T = 1_610_064_000_278


@pytest.fixture
def write(tmp_path: Path) -> Any:
    """Writes columns as a Parquet file; skips where pyarrow is not installed."""
    pa = pytest.importorskip("pyarrow", reason="the extra `parquet` is not installed")
    from pyarrow import parquet

    def written(**columns: Any) -> Path:
        made = {name: pa.array(*column) for name, column in columns.items()}
        parquet.write_table(pa.table(made), tmp_path / "trades.parquet")
        return tmp_path / "trades.parquet"

    written.pa = pa  # type: ignore[attr-defined]  # its types are needed to call it
    return written


def rows(path: Path, symbol: str | None = None) -> list[tuple[Any, ...]]:
    """What is understood of a file."""
    return list(read_foreign(path, symbol).rows)


class TestValues:
    def test_decimals_and_integers(self, write: Any) -> None:
        """Exactly as stored, with the scale of the file."""
        pa = write.pa
        path = write(
            ts=([T, T + 1], pa.int64()),
            symbol=(["BTC/USDT", "BTC/USDT"], pa.string()),
            side=(["BUY", "sell"], pa.dictionary(pa.int8(), pa.string())),
            price=([Decimal("39432.480000"), Decimal("0.000001")], pa.decimal128(18, 6)),
            qty=([3, 10], pa.int32()),
        )
        assert rows(path) == [
            (T, "BTC-USDT", "buy", "39432.480000", "3"),
            (T + 1, "BTC-USDT", "sell", "0.000001", "10"),
        ]

    @pytest.mark.parametrize("single", [True, False])
    def test_floating_point_numbers(self, write: Any, single: bool) -> None:
        """The shortest decimal that reads as the same number, which is said."""
        pa = write.pa
        kind = pa.float32() if single else pa.float64()
        path = write(
            ts=([T, T], pa.int64()),
            m=([True, False], pa.bool_()),
            price=([0.1, 1234.5], kind),
            qty=([1e-05, 0.3], pa.float64()),
        )
        found = read_foreign(path, "XY")
        assert [row[2:] for row in found.rows] == [
            ("sell", "0.1", "0.00001"),
            ("buy", "1234.5", "0.3"),
        ]
        notes = "\n".join(found.notes)
        assert "floating-point numbers are taken as the shortest decimals: price, qty" in notes

    @pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
    @pytest.mark.parametrize("zone", [None, "UTC"])
    def test_times(self, write: Any, unit: str, zone: str | None) -> None:
        """Instants of each unit, with and without a zone, cut to milliseconds."""
        pa = write.pa
        path = write(
            time=([T // 1000], pa.timestamp("s", zone)),
            price=([1], pa.int64()),
            qty=([-2], pa.int64()),
        )
        whole = rows(path, "XY")
        assert whole == [(T // 1000 * 1000, "XY", "sell", "1", "2")]
        per_s = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
        count = T * per_s // 1000
        if unit == "ns":
            count += 999
        path = write(
            time=(pa.array([count], pa.int64()).cast(pa.timestamp(unit, zone)),),
            price=([1], pa.int64()),
            qty=([-2], pa.int64()),
        )
        assert rows(path, "XY")[0][0] == (T if unit != "s" else T // 1000 * 1000)

    def test_other_columns(self, write: Any) -> None:
        """A nested column is left out, which is said; an unused one may be anything."""
        pa = write.pa
        path = write(
            ts=([T], pa.int64()),
            price=([1], pa.int64()),
            qty=([1], pa.int64()),
            book=([[1, 2]], pa.list_(pa.int64())),
            day=([date(2021, 1, 8)], pa.date32()),
        )
        found = read_foreign(path, "XY")
        assert "columns of nested types are left out: book" in found.notes
        assert "not used: day" in found.notes

    def test_convert(self, write: Any, tmp_path: Path) -> None:
        """`mm tape convert` makes a tape of it; `--tape` itself names that way."""
        pa = write.pa
        path = write(
            ts=([T], pa.int64()),
            symbol=(["XY"], pa.string()),
            side=(["buy"], pa.string()),
            price=([Decimal("1.50")], pa.decimal128(9, 2)),
            qty=([1], pa.int64()),
        )
        out = tmp_path / "tape.csv"
        done = CliRunner().invoke(main, ["tape", "convert", str(path), str(out)])
        assert done.exit_code == 0, done.output
        (trade,) = read_tape(out).trades
        assert (trade.ts_ms, trade.price, trade.qty) == (T, Decimal("1.50"), Decimal(1))
        with pytest.raises(ValueRefused, match="it is a Parquet file: `mm tape convert` makes"):
            read_tape(path)


class TestRefused:
    def test_missing_and_bad_values(self, write: Any) -> None:
        """The row is named; a missing value is empty text."""
        pa = write.pa
        good = {"ts": ([T, T], pa.int64()), "qty": ([1, 1], pa.int64())}
        for value, why in (
            (None, "price '': it must be a number"),
            (float("nan"), "price 'nan': it must be a number"),
            (0.1 + 0.2, "price 0.30000000000000004: it must have at most 14 digits"),
        ):
            path = write(**good, price=([1.0, value], pa.float64()))
            with pytest.raises(ValueRefused, match=f"row 2: {why}"):
                rows(path, "XY")

    def test_damaged(self, write: Any) -> None:
        """A file that only begins like one is refused in words, wherever it is damaged."""
        pa = write.pa
        path = write(
            ts=([T] * 500, pa.int64()),
            price=(list(range(1, 501)), pa.int64()),
            qty=([1] * 500, pa.int64()),
        )
        data = path.read_bytes()
        for cut in (8, len(data) // 3, len(data) // 2, len(data) - 1):
            path.write_bytes(data[:cut])
            with pytest.raises(ValueRefused, match="cannot be read as Parquet"):
                rows(path, "XY")
        for at in range(4, len(data), 97):
            path.write_bytes(data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :])
            try:
                rows(path, "XY")
            except ValueRefused as error:
                assert str(path) in str(error)

    def test_instants_that_no_calendar_has(self, write: Any) -> None:
        """An instant far from now is refused in words."""
        pa = write.pa
        path = write(
            time=(pa.array([10**18], pa.int64()).cast(pa.timestamp("us")),),
            price=([1],),
            qty=([1],),
        )
        with pytest.raises(ValueRefused, match="cannot be read as Parquet: "):
            rows(path, "XY")

    def test_too_many(self, write: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """More rows than a tape may have are refused before they are read."""
        pa = write.pa
        path = write(ts=([T] * 4, pa.int64()), price=([1] * 4,), qty=([1] * 4,))
        monkeypatch.setattr("mm.orders.parquet.MAX_TRADES", 3)
        with pytest.raises(ValueRefused, match="4 rows: a tape may have 3 trades at most"):
            rows(path, "XY")

    def test_columns(self, write: Any) -> None:
        """It names its columns itself."""
        path = write(ts=([T],), price=([1],), qty=([1],))
        with pytest.raises(UsageError, match="--columns: the Parquet file"):
            read_foreign(path, "XY", "a,b,c")


def test_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The refusal names the extra; nothing else needs pyarrow."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    path = tmp_path / "trades.parquet"
    path.write_bytes(b"PAR1 and more")
    done = CliRunner().invoke(main, ["tape", "check", str(path)])
    assert done.exit_code == 2
    assert "it is a Parquet file, which needs pyarrow: install the package with its extra" in (
        done.stderr
    )
