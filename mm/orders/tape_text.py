"""The text of a tape of another exchange, packed or not, and what stands between its columns."""

from __future__ import annotations

import gzip
from pathlib import Path

from mm.errors import ValueRefused
from mm.orders.tape import MAX_BYTES

_GZIP, _PARQUET = b"\x1f\x8b", b"PAR1"
_SEPARATORS = ",;\t|"


def text_of(path: Path, notes: list[str]) -> str:
    """The text of a file; ``notes`` get what was done to it. ValueRefused when it is none."""
    try:
        if not path.is_file():
            raise ValueRefused(f"{path}: no such file, or not a regular one")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if data.startswith(_GZIP):
            with gzip.open(path) as packed:
                data = packed.read(MAX_BYTES + 1)
            notes.append("it is packed with gzip")
    except (OSError, EOFError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ValueRefused(f"{path}: cannot be read: {why}") from error
    if len(data) > MAX_BYTES:
        raise ValueRefused(f"{path}: a tape may have {MAX_BYTES} bytes at most")
    if data.startswith(_PARQUET):
        raise ValueRefused(f"{path}: it is a Parquet file: write it as CSV first")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueRefused(f"{path} line {line}: the file must be UTF-8") from error
    if data.startswith(b"\xef\xbb\xbf"):
        notes.append("it begins with a byte-order mark, which is left out")
    return text


def separator_of(text: str) -> str:
    """The character between the columns: the one of which the first line has most."""
    first = text.partition("\n")[0]
    return max(_SEPARATORS, key=lambda one: (first.count(one), -_SEPARATORS.index(one)))
