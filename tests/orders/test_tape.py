"""Tapes: what is read or refused."""

from __future__ import annotations

import random
from decimal import Decimal
from pathlib import Path

import pytest

from mm.errors import UsageError, ValueRefused
from mm.orders import config_of_tape, read_tape, tape_orders
from mm.orders.tape import Trade
from tests.kit import SEEDS
from tests.kit.tapes import GOOD, HEADER, read, trades


class TestReading:
    def test_good(self, tmp_path: Path) -> None:
        """Each line becomes a trade with exact decimals, in the file's order."""
        first, second, third = read(tmp_path, GOOD).trades
        assert first == Trade(2, 1000, "XY", "buy", Decimal("10.50"), Decimal("2.5"))
        assert (second.side, second.qty) == ("sell", Decimal("0.125"))
        assert (third.line, third.ts_ms) == (4, 3500)

    @pytest.mark.parametrize(
        "text",
        [
            b"\xef\xbb\xbf" + GOOD.encode(),
            GOOD.replace("\n", "\r\n"),
            GOOD.replace("\n", "\n\n"),
            GOOD.rstrip(),
            GOOD.replace("XY,buy", '"XY","buy"'),
        ],
        ids=["byte-order-mark", "crlf", "blank-lines", "no-last-newline", "quoted"],
    )
    def test_forms_of_csv(self, tmp_path: Path, text: str | bytes) -> None:
        """A CSV file as spreadsheets write it reads the same."""
        prices = [trade.price for trade in read(tmp_path, text).trades]
        assert prices == [Decimal("10.5"), Decimal("10.25"), Decimal(11)]

    @pytest.mark.parametrize(
        ("line", "why"),
        [
            ("x,XY,buy,1,1", "ts_ms 'x': it must be a whole number"),
            ("-5,XY,buy,1,1", "ts_ms '-5'"),
            ("5.5,XY,buy,1,1", "ts_ms '5.5'"),
            ("999,XY,buy,1,1", "ts_ms 999: it must not be before the trade above, at 1000"),
            ("1610064000,XY,buy,1,1", "ts_ms 1610064000: it must be milliseconds.*like seconds"),
            ("16100640000,XY,buy,1,1", "since 1970 .13 digits today. or since the tape's own"),
            ("161006400027800,XY,buy,1,1", "ts_ms 161006400027800: it must be milliseconds"),
            ("1610064000278000,XY,buy,1,1", "ts_ms '1610064000278000': it must be a whole"),
            ("1000,xy,buy,1,1", "symbol 'xy': it must be 1 to 16"),
            ("1000,,buy,1,1", "symbol ''"),
            ("1000,XY,BUY,1,1", "side 'BUY': it must be buy or sell"),
            ("1000,XY,buy,1e5,1", "price '1e5': it must be a plain decimal"),
            ("1000,XY,buy,-1,1", "price -1: it must be above 0"),
            ("1000,XY,buy,0.00,1", "price 0.00: it must be above 0"),
            ("1000,XY,buy,NaN,1", "price 'NaN'"),
            ("1000,XY,buy,inf,1", "price 'inf'"),
            ("1000,XY,buy, 1,1", "price ' 1'"),
            ("1000,XY,buy,1.,1", "price '1.'"),
            ("1000,XY,buy,٣,1", "price '٣'"),
            ("1000,XY,buy,1,0", "qty 0: it must be above 0"),
            ("1000,XY,buy,1,", "qty ''"),
            ("1000,XY,buy,123456789012345,1", "at most 14 digits before and after the point"),
            ("1000,XY,buy,1,0.000000000000001", "at most 14 digits"),
            ("1000,XY,buy,1", "4 values: there must be 5"),
            ("1000,XY,buy,1,1,1", "6 values: there must be 5"),
            ("1000,XY,buy,1," + "9" * 1000, "of 1000 characters: it must have 32 at most"),
            ("1000,XY,buy,1," + "9" * 200_000, "field larger than field limit"),
            ('1000,XY,buy,1,"1"2', "expected after"),
            ("1000,XY,buy,1\x00,1", "line contains NUL|price"),
        ],
    )
    def test_refused_lines(self, tmp_path: Path, line: str, why: str) -> None:
        """A bad line is refused with file, line, value and rule, in a short text."""
        with pytest.raises(ValueRefused, match=f"tape.csv line 3: .*({why})") as refused:
            trades(tmp_path, "1000,XY,sell,1,1", line, "1000,XY,sell,1,1")
        assert len(str(refused.value)) < 400

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            ("", "no trades"),
            (HEADER, "no trades"),
            ("\n\n", "line 1: header ''"),
            ("1000,XY,buy,1,1\n", "line 1: header '1000,XY,buy,1,1': it must be ts_ms,symbol"),
            (GOOD.replace("side", "Side"), "line 1: header"),
            (GOOD.encode() + b"9000,XY,buy,1\xff,1\n", r"line 5: byte b'\\xff': .* UTF-8"),
            (GOOD.encode("utf-16"), "UTF-8"),
        ],
    )
    def test_refused_files(self, tmp_path: Path, text: str | bytes, why: str) -> None:
        """A file that is not a tape is refused with the reason."""
        with pytest.raises(ValueRefused, match=why):
            read(tmp_path, text)

    @pytest.mark.parametrize(
        "times", [(0, 999_999_999), (1_610_064_000_278, 1_610_064_046_000), (0, 1_610_064_000_278)]
    )
    def test_plausible_times(self, tmp_path: Path, times: tuple[int, int]) -> None:
        """Milliseconds since the tape's own start and since 1970 are both times of a tape."""
        found = trades(tmp_path, *(f"{ts_ms},XY,buy,1,1" for ts_ms in times))
        assert found.span_ms == times[1] - times[0]

    def test_no_file(self, tmp_path: Path) -> None:
        """A missing file and a directory are refused by name."""
        for path in (tmp_path / "none.csv", tmp_path, Path("\0")):
            with pytest.raises(ValueRefused, match=r"no such file|cannot be read"):
                read_tape(path)

    def test_limits(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """More trades or bytes than the limits are refused; the limits themselves are accepted."""
        monkeypatch.setattr("mm.orders.tape.MAX_TRADES", 3)
        assert len(read(tmp_path, GOOD).trades) == 3
        with pytest.raises(ValueRefused, match="line 5: a tape may have 3 trades at most"):
            read(tmp_path, GOOD + "3500,XY,buy,11,4\n")
        monkeypatch.setattr("mm.orders.tape_file.MAX_BYTES", len(GOOD))
        read(tmp_path, GOOD)
        with pytest.raises(ValueRefused, match=f"a tape may have {len(GOOD)} bytes at most"):
            read(tmp_path, GOOD + "\n")

    @pytest.mark.parametrize("seed", SEEDS)
    def test_rubbish(self, tmp_path: Path, seed: int) -> None:
        """A tape of random bytes is usable, or refused with its name."""
        rng = random.Random(seed)
        used = 0
        for _ in range(300):
            text = bytearray(GOOD.encode())
            for _ in range(rng.randint(1, 3)):
                place = rng.randrange(len(text))
                byte = rng.choice(b'\n,.-"0159eXYbs\x00\xff\xc3') if rng.random() < 0.9 else 13
                text[place : place + rng.randint(0, 2)] = bytes([byte])
            try:
                found = read(tmp_path, bytes(text))
                used += len(tape_orders(found, config_of_tape(found))) > 0
            except UsageError as error:
                assert "tape.csv" in str(error), bytes(text)
        assert used > 3
