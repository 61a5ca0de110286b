"""The rows of a Parquet file as words, each number exactly as it is stored.

It needs pyarrow, which the package's extra ``parquet`` brings, and imports it only when a file is
read.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from mm.errors import ExtraMissing, ValueRefused
from mm.orders.tape import MAX_TRADES

#: Rows that are unpacked at a time.
_BATCH = 10_000


class ParquetTable:
    """The rows of a Parquet file; ValueRefused names the file when it is none.

    A whole number, a decimal and text are as stored. Of a floating-point number it is the shortest
    decimal that reads as the same number, which ``notes`` say. Times are ISO 8601. A missing value
    is empty text. Columns of other types are left out.
    """

    separator = ","

    def __init__(self, path: Path, data: bytes, notes: list[str]) -> None:
        try:
            import pyarrow as pa
            from pyarrow import parquet, types
        except ImportError as error:
            needing = f"{path}: it is a Parquet file, which"
            raise ExtraMissing(needing, "pyarrow", "parquet") from error
        #: What pyarrow raises for a damaged file, and for instants that Python does not have.
        self._broken = (pa.ArrowException, OSError, ValueError, OverflowError)
        self._count = 0
        try:
            self._file = parquet.ParquetFile(io.BytesIO(data))
            schema = self._file.schema_arrow
            rows = self._file.metadata.num_rows
        except self._broken as error:
            raise ValueRefused(f"{path}: {_why(error)}") from error
        if rows > MAX_TRADES:
            raise ValueRefused(f"{path}: {rows} rows: a tape may have {MAX_TRADES} trades at most")
        self._single = {field.name for field in schema if types.is_float32(field.type)}
        odd = [field.name for field in schema if types.is_nested(field.type)]
        self.names: Sequence[str] = [field.name for field in schema if field.name not in odd]
        floats = [field.name for field in schema if types.is_floating(field.type)]
        if floats:
            notes.append(
                f"floating-point numbers are taken as the shortest decimals: {', '.join(floats)}"
            )
        if odd:
            notes.append(f"columns of nested types are left out: {', '.join(odd)}")
        self.rows = self._rows()

    @property
    def place(self) -> str:
        """The row that was read last."""
        return f"row {self._count}"

    def _rows(self) -> Iterator[list[str]]:
        try:
            for batch in self._file.iter_batches(_BATCH, columns=self.names):
                columns = [_plain(column).to_pylist() for column in batch.columns]
                for row in zip(*columns, strict=True):
                    self._count += 1
                    yield [
                        _word(value, name in self._single)
                        for name, value in zip(self.names, row, strict=True)
                    ]
        except self._broken as error:
            raise ValueRefused(_why(error)) from error


def _why(error: Exception) -> str:
    return f"cannot be read as Parquet: {str(error).partition(chr(10))[0]}"


def _plain(column: Any) -> Any:
    """The column with times in microseconds: Python's own have no finer part, and none is used."""
    from pyarrow import types

    if types.is_timestamp(column.type) and column.type.unit == "ns":
        import pyarrow as pa

        return column.cast(pa.timestamp("us", column.type.tz), safe=False)
    return column


def _word(value: object, is_single: bool) -> str:
    """The value as a CSV file would have it."""
    if value is None:
        return ""
    if isinstance(value, float):
        return _single_text(value) if is_single else repr(value)
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value).lower() if isinstance(value, bool) else str(value)


def _single_text(value: float) -> str:
    """The shortest decimal of a number of four bytes."""
    for digits in range(1, 9):
        text = f"{value:.{digits}g}"
        if struct.pack("f", float(text)) == struct.pack("f", value):
            return text
    return f"{value:.9g}"
