"""Tapes: what is read or refused, the symbols that a tape defines, and a run of a real tape."""

from __future__ import annotations

import random
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from mm.errors import ConfigError, UsageError, ValueRefused
from mm.market import MAX_INT, default_config
from mm.orders import Tape, config_for_tape, read_tape, tape_orders
from mm.orders.tape import Trade, limit_for_symbols, tape_symbols
from mm.publisher import Publisher, PublisherOptions
from tests.kit import SEEDS, Backend, Fake, Real, World, assert_sound, make_symbol, small_config

REAL = Path(__file__).resolve().parents[3] / "shared/data/btcusdt-trades-2021-01-08.csv"
HEADER = "ts_ms,symbol,side,price,qty"
GOOD = f"{HEADER}\n1000,XY,buy,10.50,2.5\n1000,XY,sell,10.25,0.125\n3500,XY,buy,11,4\n"


def write(directory: Path, text: str | bytes) -> Path:
    """A tape file of this text."""
    path = directory / "tape.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def read(directory: Path, text: str | bytes) -> Tape:
    """The tape of this text."""
    return read_tape(write(directory, text))


def trades(directory: Path, *lines: str) -> Tape:
    """A tape of these lines under a header."""
    return read(directory, "\n".join([HEADER, *lines]))


@pytest.fixture
def real() -> Tape:
    """The real tape; skips the test without it."""
    if not REAL.exists():
        pytest.skip(f"no tape at ../shared/data/{REAL.name}")
    return read_tape(REAL)


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

    def test_no_file(self, tmp_path: Path) -> None:
        """A missing file and a directory are refused by name."""
        for path in (tmp_path / "none.csv", tmp_path, Path("\0")):
            with pytest.raises(ValueRefused, match=r"must be a CSV file|cannot be read"):
                read_tape(path)

    def test_limits(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """More trades or bytes than the limits are refused; the limits themselves are accepted."""
        monkeypatch.setattr("mm.orders.tape.MAX_TRADES", 3)
        assert len(read(tmp_path, GOOD).trades) == 3
        with pytest.raises(ValueRefused, match="line 5: a tape may have 3 trades at most"):
            read(tmp_path, GOOD + "3500,XY,buy,11,4\n")
        monkeypatch.setattr("mm.orders.tape.MAX_BYTES", len(GOOD))
        read(tmp_path, GOOD)
        with pytest.raises(ValueRefused, match=f"{len(GOOD) + 1} bytes: a tape may have"):
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
                config = config_for_tape(found, default_config())
                used += len(tape_orders(found, config)) > 0
            except UsageError as error:
                assert "tape.csv" in str(error), bytes(text)
        assert used > 3


class TestSymbols:
    def test_parameters(self, tmp_path: Path) -> None:
        """Tick and lot follow from the decimals, the rest from first price, moves and sizes."""
        (symbol,) = tape_symbols(read(tmp_path, GOOD))
        assert (symbol.name, symbol.tick, symbol.lot) == ("XY", Decimal("0.01"), Decimal("0.001"))
        # Moves of 25 and 75 ticks, whose upper median is 75.
        assert (symbol.reference_ticks, symbol.spread_ticks) == (1050, 3 * 75)
        assert (symbol.size_lots, symbol.position_limit_lots) == (4000, 80_000)
        assert symbol.skew_ticks == 2 * symbol.spread_ticks

    def test_zeros_behind_are_no_decimals(self, tmp_path: Path) -> None:
        """Trailing zeros do not change the tick; whole numbers have a tick of 1."""
        found = trades(tmp_path, "1,A,buy,100.00,5.000", "1,B,buy,0.50000000,20")
        first, second = tape_symbols(found)
        assert (first.tick, first.lot) == (Decimal(1), Decimal(1))
        assert (second.tick, second.lot) == (Decimal("0.1"), Decimal(1))

    def test_a_price_that_never_moves(self, tmp_path: Path) -> None:
        """Without a move the spread is still at least two ticks."""
        (symbol,) = tape_symbols(trades(tmp_path, *["1,A,buy,7,1"] * 3))
        assert symbol.spread_ticks >= 2

    def test_size_is_the_90th_percentile(self, tmp_path: Path) -> None:
        """One huge trade in twenty does not set the size."""
        lines = ["1,A,buy,7,10"] * 19 + ["1,A,buy,7,1000000"]
        (symbol,) = tape_symbols(trades(tmp_path, *lines))
        assert symbol.size_lots == 10

    @pytest.mark.parametrize(
        "line",
        [
            "1,A,buy,64250.12,999.12345678",
            "1,A,buy,0.00001234,12345678.12345678",
            "1,A,buy,90071992547409,1",
            "1,A,buy,0.00000000000001,90000000",
        ],
    )
    def test_extremes_stay_exact(self, tmp_path: Path, line: str) -> None:
        """Fine decimals and huge numbers give symbols that the configuration's rules allow."""
        found = trades(tmp_path, line)
        (symbol,) = config_for_tape(found, default_config()).symbols
        highest = 2 * symbol.reference_ticks + symbol.spread_ticks + symbol.skew_ticks
        assert 1 <= symbol.size_lots <= symbol.position_limit_lots
        assert highest * symbol.position_limit_lots <= MAX_INT

    def test_too_large_for_integers(self, tmp_path: Path) -> None:
        """A quantity above 2^53 lots is refused with its line."""
        with pytest.raises(ValueRefused, match=r"tape.csv line 3: qty in lots"):
            tape_symbols(trades(tmp_path, "1,A,buy,1,0.00000001", "1,A,buy,1,90071993"))


class TestConfig:
    def test_tape_defines_the_symbols(self, tmp_path: Path) -> None:
        """A configuration that names none gets the tape's symbols, and a limit for all quotes."""
        found = trades(tmp_path, "1,A,buy,7,10", "1,B,sell,9,300")
        config = config_for_tape(found, default_config())
        assert [symbol.name for symbol in config.symbols] == ["A", "B"]
        assert config.limit_units == limit_for_symbols(config.symbols) == 310
        assert config.quote_ttl_ms == default_config().quote_ttl_ms

    def test_notional_limit(self, tmp_path: Path) -> None:
        """In notional mode the limit has room up to twice the reference prices."""
        base = small_config(limit=10_000, mode="notional")
        config = config_for_tape(trades(tmp_path, "1,A,buy,7,10"), base)
        assert (config.exposure_mode, config.limit_units) == ("notional", 2 * 7 * 10)

    def test_configuration_names_them(self, tmp_path: Path) -> None:
        """A configuration that names all of the tape's symbols stays as it is."""
        base = small_config(symbols=3)
        found = trades(tmp_path, "1,AAA,buy,1.07,10", "1,CCC,buy,1.07,10")
        assert config_for_tape(found, base) is base

    def test_configuration_names_some(self, tmp_path: Path) -> None:
        """A configuration that names only some is refused."""
        found = trades(tmp_path, "1,AAA,buy,1.07,10", "1,ZZZ,buy,1.07,10")
        with pytest.raises(ConfigError, match=r"tape.csv: symbol 'ZZZ': .* all .* or none"):
            config_for_tape(found, small_config())


class TestOrders:
    def test_marketable_orders(self, tmp_path: Path) -> None:
        """Each trade becomes an order of its side, size and price, at its time and speed."""
        found = read(tmp_path, GOOD)
        config = config_for_tape(found, default_config())
        fast = tape_orders(found, config, speed=10)
        words = [(one.at_s, one.side, one.qty_lots, one.limit_ticks) for one in fast]
        assert words == [
            (0.0, "buy", 2500, 1050),
            (0.0, "sell", 125, 1025),
            (0.25, "buy", 4000, 1100),
        ]
        assert [one.at_s for one in tape_orders(found, config)] == [0, 0, 2.5]
        assert [one.at_s for one in tape_orders(found, config, 0)] == [0, 0, 0]

    def test_off_the_grid(self, tmp_path: Path) -> None:
        """A trade that is not in whole ticks and lots is refused with its line."""
        config = small_config()
        for line, why in (("1,AAA,buy,1.075,10", "price 1.075"), ("1,AAA,buy,1.07,1.5", "qty 1.5")):
            found = trades(tmp_path, "1,AAA,buy,1.07,10", line)
            with pytest.raises(ValueRefused, match=f"tape.csv line 3: {why}: it must be a mult"):
                tape_orders(found, config)

    def test_unknown_symbol(self, tmp_path: Path) -> None:
        """A symbol that the running system does not have is refused with its line."""
        with pytest.raises(ValueRefused, match=r"tape.csv line 2: symbol 'ZZZ'"):
            tape_orders(trades(tmp_path, "1,ZZZ,buy,1,1"), small_config())

    @pytest.mark.parametrize("speed", [-1.0, float("nan"), float("inf"), 1e9])
    def test_bad_speed(self, tmp_path: Path, speed: float) -> None:
        """A speed that is negative, too large or not a number is refused."""
        with pytest.raises(ValueRefused, match="speed"):
            tape_orders(read(tmp_path, GOOD), small_config(), speed)

    def test_another_lot(self, tmp_path: Path) -> None:
        """The configuration decides tick and lot, not the decimals of the tape."""
        symbol = make_symbol("XY", tick=Decimal("0.05"), lot=Decimal("0.125"))
        config = replace(small_config(), symbols=(symbol,))
        first, second, third = tape_orders(read(tmp_path, GOOD), config)
        assert [one.limit_ticks for one in (first, second, third)] == [210, 205, 220]
        assert [one.qty_lots for one in (first, second, third)] == [20, 1, 32]


def run_through(found: Tape, backend: Backend) -> None:
    """Run the tape one order at a time through all processes, and check the end."""
    config = config_for_tape(found, default_config())
    world = World(backend, config)
    options = PublisherOptions(tape=found, speed=0, in_flight=1)
    publisher = Publisher(backend.client, world.keys, options=options)
    publisher.attach(world.make_scripts())
    processes = [publisher, world.exchange(), world.state(), world.maker()]
    (symbol,) = config.symbols
    for _ in range(2):
        processes[-1].step()
    furthest = 0
    while not publisher.over.is_set():
        for process in processes:
            process.step()
        furthest = max(furthest, abs(world.position(symbol.name).get("net_lots", 0)))
    summary, fills = publisher.summary, world.fills()
    assert (summary.sent, summary.unanswered) == (len(found.trades), 0)
    assert len(fills) == summary.filled + summary.partially_filled
    sides = [fill.side for fill in fills]
    assert min(sides.count("buy"), sides.count("sell")) > len(found.trades) // 8, summary
    assert furthest <= symbol.position_limit_lots
    # The maker follows the tape: half of its fills are within 0.02 % of the trade's own price.
    intents = tape_orders(found, config)
    trades = [intents[int(fill.order_id.split("-")[1]) - 1] for fill in fills]
    off = [abs(a.price_ticks - b.limit_ticks) for a, b in zip(fills, trades, strict=True)]
    assert sorted(off)[len(off) // 2] < symbol.reference_ticks // 5000
    assert_sound(world)


@pytest.mark.slow
def test_real_tape_begins(real: Tape, fake: Fake) -> None:
    """On the first trades of the real tape all orders are answered, with fills on both sides."""
    run_through(Tape(real.path, real.trades[:300]), fake)


@pytest.mark.server
@pytest.mark.slow
def test_real_tape(real: Tape, valkey: Real) -> None:
    """The same holds for the whole tape over Valkey."""
    run_through(real, valkey)
