"""What the streams hold of the past, as rows: read in order, and written in several formats."""

from mm.records.asked import range_in
from mm.records.fills import fill_rows, ledger
from mm.records.formats import row_facts, times_in_words, write_csv, write_json, write_jsonl
from mm.records.orders import order_rows
from mm.records.parquet import check_parquet, write_parquet
from mm.records.quotes import quote_rows
from mm.records.rows import Column, Range, Row, Rows, Steps
from mm.records.source import Entry, Source, StoredSource, StreamName, merged, sources_of

__all__ = [
    "Column",
    "Entry",
    "Range",
    "Row",
    "Rows",
    "Source",
    "Steps",
    "StoredSource",
    "StreamName",
    "check_parquet",
    "fill_rows",
    "ledger",
    "merged",
    "order_rows",
    "quote_rows",
    "range_in",
    "row_facts",
    "sources_of",
    "times_in_words",
    "write_csv",
    "write_json",
    "write_jsonl",
    "write_parquet",
]
