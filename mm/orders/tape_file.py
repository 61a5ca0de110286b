"""A tape's file: its bytes, packed or not, as text, and as the rows of a CSV file."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from mm.errors import ValueRefused

#: The largest tape, since it is read into memory.
MAX_BYTES = 256 * 1024 * 1024
_GZIP, _PARQUET, _MARK = b"\x1f\x8b", b"PAR1", b"\xef\xbb\xbf"
_SEPARATORS = ",;\t|"


class Table(Protocol):
    """Rows of words under names. ``place`` says where in the file the row that was read last is.

    ``separator`` is the character between the columns.
    """

    names: Sequence[str]
    rows: Iterator[list[str]]
    separator: str

    @property
    def place(self) -> str: ...  # noqa: D102  # the class says it


def read_bytes(path: Path, notes: list[str]) -> bytes:
    """The bytes of a file, unpacked; ``notes`` get what was done. ValueRefused names the file."""
    try:
        if not path.is_file():
            raise ValueRefused(f"{path}: no such file, or not a regular one")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if data.startswith(_GZIP) and len(data) <= MAX_BYTES:
            with gzip.open(io.BytesIO(data)) as packed:
                data = packed.read(MAX_BYTES + 1)
            notes.append("it is packed with gzip")
    except (OSError, EOFError, ValueError, zlib.error) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ValueRefused(f"{path}: cannot be read: {why}") from error
    if len(data) > MAX_BYTES:
        raise ValueRefused(f"{path}: a tape may have {MAX_BYTES} bytes at most")
    return data


def is_parquet(data: bytes) -> bool:
    """Whether the bytes are those of a Parquet file."""
    return data.startswith(_PARQUET)


def text_of(path: Path, data: bytes, notes: list[str]) -> str:
    """The bytes of a file as text; ValueRefused names the line where they are none."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        found = data[error.start : error.start + 1]
        raise ValueRefused(f"{path} line {line}: byte {found!r}: the file must be UTF-8") from error
    if data.startswith(_MARK):
        notes.append("it begins with a byte-order mark, which is left out")
    return text


class CsvTable:
    """The rows of a CSV file; blank lines are left out. csv.Error where it is none.

    ``names`` are those of the first line, or the given ``columns`` of a file without a header.
    """

    def __init__(self, text: str, columns: str | None, notes: list[str]) -> None:
        first = text.partition("\n")[0]
        self.separator = max(
            _SEPARATORS, key=lambda one: (first.count(one), -_SEPARATORS.index(one))
        )
        if self.separator != ",":
            notes.append(f"columns are separated by {self.separator!r}")
        lines = io.StringIO(text, newline="")
        self._reader = csv.reader(lines, delimiter=self.separator, strict=True)
        self.names: Sequence[str] = columns.split(",") if columns else next(self._reader, [])
        self.rows: Iterator[list[str]] = (row for row in self._reader if row)

    @property
    def place(self) -> str:
        """The line that was read last."""
        return f"line {max(self._reader.line_num, 1)}"
