"""Rows as a Parquet file, each number exactly.

It needs pyarrow, which the package's extra ``parquet`` brings, and imports it only when a file is
written.
"""

from __future__ import annotations

from decimal import Decimal
from itertools import islice
from typing import Any, BinaryIO

from mm.errors import ExtraMissing, SystemRefused
from mm.market import MAX_INT, exact_product
from mm.records.rows import Column, Row, Rows

#: Rows that are written at a time.
BATCH = 10_000
#: The digits that a decimal of 128 bits holds.
DIGITS = 38
#: So many of the largest amounts of a symbol can be added up.
SUMMED = 10**6


def check_parquet() -> None:
    """ExtraMissing when pyarrow is not installed."""
    try:
        import pyarrow  # noqa: F401  # only whether it is there
    except ImportError as error:
        raise ExtraMissing("--format parquet: it", "pyarrow", "parquet") from error


def write_parquet(rows: Rows, file: BinaryIO) -> None:
    """Write the rows in groups, so that few are in memory at a time.

    A decimal column is decimal128 of its finest step, or text where that has too many digits. Times
    are instants in ms, in UTC. SystemRefused names a value that does not fit its column.
    """
    import pyarrow as pa
    from pyarrow import parquet

    schema = pa.schema([(column.name, _type(column)) for column in rows.columns])
    with parquet.ParquetWriter(file, schema) as writer:
        while batch := list(islice(rows.rows, BATCH)):
            columns = [
                _array(column, kind, batch, at)
                for at, (column, kind) in enumerate(zip(rows.columns, schema.types, strict=True))
            ]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))


def _array(column: Column, kind: Any, batch: list[Row], at: int) -> Any:
    import pyarrow as pa

    values: list[object] = [row[at] for row in batch]
    if pa.types.is_decimal(kind):
        values = [None if value is None else Decimal(str(value)) for value in values]
    try:
        return pa.array(values, kind)
    except (pa.ArrowException, OverflowError) as error:
        raise SystemRefused(f"the column {column.name} holds a value that is too large") from error


def _type(column: Column) -> Any:
    import pyarrow as pa

    if column.kind == "time":
        return pa.timestamp("ms", "UTC")
    if column.kind == "integer":
        return pa.int64()
    scale = None if column.kind == "text" else decimal_scale(column.steps)
    return pa.string() if scale is None else pa.decimal128(DIGITS, scale)


def decimal_scale(steps: tuple[Decimal, ...]) -> int | None:
    """The decimals of the finest step; None when a decimal of 128 bits has no room for them."""
    if not steps:
        return 0
    scale = max(max(-int(step.as_tuple().exponent), 0) for step in steps)
    whole = len(str(int(exact_product(max(steps), Decimal(MAX_INT * SUMMED)))))
    return scale if scale + whole <= DIGITS else None
