"""Tapes of other exchanges: what each form is taken for, and what is refused, with its line."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from click.testing import CliRunner

from mm.cli import main
from mm.errors import ValueRefused
from mm.orders import Understood, read_foreign, read_tape, rows_of

T = 1_610_064_000_278
ROW = (T, "BTCUSDT", "sell", "39432.48", "0.000263")


def understood(tmp_path: Path, text: str, **options: str) -> Understood:
    """What a file with this text is taken for."""
    path = tmp_path / "tape"
    path.write_text(text, encoding="utf-8")
    return read_foreign(path, **options)


def trade(header: str, row: str, separator: str = ",") -> str:
    """A file of one trade; its words are separated by blanks here."""
    return "".join(f"{separator.join(line.split())}\n" for line in (header, row))


PLAIN, DATED = "time symbol side price amount", "date,symbol,side,price,amount\n"
SOLD = "BTCUSDT sell 39432.48 0.000263"
LINE = f"1610064000278 {SOLD}"
CSV = LINE.replace(" ", ",")
FLAGS = "id price qty quoteQty time isBuyerMaker symbol"
FORMS = {
    "its own": trade("ts_ms symbol side price qty", LINE),
    "other names and order": trade(
        "Price Size Pair Timestamp Side", "39432.48 0.000263 BTCUSDT 1610064000278 SELL"
    ),
    "short sides": trade(PLAIN, LINE.replace("sell", "s")),
    "signs as sides": trade(PLAIN, LINE.replace("sell", "-1")),
    "a flag": trade(FLAGS, "1 39432.48 0.000263 10.3 1610064000278 true BTCUSDT"),
    "a negative quantity": trade(
        "time symbol price amount", "1610064000278 BTCUSDT 39432.48 -0.000263"
    ),
    "semicolons": trade(PLAIN, LINE, ";"),
    "decimal commas": trade(PLAIN, LINE.replace(".", ","), ";"),
    "tabs": trade(PLAIN, LINE, "\t"),
    "an exponent": trade(PLAIN, LINE.replace("0.000263", "2.63e-04")),
    "microseconds": trade(PLAIN, f"1610064000278999 {SOLD}"),
    "nanoseconds": trade("ts_event symbol side price amount", f"1610064000278999999 {SOLD}"),
    "seconds": trade(PLAIN, f"1610064000.278 {SOLD}"),
    "ISO": trade("date symbol side price amount", f"2021-01-08T00:00:00.278Z {SOLD}"),
    "ISO with a zone": DATED + CSV.replace("1610064000278", "2021-01-08 01:00:00.278+01:00"),
    "ISO without a zone": DATED + CSV.replace("1610064000278", "2021-01-08 00:00:00.278"),
    "a byte-order mark": "\ufeff" + trade(PLAIN, LINE),
    "small letters": trade(PLAIN, LINE.replace("BTCUSDT", "btcusdt")),
    "blank lines and CRLF": trade(PLAIN, LINE).replace("\n", "\r\n\r\n"),
}


@pytest.mark.parametrize("form", FORMS)
def test_each_form_is_understood(form: str, tmp_path: Path) -> None:
    """The same trade, however it is written; the result is a tape."""
    found = understood(tmp_path, FORMS[form])
    assert found.rows == [ROW]
    (tmp_path / "out.csv").write_text(found.text())
    (trade,) = read_tape(tmp_path / "out.csv").trades
    assert (trade.ts_ms, trade.symbol, trade.side) == ROW[:3]


SAID = [
    ("a flag", "where the buyer is the maker the aggressor sells"),
    ("a flag", "isBuyerMaker is the buyer is maker"),
    ("a flag", "not used: id, quoteQty"),
    ("a negative quantity", "no column is the side: a negative quantity is a sale"),
    ("semicolons", "columns are separated by ';'"),
    ("decimal commas", "a comma is the decimal point"),
    ("an exponent", "numbers such as 2.63e-04 are written out"),
    ("microseconds", "times are microseconds since 1970, cut to ms"),
    ("nanoseconds", "times are ns since 1970, cut to ms"),
    ("seconds", "times are seconds since 1970, cut to ms"),
    ("ISO without a zone", "times without a zone are UTC"),
    ("a byte-order mark", "it begins with a byte-order mark, which is left out"),
    ("small letters", "the symbol btcusdt is BTCUSDT"),
    ("short sides", "the side s is sell"),
]


@pytest.mark.parametrize(("form", "note"), SAID)
def test_what_it_is_taken_for_is_said(form: str, note: str, tmp_path: Path) -> None:
    """Nothing is guessed in silence."""
    assert any(note in one for one in rows_of(understood(tmp_path, FORMS[form])))


def test_a_tape_stays_a_tape(tmp_path: Path) -> None:
    """One of this system may count the time from its own start; others may not."""
    text = FORMS["its own"].replace("1610064000278", "278")
    found = understood(tmp_path, text)
    assert (found.rows[0][0], found.text()) == (278, text)
    assert "times are ms since the tape's own start" in found.notes


def test_a_pair_with_a_stroke(tmp_path: Path) -> None:
    """A symbol may have no stroke here: it gets a dash."""
    text = FORMS["its own"].replace("BTCUSDT", "BTC/USDT")
    assert understood(tmp_path, text).rows[0][1] == "BTC-USDT"


def test_no_header_and_no_symbol(tmp_path: Path) -> None:
    """Both can be given."""
    text = "5,39432.48,0.000263,10.3,1610064000278,True,True\n"
    columns = "id,price,qty,quote_qty,time,is_buyer_maker,is_best_match"
    found = understood(tmp_path, text, symbol="btcusdt", columns=columns)
    assert found.rows == [ROW]
    assert "all trades are of BTCUSDT" in found.notes


def test_gzip(tmp_path: Path) -> None:
    """A packed file is unpacked, whatever its name."""
    path = tmp_path / "x.csv"
    path.write_bytes(gzip.compress(FORMS["its own"].encode()))
    found = read_foreign(path)
    assert (found.rows, "it is packed with gzip" in found.notes) == ([ROW], True)


def test_trades_out_of_order_are_sorted(tmp_path: Path) -> None:
    """By time, and those of one time stay in their order."""
    lines = ["time,symbol,side,price,qty"]
    lines += [f"{T + ms},A,buy,{price},1" for ms, price in ((5, 1), (0, 2), (5, 3), (5, 4))]
    found = understood(tmp_path, "\n".join(lines))
    assert [row[3] for row in found.rows] == ["2", "1", "3", "4"]
    assert any("1 trade was before the one above" in note for note in found.notes)


HEAD = "time,symbol,side,price,qty\n"
GOOD = f"{T},A,buy,1,1\n"
REFUSED = [
    ("time,side,price,qty\n", "line 1: .*no column is the symbol, such as .*: give --symbol"),
    ("symbol,side,price,qty\n", "line 1: .*no column is the time"),
    ("time,symbol,side,qty\n", "line 1: .*no column is the price"),
    ("time,symbol,side,price\n", "line 1: .*no column is the quantity"),
    (f"{T},A,buy,1,1\n", "line 1: .*is no header: name the columns with --columns"),
    (HEAD, "no trades"),
    ("", "no column|no header|no trades"),
    (HEAD + GOOD + f"{T},A,hold,1,1\n", "line 3: side 'hold'"),
    (HEAD + f"{T},A,buy,x,1\n", "line 2: price 'x': it must be a number"),
    (HEAD + f"{T},A,buy,nan,1\n", "line 2: price 'nan'"),
    (HEAD + f"{T},A,buy,1,0\n", "line 2: quantity 0: it must be above 0"),
    (HEAD + f"{T},A,buy,1,-1\n", "line 2: quantity -1: it must be above 0"),
    (HEAD + f"{T},A,buy,1\n", "line 2: 4 values: there must be 5"),
    (HEAD + "12345,A,buy,1,1\n", "line 2: time 12345: of 5 digits"),
    (HEAD + "yesterday,A,buy,1,1\n", "line 2: time 'yesterday'"),
    (HEAD + "1900-01-01,A,buy,1,1\n", "line 2: time 1900-01-01: it must lie between"),
    (HEAD + f"{T},a symbol,buy,1,1\n", "line 2: symbol 'A SYMBOL'"),
    (HEAD + f'{T},A,buy,1,"1\n', "line 2: "),
    (HEAD + f"{T},A,buy,1,{'1' * 500}\n", "too long"),
    (HEAD + f"{T},A,buy,1,1e999\n", "line 2: "),
    (HEAD.replace("side", "isBuyerMaker") + f"{T},A,perhaps,1,1\n", "it must be true or false"),
]


@pytest.mark.parametrize(("text", "why"), REFUSED)
def test_what_cannot_be_known_is_refused(text: str, why: str, tmp_path: Path) -> None:
    """With the file, the line and the rule."""
    with pytest.raises(ValueRefused, match=rf"(?s)tape.*({why})"):
        found = understood(tmp_path, text)
        (tmp_path / "out.csv").write_text(found.text())
        read_tape(tmp_path / "tape")


def test_files_that_are_no_text(tmp_path: Path) -> None:
    """A missing file, damaged gzip and foreign bytes are named."""
    path = tmp_path / "tape"
    with pytest.raises(ValueRefused, match="no such file"):
        read_foreign(path)
    for data, why in (
        (gzip.compress(b"x" * 99)[:20], "cannot be read"),
        (gzip.compress(b"0123456789" * 9)[:12] + b"rubbish" * 9, "cannot be read"),
        (HEAD.encode() + b"\xff\xfe", "line 2: byte .*: the file must be UTF-8"),
    ):
        path.write_bytes(data)
        with pytest.raises(ValueRefused, match=why):
            read_foreign(path)


class TestCommand:
    def test_check_and_convert(self, tmp_path: Path) -> None:
        """Both say what the file is taken for; convert writes it once."""
        source, out = tmp_path / "in.csv", tmp_path / "out.csv"
        source.write_text(FORMS["a flag"])
        run = CliRunner()
        checked = run.invoke(main, ["tape", "check", str(source)])
        assert checked.exit_code == 0, checked.output
        assert "1 trades of BTCUSDT" in checked.output
        for status, words in ((0, []), (2, []), (0, ["--force"])):
            done = run.invoke(main, ["tape", "convert", str(source), str(out), *words])
            assert done.exit_code == status, done.output
        assert len(read_tape(out).trades) == 1

    def test_refused(self, tmp_path: Path) -> None:
        """Exit status 2, and nothing is written."""
        source, out = tmp_path / "in.csv", tmp_path / "out.csv"
        source.write_text("what is this\n1\n")
        done = CliRunner().invoke(main, ["tape", "convert", str(source), str(out)])
        assert (done.exit_code, out.exists()) == (2, False)
        assert "no column is the" in done.stderr
