"""Tapes for tests: small ones from text, and a real one."""

from __future__ import annotations

from pathlib import Path

from mm.orders import Tape, read_tape

#: Where it comes from stands beside it.
REAL = Path(__file__).parents[1] / "orders/data/btcusdt.csv"
HEADER = "ts_ms,symbol,side,price,qty"
GOOD = f"{HEADER}\n1000,XY,buy,10.50,2.5\n1000,XY,sell,10.25,0.125\n3500,XY,buy,11,4\n"


def read(directory: Path, text: str | bytes) -> Tape:
    """The tape of this text."""
    path = directory / "tape.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_tape(path)


def trades(directory: Path, *lines: str) -> Tape:
    """A tape of these lines under a header."""
    return read(directory, "\n".join([HEADER, *lines]))
