"""Tapes as exchanges and data vendors write them: other columns, times, sides and numbers.

Everything that is taken for something is said (:attr:`Understood.notes`), and what cannot be known
for sure is refused with its line. Columns are known by their names; the first name of a kind that a
file has is taken.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path

from mm.errors import UsageError, ValueRefused
from mm.market import Side, check_symbol
from mm.orders.parquet import ParquetTable
from mm.orders.tape import (
    FIRST_UNIX_MS,
    HEADER,
    LAST_OWN_MS,
    LAST_UNIX_MS,
    MAX_FIELD,
    MAX_TRADES,
    check_amount,
)
from mm.orders.tape_file import CsvTable, Table, is_parquet, read_bytes, text_of

#: Kind of column -> the names that it may have, letters and digits only, the surest first.
NAMES = {
    "time": (
        *("tsms", "timems", "timestampms", "ts", "timestamp", "time", "tradetime", "transacttime"),
        *("tradetimestamp", "exchangetimestamp", "tsevent", "datetime", "createdat", "date", "t"),
    ),
    "symbol": (
        *("symbol", "pair", "instrument", "instrumentid", "productid", "market", "ticker"),
        *("instrumentname", "currencypair", "s"),
    ),
    "side": ("aggressorside", "takerside", "side", "direction", "tradeside", "type"),
    "buyer is maker": ("isbuyermaker", "buyermaker", "isbuyerthemaker", "buyerismaker", "m"),
    "price": ("price", "tradeprice", "px", "rate", "p"),
    "quantity": ("qty", "quantity", "size", "amount", "baseqty", "basequantity", "volume", "vol"),
}
NAMES["quantity"] += ("lastqty", "sz", "q")
SIDES: dict[str, Side] = {
    **dict.fromkeys(("buy", "b", "bid", "buyer", "long", "1", "+1", "1.0"), "buy"),
    **dict.fromkeys(("sell", "s", "ask", "seller", "short", "-1", "-1.0"), "sell"),
}
_FLAGS = {"true": True, "t": True, "1": True, "yes": True} | dict.fromkeys(
    ("false", "f", "0", "no"), False
)
#: Digits of a time since 1970 -> its unit, and how many of them are a millisecond.
_UNITS = {10: ("seconds", None), 13: ("ms", 1), 16: ("microseconds", 1_000), 19: ("ns", 1_000_000)}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass
class Understood:
    """A foreign tape as this system has it: rows of :data:`mm.orders.tape.HEADER`.

    ``notes`` say what was taken for what.
    """

    rows: list[tuple[int, str, Side, str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def text(self) -> str:
        """The file that `mm up --tape` reads."""
        lines = [",".join(HEADER), *(",".join(map(str, row)) for row in self.rows)]
        return "\n".join(lines) + "\n"


def read_foreign(path: Path, symbol: str | None = None, columns: str | None = None) -> Understood:
    """Understand a file. ValueRefused names the file, the line and the rule where it cannot.

    ``symbol`` is that of all trades of a file that does not name them, ``columns`` the names of
    those of a file without a header, with commas between.
    """
    understood = Understood()
    table = _table(path, columns, understood.notes)
    try:
        reading = _Reading(table, symbol, understood.notes)
        for row in table.rows:
            understood.rows.append(reading.row(row))
            if len(understood.rows) > MAX_TRADES:
                raise ValueRefused(f"a tape may have {MAX_TRADES} trades at most")
    except (csv.Error, ValueRefused) as error:
        raise ValueRefused(f"{path} {table.place}: {error}") from error
    if not understood.rows:
        raise ValueRefused(f"{path}: no trades")
    _sort(understood)
    return understood


def _table(path: Path, columns: str | None, notes: list[str]) -> Table:
    data = read_bytes(path, notes)
    if not is_parquet(data):
        try:
            return CsvTable(text_of(path, data, notes), columns, notes)
        except csv.Error as error:
            raise ValueRefused(f"{path} line 1: {error}") from error
    if columns is not None:
        raise UsageError(f"--columns: the Parquet file {path} names its columns itself")
    return ParquetTable(path, data, notes)


class _Reading:
    """Reads the rows of one file, by the names of its columns."""

    def __init__(self, table: Table, symbol: str | None, notes: list[str]) -> None:
        names = table.names
        self._notes = notes
        self._said: set[str] = set()
        self._count = len(names)
        self._has_decimal_commas = table.separator != ","
        if not names:
            raise ValueRefused("there is no header")
        plain = [re.sub("[^a-z0-9]", "", name.lower()) for name in names]
        if not any(plain[0] in known for known in NAMES.values()) and _are_values(names):
            raise ValueRefused(
                f"{','.join(names)[:80]!r} is no header: name the columns with --columns, such as"
                " id,price,qty,quote_qty,time,is_buyer_maker"
            )
        #: A tape of this system may count the time from its own start.
        self._is_tape = tuple(name.strip() for name in names) == HEADER
        self._places = {
            kind: place
            for kind, known in NAMES.items()
            if (place := next((plain.index(one) for one in known if one in plain), None))
            is not None
        }
        self._symbol = None if symbol is None else self._symbol_of(symbol)
        if self._symbol is None and "symbol" not in self._places:
            raise self._lacks("symbol", names, ": give --symbol")
        for kind in ("time", "price", "quantity"):
            if kind not in self._places:
                raise self._lacks(kind, names)
        used = [names[place].strip() for place in self._places.values()]
        taken = [f"{names[place].strip()} is the {kind}" for kind, place in self._places.items()]
        notes.append(", ".join(taken))
        if unused := [name.strip() for name in names if name.strip() not in used]:
            notes.append(f"not used: {', '.join(unused)}")
        if self._symbol is not None:
            notes.append(f"all trades are of {self._symbol}")
        self._side = self._side_reader(names)

    def _lacks(self, kind: str, names: Sequence[str], what: str = "") -> ValueRefused:
        found = ",".join(names)[:80]
        known = " ".join(NAMES[kind][:6])
        return ValueRefused(f"header {found!r}: no column is the {kind}, such as {known}{what}")

    def _side_reader(self, names: Sequence[str]) -> Callable[[Sequence[str]], Side]:
        if "side" in self._places:
            return self._side_of_word
        if "buyer is maker" in self._places:
            self._notes.append("where the buyer is the maker the aggressor sells")
            return self._side_of_flag
        self._notes.append("no column is the side: a negative quantity is a sale")
        return self._side_of_sign

    def row(self, row: Sequence[str]) -> tuple[int, str, Side, str, str]:
        """A row as this system has it; ValueRefused says what is wrong with it."""
        if len(row) != self._count:
            raise ValueRefused(f"{len(row)} values: there must be {self._count}")
        for value in row:
            if len(value) > 4 * MAX_FIELD:
                raise ValueRefused(f"{value[:MAX_FIELD]!r}...: the value is too long")
        symbol = self._symbol or self._symbol_of(row[self._places["symbol"]])
        price = self._amount("price", row)
        quantity = self._amount("quantity", row)
        return self._time(row), symbol, self._side(row), price, quantity

    def _say(self, note: str) -> None:
        if note not in self._said:
            self._said.add(note)
            self._notes.append(note)

    def _word(self, kind: str, row: Sequence[str]) -> str:
        return row[self._places[kind]].strip()

    def _symbol_of(self, word: str) -> str:
        symbol = re.sub("[/:]", "-", word.strip().upper())
        check_symbol(symbol)
        if symbol != word:
            self._say(f"the symbol {word} is {symbol}")
        return symbol

    def _side_of_word(self, row: Sequence[str]) -> Side:
        word = self._word("side", row)
        side = SIDES.get(word.lower())
        if side is None:
            raise ValueRefused(f"side {word!r}: it must be like buy or sell, b or s, 1 or -1")
        if word != side:
            self._say(f"the side {word} is {side}")
        return side

    def _side_of_flag(self, row: Sequence[str]) -> Side:
        word = self._word("buyer is maker", row)
        flag = _FLAGS.get(word.lower())
        if flag is None:
            raise ValueRefused(f"buyer is maker {word!r}: it must be true or false")
        return "sell" if flag else "buy"

    def _side_of_sign(self, row: Sequence[str]) -> Side:
        return "sell" if self._word("quantity", row).startswith("-") else "buy"

    def _amount(self, kind: str, row: Sequence[str]) -> str:
        word = self._word(kind, row)
        if self._has_decimal_commas and re.fullmatch(r"[-+]?[0-9]+,[0-9]+", word):
            self._say("a comma is the decimal point")
            word = word.replace(",", ".")
        if not re.fullmatch(r"[-+]?[0-9]*\.?[0-9]+([eE][-+]?[0-9]{1,3})?", word):
            raise ValueRefused(f"{kind} {word!r}: it must be a number")
        try:
            amount = Decimal(word)
        except InvalidOperation as error:
            raise ValueRefused(f"{kind} {word!r}: it must be a number") from error
        if kind == "quantity" and self._side == self._side_of_sign:
            amount = abs(amount)
        if abs(amount.adjusted()) > MAX_FIELD:
            raise ValueRefused(f"{kind} {word}: it has too many digits")
        written = f"{amount:f}"
        check_amount(kind, written)
        if "e" in word.lower():
            self._say(f"numbers such as {word} are written out")
        return written

    def _time(self, row: Sequence[str]) -> int:
        word = self._word("time", row)
        if re.fullmatch(r"[0-9]+", word):
            return self._whole_time(word)
        if re.fullmatch(r"[0-9]{10}\.[0-9]{1,9}", word):
            self._say("times are seconds since 1970, cut to ms")
            return _in_range(word, int(Decimal(word) * 1_000))
        try:
            instant = datetime.fromisoformat(word.replace("Z", "+00:00"))
        except ValueError as error:
            raise ValueRefused(
                f"time {word!r}: it must be seconds, ms, microseconds or ns since 1970, or like"
                " 2021-01-08T00:00:00.278Z"
            ) from error
        if instant.tzinfo is None:
            self._say("times without a zone are UTC")
            instant = instant.replace(tzinfo=UTC)
        return _in_range(word, (instant - EPOCH) // timedelta(milliseconds=1))

    def _whole_time(self, word: str) -> int:
        if self._is_tape and int(word) <= LAST_OWN_MS:
            self._say("times are ms since the tape's own start")
            return int(word)
        unit, parts = _UNITS.get(len(word), ("", None))
        if not unit:
            raise ValueRefused(
                f"time {word}: of {len(word)} digits: it must be seconds (10), ms (13),"
                " microseconds (16) or ns (19) since 1970"
            )
        self._say(f"times are {unit} since 1970" + (", cut to ms" if parts and parts > 1 else ""))
        return _in_range(word, int(word) * 1_000 if parts is None else int(word) // parts)


def _are_values(words: Sequence[str]) -> bool:
    """Whether the words are those of a trade and no header: one of them is a number."""
    return any(re.fullmatch(r"[-+]?[0-9][0-9.,eE+-]*", word.strip()) for word in words)


def _in_range(word: str, ms: int) -> int:
    if not FIRST_UNIX_MS <= ms <= LAST_UNIX_MS:
        raise ValueRefused(f"time {word}: it must lie between 1973 and 2286")
    return ms


def _sort(understood: Understood) -> None:
    late = sum(
        one[0] > two[0] for one, two in zip(understood.rows, understood.rows[1:], strict=False)
    )
    if late:
        understood.rows.sort(key=lambda row: row[0])
        trades = "trade was" if late == 1 else "trades were"
        understood.notes.append(f"{late} {trades} before the one above: they are sorted by time")


def rows_of(understood: Understood) -> Iterator[str]:
    """What was understood, in lines for people."""
    yield from understood.notes
    rows = understood.rows
    symbols = sorted({row[1] for row in rows})
    span_s = (rows[-1][0] - rows[0][0]) / 1_000
    names = " ".join(symbols[:10]) + (f" and {len(symbols) - 10} more" if len(symbols) > 10 else "")
    yield f"{len(rows):,} trades of {names} in {span_s:,.1f} s"
    first = dict(zip(HEADER, rows[0], strict=True))
    yield "the first one: " + " ".join(f"{name}={value}" for name, value in first.items())
